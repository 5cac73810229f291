"""The page under its Content-Security-Policy: it works (each test here looks at its console), and sends nothing elsewhere."""

import pytest
from serving import free_port

pytestmark = pytest.mark.browser


def test_a_saved_file_comes_to_this_browser_and_a_script_sends_nothing_elsewhere(visitor, tmp_path):
    visitor.tab("Inspect")
    visitor.page.click("#report")
    visitor.page.wait_for_selector("#download:visible")
    assert "<html" in visitor.download("#download", tmp_path / "report.html").read_text("utf-8")
    assert visitor.errors == []
    address = f"http://127.0.0.1:{free_port()}/"
    with visitor.page.expect_console_message(lambda message: "Content Security Policy" in message.text) as refusal:
        visitor.page.evaluate("(address) => fetch(address).catch(() => 0)", address)
    assert "connect-src" in refusal.value.text
    visitor.errors.clear()  # the refusal itself
    visitor.elsewhere.clear()
