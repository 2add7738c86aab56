"""What the HTML page of a reconstruction is worth in the system's Chromium: `python tools/check_splat_page.py DIR`.

Prints a row: Gaussians, size, seconds to the first picture in its finest drawing, PSNR of the page at the frames' own
size against an independent renderer and against the model's own rendering (three frames), and at 1280x720 with software
WebGL the CPU seconds of the browser for a moving frame, at the page's full and at its coarsest drawing, and the frames
a second by the clock while the page itself chooses (on an idle machine).

Needs `pip install -e '.[browser]'` and Chromium.
"""

import argparse
import base64
import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from video_ae.geometry.se3 import invert
from video_ae.scene.reconstruction import Reconstruction

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "formats"))
GRAPHICS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # without a GPU
FULL, COARSEST = 1.0, 0.0156  # the page's `pace`
MOVES = """async () => {
  document.body.dataset.drawn = 0;
  for (let n = 0; n < 20; n++) {
    byHand(() => camera.turn(n < 10 ? 0.01 : -0.01, 0));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  }
  return Number(document.body.dataset.drawn);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--steps", type=int, default=0, help="of refinement, as in `video-ae export`")
    parser.add_argument("--screenshot", type=Path, help="write what is seen from behind the path, 1280x720")
    given = parser.parse_args()
    saved = Reconstruction.load(given.directory, "cpu")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as engine:
        saved.export(temporary, ["html", "gaussians"], refine_steps=given.steps)
        path = Path(temporary) / "scene.html"
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = engine.chromium.launch(executable_path=chromium, args=GRAPHICS)
        page = browser.new_context(offline=True, viewport=_sizes(*saved.image_size)).new_page()
        started = time.monotonic()
        page.goto(path.as_uri())
        page.wait_for_function("document.body.dataset.still === 'true'")
        first = time.monotonic() - started
        _rest(page)
        quality = [_quality(page, saved, path, frame) for frame in (0, len(saved) // 2, len(saved) - 1)]
        page.set_viewport_size(_sizes(1280, 720))
        rate = _frames_a_second(page)
        times = [_moving(page, pace) for pace in (FULL, COARSEST)]
        if given.screenshot:
            page.evaluate("camera.goTo(0); camera.approach(1.4); camera.turn(0.1, 0.1); changed()")
            _rest(page)
            page.screenshot(path=given.screenshot)
        numbers = [f"{np.mean(values):.1f} dB" for values in zip(*quality, strict=True)]
        row = [given.directory.name, len(saved.gaussians()), f"{path.stat().st_size / 1e6:.1f} MB", f"{first:.1f} s"]
        row += [*numbers, *(f"{seconds:.2f} s" for seconds in times), f"{rate:.1f}"]
        print("| " + " | ".join(map(str, row)) + " |")
        browser.close()


def _sizes(width: int, height: int) -> dict[str, int]:
    return {"width": width, "height": height}


def _rest(page: Page) -> None:
    """Waits for the finest drawing of the view."""
    page.wait_for_function("document.body.dataset.still === 'true'")
    page.evaluate("document.body.dataset.still = ''; changed()")
    page.wait_for_function("document.body.dataset.still === 'true'")


def _quality(page: Page, saved: Reconstruction, path: Path, frame: int) -> tuple[float, float]:
    from splat_renderer import render_splats

    page.evaluate(f"show({frame})")
    _rest(page)
    url = page.evaluate("document.getElementById('picture').toDataURL()")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA")) / 255.0
    shown = image[..., :3] * image[..., 3:]
    width, height = saved.image_size
    camera = saved.scene.cameras.select([frame])
    intrinsics = (camera.intrinsics[0] * torch.tensor([width, height, width, height])).tolist()
    pose = invert(camera.world_from_camera[0].double())
    other = render_splats(path.with_name("gaussians.ply"), pose, *intrinsics, width, height).numpy()
    with torch.no_grad():
        model = saved.model.render(saved.scene, camera, (width, height)).rgb[0].clamp(0, 1).permute(1, 2, 0).numpy()
    return _psnr(shown, other), _psnr(shown, model)


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    return -10 * np.log10(np.square(one - other).mean())


def _frames_a_second(page: Page) -> float:
    """By the clock, while the view moves and the page has found how fine it can draw."""
    page.evaluate(MOVES)
    started = time.monotonic()
    return page.evaluate(MOVES) / (time.monotonic() - started)


def _moving(page: Page, pace: float) -> float:
    """CPU seconds of the browser for a frame while the view moves, and has moved for a while."""
    page.evaluate(f"window.adapt = () => {{ pace = {pace}; }}; adapt()")
    page.evaluate(MOVES)
    before = seconds_of_children()
    frames = page.evaluate(MOVES)
    return (seconds_of_children() - before) / frames


def seconds_of_children() -> float:
    """CPU time of all processes below this one (Linux)."""
    parents, seconds = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        number = int(status.parent.name)
        parents.setdefault(int(fields[1]), []).append(number)
        seconds[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    below, total = list(parents.get(os.getpid(), [])), 0.0
    while below:
        number = below.pop()
        total += seconds[number]
        below += parents.get(number, [])
    return total


if __name__ == "__main__":
    main()
