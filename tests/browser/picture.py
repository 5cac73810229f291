"""Takes the README's picture: the Train page with its first recording, as a visitor meets it. Run by `make picture`."""

import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from serving import ROOT, serve
from visitor import ARGUMENTS

PICTURE = ROOT / "assets" / "images" / "page.png"


def main(out: Path = PICTURE) -> None:
    """Write the picture, with few colours so that it stays small."""
    out.parent.mkdir(parents=True, exist_ok=True)
    server = serve()
    address = next(server)
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 1010}, color_scheme="light")
            page.goto(address)
            page.wait_for_selector("#status .ok", timeout=120_000)
            page.wait_for_selector("#plane .main-svg")
            page.wait_for_timeout(1500)
            page.screenshot(path=out)
            browser.close()
    finally:
        server.close()
    Image.open(out).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
