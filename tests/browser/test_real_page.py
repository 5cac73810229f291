"""The main path on the real model, as `make demo` shows it."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.real]


def test_ten_vectors_learn_the_past_tense_on_the_page(visit, real_app):
    visitor = visit(real_app)
    visitor.ready()
    page = visitor.page
    page.evaluate(
        """() => { window.painted = []; const seen = document.querySelector('#progress');
        new MutationObserver(() => { const found = /Step (\\d+) of/.exec(seen.innerText);
          if (found && window.painted.at(-1) !== +found[1]) window.painted.push(+found[1]); })
          .observe(seen, {subtree: true, childList: true, characterData: true}); }"""
    )
    page.click("#train")
    visitor.run_ends(600)
    assert set(range(1, 61)) <= set(page.evaluate("window.painted"))  # every step came to the page
    learned = page.locator("#bars tr.strong .num strong").first.inner_text()
    assert int(learned.split()[0]) >= 75
    assert "vectors are still nearest to the same token as at the start" in visitor.text("#chips")
    visitor.tab("Compare")
    page.wait_for_selector("#verdict tbody tr")
    page.fill("#ask-text textarea, #ask-text input", "swim")
    page.click("#ask")
    visitor.settle("#answers", "swam", 120)
    assert visitor.errors == [] and visitor.elsewhere == []
