"""The image of the viewer in the documentation: the page in the system's Chromium, as it opens.

    python tools/screenshot_viewer.py DIR --out docs/images/viewer.png

Needs `pip install -e '.[viewer,browser]'` and Chromium.
"""

import argparse
import io
import shutil
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from video_ae.viewer.serve import Viewer

SIZE = (1100, 640)
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
        page.goto(f"http://127.0.0.1:{viewer.port}")
        page.get_by_text("Play", exact=True).wait_for()
        page.locator(".mantine-Notification-closeButton").first.click()  # "Software WebGL rendering detected"
        time.sleep(given.wait)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    viewer.close()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(200).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
