"""The image of the viewer in the documentation: the page in the system's Chromium, as it opens.

    python tools/screenshot_viewer.py DIR --out docs/images/viewer.png

Prints how long the page takes to show the first picture of the scene, by the clock (on an idle machine) and in CPU
seconds of browser and server together. Needs `pip install -e '.[viewer,browser]'` and Chromium.
"""

import argparse
import io
import os
import shutil
import time
from pathlib import Path

from check_splat_page import seconds_of_children
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from video_ae.viewer.serve import Viewer

SIZE = (1100, 640)
SCENE = (20, 100, 660, 600)  # left, top, right, bottom of where the scene is drawn, in pixels
PICTURE_COLORS = 500  # that the scene has and an empty page has not
LONGEST_WAIT = 120  # seconds
GRAPHICS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # without a GPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wait", type=float, default=6.0, help="seconds until everything has been drawn")
    given = parser.parse_args()
    viewer = Viewer(given.directory, port=0)
    with sync_playwright() as engine:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = engine.chromium.launch(executable_path=chromium, args=GRAPHICS)
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        started, before = time.monotonic(), _cpu_seconds()
        page.goto(f"http://127.0.0.1:{viewer.port}")
        while not _shows_picture(page) and time.monotonic() < started + LONGEST_WAIT:
            time.sleep(0.05)
        clock, spent = time.monotonic() - started, _cpu_seconds() - before
        print(f"first picture after {clock:.1f} s by the clock; {spent:.1f} CPU seconds of browser and server")
        page.get_by_text("Play", exact=True).wait_for()
        page.locator(".mantine-Notification-closeButton").first.click()  # "Software WebGL rendering detected"
        time.sleep(given.wait)
        image = _screenshot(page)
        browser.close()
    viewer.close()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(200).save(given.out, optimize=True)


def _screenshot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(timeout=1000 * LONGEST_WAIT))).convert("RGB")


def _shows_picture(page: Page) -> bool:
    """Whether the scene is drawn: a page that is loading has a few plain colours."""
    return _screenshot(page).crop(SCENE).getcolors(PICTURE_COLORS) is None


def _cpu_seconds() -> float:
    """Of this process, which serves the page, and of all below it."""
    return sum(os.times()[:2]) + seconds_of_children()


if __name__ == "__main__":
    main()
