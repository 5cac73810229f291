"""Links and code in the browser: copied on one page, opened on another; reloads; hidden parts; what can't be read."""

import urllib.request

import pytest

pytestmark = pytest.mark.browser


def copied(visitor) -> str:
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.page.click("#copy-link")
    visitor.settle("#copied", "Link copied")
    return visitor.page.evaluate("navigator.clipboard.readText()")


def opened(visit, link: str, width: int = 1280):
    address, sign, end = link.partition("?")
    visitor = visit(address.rstrip("/"), width=width)
    visitor.page.goto(address + sign + end)
    visitor.page.wait_for_selector("#copy-link", state="attached")
    visitor.errors.clear()  # of the stream that was cut off when the first page was left
    return visitor


def test_a_link_opens_the_set_up_that_it_was_copied_from(visit, tiny_app):
    first = visit(tiny_app)
    first.ready()
    for name, value in (("virtual_tokens", "4"), ("seed", "7")):
        first.set(name, value)
    first.choose("set-method", "K/V prefix")
    first.page.click("#chips .chip >> nth=2")
    first.page.wait_for_selector("#chips .chip[aria-pressed=true]")
    first.tab("Inspect")
    link = copied(first)
    for part in ("task=past-tense", "virtual_tokens=4", "seed=7", "method=prefix", "page=inspect", "token=2"):
        assert part in link
    assert "steps" not in link
    for width in (1280, 390):
        second = opened(visit, link, width)
        second.page.wait_for_selector("[role=tab][data-tab-id=inspect][aria-selected=true]", state="attached")
        second.tab("Train") if width > 400 else second.page.evaluate("document.querySelector('[data-tab-id=train]').click()")
        second.value("#set-virtual_tokens input", "4")
        second.value("#set-seed input", "7")
        second.value("#set-learning_rate input", "0.01")
        assert second.page.input_value("#set-method input") == "K/V prefix"
        assert second.text("#link-message").strip() == ""
        assert not second.errors
        assert not second.elsewhere
        second.shoot(f"link-{width}")


def test_a_task_of_ones_own_travels_and_is_never_in_an_address(visit, tiny_app, tmp_path):
    first = visit(tiny_app)
    first.ready()
    rows = "".join(f"in{i},{'yes' if i % 3 else 'no'}\n" for i in range(40))
    first.bring("my <b>pets.csv", ("input,output\n" + rows).encode(), tmp_path)
    first.use()
    first.settle("#examples", "held out")
    link = copied(first)
    assert "task=own" in link.partition("#")[0]
    seen: list[str] = []
    second = visit(tiny_app)
    second.page.on("request", lambda request: seen.append(request.url))
    second.page.goto(link)
    second.page.goto("about:blank")  # a fragment alone opens no page anew
    second.page.goto(link)
    second.page.wait_for_function("document.querySelector('#task input')?.value.includes('pets')")
    second.errors.clear()  # of the stream that was cut off when this page was left
    packed = link.partition("#own=")[2]
    assert packed
    assert not [url for url in seen if packed[:40] in url]
    second.ready()
    second.train(1)
    second.page.click("#code button")
    second.settle("#code", "my-bpets.task.json")
    second.page.click("#get-task")
    second.page.wait_for_selector("#task-file a[download='my-bpets.task.json']")
    assert not second.errors


def test_a_reload_goes_on_and_another_link_opens(visit, tiny_app):
    visitor = opened(visit, tiny_app + "/?task=dates&virtual_tokens=3")
    visitor.ready()
    visitor.page.wait_for_function("document.querySelector('#set-virtual_tokens input')?.value === '3'")
    visitor.set("seed", "5")
    visitor.train(1)
    visitor.page.reload()
    visitor.settle("#progress", "s of training")
    visitor.value("#set-seed input", "5")
    visitor.page.goto(tiny_app + "/?task=news&virtual_tokens=2")
    visitor.page.wait_for_function("document.querySelector('#set-virtual_tokens input')?.value === '2'")
    visitor.value("#set-seed input", "0")
    visitor.tab("Inspect")
    visitor.value("#inspect-run input", "run 1")  # the run is still there


def test_parts_are_hidden_and_what_cannot_be_read_is_told(visit, tiny_app):
    visitor = opened(
        visit, tiny_app + "/?hide=seed,more,compare&embed=true&steps=0&%3Cimg%20src=x%20onerror=alert(1)%3E=1&virtual_tokens=6"
    )
    visitor.page.wait_for_selector("#link-message .message")
    said = visitor.text("#link-message")
    assert "steps is 0: choose a whole number" in said
    assert "<img" in said
    visitor.value("#set-virtual_tokens input", "6")
    for selector in ("#set-seed", "#more", ".top", "[data-tab-id=compare]"):
        assert not visitor.page.locator(selector).first.is_visible(), selector
    assert visitor.page.locator("#set-steps").is_visible()
    assert not visitor.errors


@pytest.mark.parametrize("query", ["page=nothing", "page=inspect&deep_link=x", "deep_link=../../etc/passwd"])
def test_names_that_gradio_would_take_break_nothing(tiny_app, query):
    assert urllib.request.urlopen(f"{tiny_app}/?{query}").status == 200


def test_code_is_copied(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.page.click("#code button")
    visitor.page.click("#code .copy >> nth=1")
    visitor.settle("#code .code:nth-of-type(2) .copy", "Copied")
    assert visitor.page.evaluate("navigator.clipboard.readText()").startswith("python -m app train --task past-tense")
