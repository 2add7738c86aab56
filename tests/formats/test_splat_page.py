"""The HTML page of Gaussians: what is written, and what Chromium shows of it from disk, without a network."""

import base64
import gzip
import io
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from splat_renderer import render_splats

from video_ae.formats.ply import GaussianCloud, write_gaussians
from video_ae.formats.splat_page import splat_table, write_splat_page
from video_ae.geometry.se3 import invert, se3_exp, so3_exp
from video_ae.types import Cameras

SIZE = (160, 120)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
ABOUT = {"name": "a </script> & walk", "size": SIZE, "rate": 10.0, "depth": 2.0, "frustum": 0.1, "sharpness": SIZE[0]}


def cameras() -> Cameras:
    twist = torch.tensor([[0.0] * 6, [0.2, -0.1, 0.1, 0.05, -0.1, 0.2]], dtype=torch.float64)
    return Cameras(se3_exp(twist), torch.tensor([0.8, 0.8 * 4 / 3, 0.5, 0.5], dtype=torch.float64).expand(2, 4))


def cloud(count: int = 1500) -> GaussianCloud:
    """Flat, turned, coloured Gaussians before the cameras; nothing about them is symmetric."""
    draw = torch.Generator().manual_seed(4)
    random = lambda *size: torch.rand(*size, generator=draw)  # noqa: E731
    depth = 1.5 + 2 * random(count, 1)
    centres = torch.cat([depth * (random(count, 2) - 0.5), depth], 1)
    rotation = so3_exp(3 * torch.randn(count, 3, generator=draw, dtype=torch.float64)).float()
    scale = torch.tensor([0.05, 0.02, 0.004]) * (0.5 + random(count, 1))
    return GaussianCloud(centres, random(count, 3), 0.2 + 0.75 * random(count), scale, rotation)


@pytest.fixture
def written(tmp_path):
    write_splat_page(tmp_path / "scene.html", cloud(), cameras(), ABOUT)
    return tmp_path / "scene.html"


def embedded(path, name: str) -> str:
    return re.search(f'<script id="{name}"[^>]*>(.*?)</script>', path.read_text(), re.DOTALL)[1]


def test_the_page_holds_everything_and_asks_for_nothing(written):
    text = written.read_text()
    assert not re.search(r"https?://|src=|import ", text)
    assert "{{" not in text
    assert "<title>a &lt;/script&gt; &amp; walk</title>" in text
    scene = json.loads(embedded(written, "scene"))
    assert scene["name"] == ABOUT["name"]
    assert np.allclose(scene["cameras"][1]["centre"], cameras().centers[1])
    packed = gzip.decompress(base64.b64decode(embedded(written, "splats")))
    assert packed == splat_table(cloud(), cameras()).tobytes()


def test_a_row_by_hand():
    one = GaussianCloud(
        torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[1.0, 0.0, 0.2]]), torch.tensor([0.6]),
        torch.tensor([[1.0, 1.0, 1.0]]), torch.eye(3)[None],
    )  # fmt: skip
    at = Cameras(torch.eye(4)[None], torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    expected = np.array([0, 0, 2], "<f4").tobytes() + bytes([255, 0, 51, 153])
    expected += np.array([0, 0, 0, 32767], "<i2").tobytes() + bytes([160, 160, 160, 0]) + bytes([0, 0, 127, 0])
    assert splat_table(one, at).tobytes() == expected


def test_the_angle_from_which_it_was_seen():
    """Two cameras that look at one point, a right angle apart: 45 degrees on either side of the mean."""
    side = torch.tensor(
        [[0.0, 0, 1, -2], [0, 1, 0, 0], [-1, 0, 0, 2], [0, 0, 0, 1]]
    )  # at x = -2, z = 2, looking along x
    pair = Cameras(torch.stack([torch.eye(4), side]), torch.tensor([0.5, 0.5, 0.5, 0.5]).expand(2, 4))
    one = cloud(1)
    point = GaussianCloud(torch.tensor([[0.0, 0.0, 2.0]]), one.colors, one.opacity, one.scale, one.rotation)
    row = splat_table(point, pair)[0]
    assert row["direction"].tolist() == [90, 0, 90]
    assert row["angle"] == round(255 / 4)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (`make browser`)")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: `apt-get install chromium`")
def test_chromium_shows_it_from_disk_as_another_renderer_does(browser, written, tmp_path):
    context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}, offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(written.as_uri())
    write_gaussians(tmp_path / "gaussians.ply", cloud())
    size, shown = torch.tensor([*SIZE, *SIZE]), []
    for frame, (pose, intrinsics) in enumerate(zip(cameras().world_from_camera, cameras().intrinsics, strict=True)):
        page.wait_for_function("document.body.dataset.still === 'true'")
        page.evaluate(f"document.body.dataset.still = ''; show({frame})")
        page.wait_for_function("document.body.dataset.still === 'true'")
        shown.append(canvas(page))
        expected = render_splats(tmp_path / "gaussians.ply", invert(pose), *(intrinsics * size).tolist(), *SIZE, 24)
        assert psnr(shown[-1], expected.numpy()) > 40
    assert psnr(shown[0], shown[1]) < 25  # the test can tell views apart
    page.evaluate("document.body.dataset.still = ''; camera.turn(1.4, 0); changed()")
    page.wait_for_function("document.body.dataset.still === 'true'")
    assert canvas(page).max() < 0.05  # from behind, where no frame was, it has faded
    context.close()
    assert errors == []


def canvas(page) -> np.ndarray:
    """What is drawn, over black: [row, column, 3]."""
    url = page.evaluate("document.getElementById('picture').toDataURL()")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA")) / 255.0
    return image[..., :3] * image[..., 3:]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return -10 * np.log10(np.square(one - other).mean())
