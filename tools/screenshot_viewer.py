"""The image of the viewer in the documentation: the page in the system's Chromium, as it opens.

    python tools/screenshot_viewer.py DIR --out docs/images/viewer.png

Prints how long the page takes from its address to the first image of the scene, and until it draws the scene itself
and can be moved: by the clock (on an idle machine) and in CPU seconds of browser and server together. Needs
`pip install -e '.[viewer,browser]'` and Chromium.
"""

import argparse
import base64
import io
import os
import shutil
import time
from pathlib import Path

from check_splat_page import seconds_of_children
from PIL import Image, ImageStat
from playwright.sync_api import Page, sync_playwright

from video_ae.viewer.serve import Viewer

SIZE = (1280, 720)
SCENE = (20, 200, 840, 680)  # left, top, right, bottom of where nothing but the scene is drawn, in pixels
PLAIN = 10.0  # standard deviation of grey levels, of 255, above which something is drawn
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
        drawn = Drawn(page)
        started, before = time.monotonic(), _cpu_seconds()
        page.goto(f"http://127.0.0.1:{viewer.port}", wait_until="commit")
        while not drawn.shows_scene() and time.monotonic() < started + LONGEST_WAIT:
            page.wait_for_timeout(200)  # less often than would count
        _print("first image", started, before)
        page.locator("#first-image").wait_for(state="detached", timeout=1000 * LONGEST_WAIT)
        _print("the scene itself", started, before)
        page.get_by_text("Play", exact=True).wait_for()
        page.locator(".mantine-Notification-closeButton").first.click()  # "Software WebGL rendering detected"
        time.sleep(given.wait)
        image = _screenshot(page)
        browser.close()
    viewer.close()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(200).save(given.out, optimize=True)


class Drawn:
    """What the browser draws, as it draws it: a screenshot would wait for a page that is busy.

    Args:
        page: before it is opened.
    """

    def __init__(self, page: Page) -> None:
        self._session, self._frames = page.context.new_cdp_session(page), list[dict]()
        self._session.on("Page.screencastFrame", lambda frame: self._frames.append(frame))
        self._session.send(
            "Page.startScreencast", {"format": "jpeg", "maxWidth": SIZE[0] // 2, "maxHeight": SIZE[1] // 2}
        )

    def shows_scene(self) -> bool:
        """Whether an image of the scene was drawn: a page that is loading is plain."""
        while self._frames:
            frame = self._frames.pop(0)
            self._session.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})
            image = Image.open(io.BytesIO(base64.b64decode(frame["data"]))).convert("L").resize(SIZE)
            if ImageStat.Stat(image.crop(SCENE)).stddev[0] > PLAIN:
                self._session.send("Page.stopScreencast")
                return True
        return False


def _screenshot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(timeout=1000 * LONGEST_WAIT))).convert("RGB")


def _print(what: str, started: float, before: float) -> None:
    clock, spent = time.monotonic() - started, _cpu_seconds() - before
    print(f"{what} after {clock:.1f} s by the clock; {spent:.1f} CPU seconds of browser and server", flush=True)


def _cpu_seconds() -> float:
    """Of this process, which serves the page, and of all below it."""
    return sum(os.times()[:2]) + seconds_of_children()


if __name__ == "__main__":
    main()
