"""The page in the system's Chromium: it loads, cameras can be clicked, renderings follow the view."""

import io
import shutil
import time

import numpy as np
import pytest
import torch
from PIL import Image
from splat_renderer import render_splats

from video_ae.formats.ply import GaussianCloud, write_gaussians
from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert, so3_exp
from video_ae.viewer import render_timing
from video_ae.viewer.views import View, camera_of_view

pytest.importorskip("viser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (`make browser`)")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE = {"width": 800, "height": 560}
VIEW = (0, 0, 470, 560)  # left of the controls
PATIENCE = 20.0
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: `apt-get install chromium`"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        software = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=software)
        yield browser
        browser.close()


@pytest.fixture
def viewer(walk):
    from video_ae.viewer.serve import Viewer

    viewer = Viewer(walk, port=0)
    yield viewer
    viewer.close()


@pytest.fixture
def page(browser, viewer):
    page = browser.new_page(viewport=PAGE)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    enter(page, viewer, 1)
    yield page
    page.close()
    assert errors == []


def enter(page, viewer, clients):
    page.goto(f"http://127.0.0.1:{viewer.port}")
    page.get_by_text("Play", exact=True).wait_for(timeout=1000 * PATIENCE)
    until(lambda: len(viewer._sessions) == clients)
    settle(page)


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def shot(page):
    """What is seen left of the controls, as [row, column, 3]."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB").crop(VIEW)).astype(int)


def settle(page):
    """Waits until two screenshots in a row are the same."""
    before = shot(page)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.4)
        now = shot(page)
        if changed(before, now) < 0.1 and now.std() > 5:
            return now
        before = now
    raise AssertionError("the page does not come to rest")


def changed(one, other):
    return np.abs(one - other).mean()


def session_of(viewer):
    return next(iter(viewer._sessions.values()))


def view_of(session):
    camera = session._client.camera
    wxyz, position = (tuple(float(value) for value in values) for values in (camera.wxyz, camera.position))
    return View(wxyz, position, float(camera.fov), float(camera.aspect))


def image_of_camera(session, frame):
    """Where on the page the middle of a drawn camera's image is."""
    handle = session._client.scene.get_handle_by_name(f"/cameras/{frame}")
    view = camera_of_view(view_of(session))
    ahead = torch.tensor([[0.0, 0.0, 0.95 * handle.compute_canonical_frustum_size()[2] * handle.scale]]).double()
    point = transform(session._contents.reconstruction.cameras.world_from_camera[frame], ahead)
    u, v = project(transform(invert(view.world_from_camera[0]), point), view.intrinsics)[0].tolist()
    return round(u * PAGE["width"]), round(v * PAGE["height"])


def test_it_shows_something_and_moving_changes_it(page, viewer):
    start = settle(page)
    assert start.std() > 15  # not blank
    page.mouse.move(150, 400)
    page.mouse.down()
    page.mouse.move(230, 420, steps=4)
    page.mouse.up()
    moved = settle(page)
    assert changed(start, moved) > 3


def test_a_picture_of_the_scene_is_there_before_anything_runs(browser, page, viewer):
    until(lambda: page.locator("#first-image").count() == 0)  # it was, and the browser draws by now
    page.get_by_role("checkbox", name="Cameras").click()
    loaded = settle(page)
    without_scripts = browser.new_context(java_script_enabled=False, viewport=PAGE)
    first = without_scripts.new_page()
    first.goto(f"http://127.0.0.1:{viewer.port}")
    below = slice(200, None)  # of the note on slow graphics
    assert changed(shot(first)[below], loaded[below]) < 10
    assert shot(first)[below].std() > 15
    without_scripts.close()


def test_a_click_on_a_camera_goes_there(page, viewer):
    session = session_of(viewer)
    before = settle(page)
    page.mouse.click(*image_of_camera(session, 0))
    until(lambda: session._follow is not None and session._follow.arrived)
    after = settle(page)
    assert changed(before, after) > 3
    assert page.get_by_text(f"frame {session._frame}, confidence").is_visible()
    rendering = session._contents.render(view_of(session), (PAGE["width"], PAGE["height"]))[:, :470].astype(int)
    below = slice(200, None)  # of the note on slow graphics
    assert changed(after[below], rendering[below]) < 10
    assert changed(before[below], rendering[below]) > 15


def test_controls_show_and_hide(page, viewer):
    session = session_of(viewer)
    with_rendering = settle(page)
    page.get_by_role("checkbox", name="Rendering").click()
    until(lambda: not session._rendering.value)
    time.sleep(1)
    without = shot(page)
    assert changed(with_rendering, without) > 3
    page.get_by_role("checkbox", name="Points").click()
    until(lambda: session._points_handle is not None)
    time.sleep(1)
    assert changed(without, shot(page)) > 1


def test_a_splat_is_drawn_as_another_renderer_draws_it(page, viewer, tmp_path):
    from video_ae.viewer.viser_splats import draw_splats

    session = session_of(viewer)
    session.go_to(4)
    until(lambda: session._follow is not None and session._follow.arrived)
    page.get_by_role("checkbox", name="Rendering").click()
    until(lambda: not session._rendering.value)
    view = camera_of_view(view_of(session))
    centre = transform(view.world_from_camera[0], torch.tensor([[-0.5, 0.3, 2.0]]).double()).float()
    rotation = so3_exp(torch.tensor([[0.3, -0.5, 0.6]]).double()).float()
    red, opacity, scale = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.9]), torch.tensor([[0.3, 0.1, 0.003]])
    one = GaussianCloud(centre, red, opacity, scale, rotation)
    draw_splats(session._client.scene, one)
    shown = settle(page)[200:, :, 1] / 255  # green, below the note on slow graphics: what is not covered
    write_gaussians(tmp_path / "one.ply", one)
    pixels = torch.tensor([PAGE["width"], PAGE["height"]] * 2)
    intrinsics = (view.intrinsics[0] * pixels).tolist()
    expected = render_splats(
        tmp_path / "one.ply", invert(view.world_from_camera[0]), *intrinsics, *pixels[:2].tolist(), 400
    )
    expected = 1 - expected[200:, :470, 0].numpy()
    assert expected.min() < 0.2  # it is there
    assert np.abs(shown - expected).mean() < 0.01


def test_splats_show_while_the_view_moves(page, viewer, monkeypatch):
    session = session_of(viewer)
    settle(page)
    page.get_by_role("checkbox", name="Splats").click()
    until(lambda: session._splats_handle is not None and not session._splats_handle.visible)  # at rest: the rendering
    monkeypatch.setattr(render_timing, "STILL_SECONDS", 4.0)  # a slow browser's moves count as moves until looked at
    page.mouse.move(150, 400)
    page.mouse.down()
    page.mouse.move(230, 420, steps=4)
    until(lambda: session._splats_handle.visible)
    moving = session._splats_handle.visible
    page.mouse.up()
    until(lambda: not session._splats_handle.visible)
    assert (moving, session._splats_handle.visible) == (True, False)


def test_playback_moves_on_and_stops(page, viewer):
    session = session_of(viewer)
    page.get_by_text("Play", exact=True).click()
    until(lambda: session._frame > 2)
    page.get_by_text("Pause", exact=True).click()
    until(lambda: session._playing is None)
    stays = session._frame
    time.sleep(0.5)
    assert session._frame == stays


def test_two_clients_and_a_reload(browser, page, viewer):
    settle(page)
    other = browser.new_page(viewport=PAGE)
    enter(other, viewer, 2)
    first, second = viewer._sessions.values()
    second.go_to(5)
    until(lambda: second._follow.arrived)
    assert first._follow is None  # the first client was not moved
    other.close()
    until(lambda: len(viewer._sessions) == 1)
    before = settle(page)
    page.reload()
    page.get_by_text("Play", exact=True).wait_for(timeout=1000 * PATIENCE)
    assert changed(before, settle(page)) < 3


def test_a_new_reconstruction_appears(browser, reconstructions, tmp_path):
    from video_ae.viewer.serve import Viewer

    folder = reconstructions(tmp_path / "walk", frames=4)
    viewer = Viewer(folder, port=0)
    page = browser.new_page(viewport=PAGE)
    try:
        enter(page, viewer, 1)
        assert page.get_by_text("4 frames,").is_visible()
        reconstructions(folder, frames=6, overwrite=True)
        page.get_by_text("6 frames,").wait_for(timeout=1000 * PATIENCE)
        assert settle(page).std() > 15
    finally:
        page.close()
        viewer.close()


def test_a_download_arrives(page, walk, tmp_path):
    with page.expect_download(timeout=1000 * PATIENCE) as waiting:
        page.get_by_text("points.ply", exact=True).click()
    waiting.value.save_as(tmp_path / "points.ply")
    assert (tmp_path / "points.ply").read_bytes() == (walk / "points.ply").read_bytes()
