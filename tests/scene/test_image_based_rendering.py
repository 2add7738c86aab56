"""Where a view takes its colours from a frame, and where the rendering of the codes stays."""

import math
from functools import cache

import pytest
import torch

from video_ae import compiled
from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics, transform
from video_ae.geometry.se3 import se3_exp
from video_ae.models.base import VideoModel
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import to_bytes
from video_ae.scene.source import Source
from video_ae.scene.source_frames import nearest_source_views, view_distances
from video_ae.types import CameraEstimate, Cameras, RenderedViews, Scene, VideoClip

SIZE = (96, 72)
GREY = 0.5


class Wall(VideoModel):
    """Grey codes of a wall at z = 1 in the world; `known`: a change of the inverse depth that they render."""

    def __init__(self, known=lambda inverse_depth: inverse_depth):
        super().__init__()
        self.known = known

    def _made_up(self, *args, **kwargs):
        raise AssertionError("this wall is made up")

    forward = find_cameras = encode_scene = synthesize = _made_up

    def render(self, scene, cameras, size=None):
        width, height = size
        depth = torch.stack([on_wall(cameras.select([i]), size)[1] for i in range(len(cameras))])
        grey = torch.full((len(cameras), 3, height, width), GREY)
        return RenderedViews(grey, self.known(1 / depth), torch.ones(len(cameras), height, width))


def on_wall(camera: Cameras, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(x and y on the wall [height, width, 2], z in the camera's axes) of all pixels."""
    rays = camera_rays(camera.intrinsics[0], size[1], size[0])
    pose = camera.world_from_camera[0]
    depth = (1 - pose[2, 3]) / (rays @ pose[2, :3])
    return transform(pose, rays * depth[..., None])[..., :2], depth


def paint(camera: Cameras, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """What a camera sees of the waves on the wall."""
    x, y = on_wall(camera, size)[0].unbind(-1)
    return 0.5 + 0.4 * torch.stack([(25 * x).sin(), (25 * y).sin(), (20 * (x + y)).sin()])


def cameras(*twists: list[float]) -> Cameras:
    """One camera per twist (three rotations, three translations)."""
    intrinsics = pinhole_intrinsics(torch.tensor(0.8), *SIZE).expand(len(twists), 4)
    return Cameras(se3_exp(torch.tensor(twists)), intrinsics)


def views_of(model: VideoModel, scene: Scene, *given) -> ImageBasedRenderer:
    return ImageBasedRenderer(Reconstruction(model, scene, Source("wall", SIZE, lambda: pytest.fail("opened"))), *given)


def scene_of(found: Cameras) -> Scene:
    count = len(found)
    clip = VideoClip(torch.zeros(count, 3, 72, 96), torch.arange(count), torch.arange(count) / 25.0)
    estimate = CameraEstimate(found, torch.ones(count, 6, 8), torch.ones(count), torch.eye(6).expand(count, 6, 6))
    return Scene(clip, estimate, (0,), ())


STRAIGHT = [0.0] * 6


def seen(view: list[float], known=lambda inverse_depth: inverse_depth, frame=STRAIGHT) -> tuple[torch.Tensor, Cameras]:
    """(the picture of a view that looks itself up in one frame, its camera)."""
    scene, path = scene_of(cameras(frame)), cameras(view)
    views = views_of(Wall(known), scene, lambda i: to_bytes(paint(cameras(frame))), SIZE)
    return next(views.images(path, [{0: 1.0}])) / 255, path


@pytest.mark.parametrize(
    "view",
    [
        STRAIGHT,
        [0, 0, 0, 0.1, 0.05, 0],
        [0, 0, math.radians(20), 0, 0, 0],  # rolled
        [0, 0, 0, 0, 0, 0.25],  # nearer
        [0, 0.1, 0, -0.1, 0, 0],  # slanted
    ],
    ids=["same", "beside", "rolled", "nearer", "slanted"],
)
def test_a_wall_is_seen_in_the_colours_of_the_frame(view):
    picture, camera = seen(view)
    truth = paint(camera)
    inner = (slice(None), slice(20, -20), slice(24, -24))
    assert (picture - truth)[inner].abs().mean() < 0.04
    assert (GREY - truth)[inner].abs().mean() > 0.2


def test_frames_may_be_larger_than_renderings(monkeypatch):
    monkeypatch.setattr("video_ae.scene.image_based_rendering.GEOMETRY_SIDE", 36)
    picture, camera = seen([0, 0, 0, 0.05, 0, 0])
    assert (picture - paint(camera))[:, 20:-20, 24:-24].abs().mean() < 0.05


def ragged(inverse_depth: torch.Tensor) -> torch.Tensor:
    """Every second of some columns in the middle is 5 % too near: little enough for frames to agree."""
    changed = inverse_depth.clone()
    changed[..., SIZE[0] // 2 - 8 : SIZE[0] // 2 + 8 : 2] *= 1.05
    return changed


def test_where_depth_jumps_the_rendering_stays():
    beside = [0, 0, 0, 0.3, 0, 0]
    strength = (seen(beside, ragged)[0] - GREY).abs().mean((0, 1))  # of each column
    middle = SIZE[0] // 2
    assert strength[middle - 4 : middle + 4].max() < 0.06
    assert strength[middle - 20 : middle - 12].mean() > 0.15
    assert strength[middle + 12 : middle + 20].mean() > 0.15


def test_without_parallax_wrong_depth_does_no_harm():
    turned = [0, 0.02, 0, 0, 0, 0]
    picture, camera = seen(turned, ragged)
    assert (picture - paint(camera))[:, 8:-8, 8:-8].abs().mean() < 0.04


@pytest.mark.parametrize("unknown", [0.0, math.nan])
def test_what_has_no_depth_is_rendered(unknown):
    picture, _ = seen(STRAIGHT, lambda inverse_depth: torch.full_like(inverse_depth, unknown))
    assert (picture - GREY).abs().max() < 0.01


def test_a_frame_that_sees_something_else_gives_no_colour():
    path = cameras(STRAIGHT)
    in_front = torch.full((1, 72, 96), 2.0)  # what the frame sees is twice as near
    views = views_of(Wall(), scene_of(path), lambda i: to_bytes(paint(path)), SIZE, in_front)
    assert (next(views.images(path, [{0: 1.0}])) / 255 - GREY).abs().max() < 0.01


def test_the_nearest_frames_give_the_colours():
    scene = scene_of(cameras(*([0, 0, 0, 0.1 * i, 0, 0] for i in range(6))))
    path = cameras([0, 0, 0, 0.11, 0, 0], [0, 0, 0, 0.49, 0, 0])
    first, last = nearest_source_views(view_distances(scene, path))
    assert (set(first), set(last)) == ({0, 1, 2, 3}, {2, 3, 4, 5})
    assert sum(first.values()) == pytest.approx(1)
    assert max(first, key=first.get) == 1
    assert max(last, key=last.get) == 5
    torch.testing.assert_close(view_distances(scene, path)[0].argsort()[:3], torch.tensor([1, 2, 0]))
    single = view_distances(scene_of(cameras(STRAIGHT)), path)
    assert [len(sources) for sources in nearest_source_views(single)] == [1, 1]
    views = views_of(Wall(), scene, lambda i: to_bytes(paint(cameras([0, 0, 0, 0.1 * i, 0, 0]))), SIZE)
    assert (next(views.images(path)) / 255 - paint(path.select([0])))[:, 8:-8, 8:-8].abs().mean() < 0.05


def test_frames_are_read_in_the_order_of_the_video():
    """A decoder reads on cheaply, and jumps back by decoding up to hundreds of frames."""
    places = [0, 4, 2, 6, 1, 5, 3, 7]  # a path that comes back to where it was
    found, read = cameras(*([0, 0, 0, 0.1 * place, 0, 0] for place in places)), []

    @cache
    def frame(position: int) -> torch.Tensor:
        read.append(position)
        return to_bytes(paint(found.select([position])))

    next(views_of(Wall(), scene_of(found), frame, SIZE).images(cameras([0, 0, 0, 0.32, 0, 0])))
    assert len(read) > 4
    assert read == sorted(read)


def test_without_source_views_a_view_is_the_frames_warped():
    found, path = cameras(STRAIGHT, [0, 0, 0, 0.1, 0, 0]), cameras([0, 0, 0, 0.05, 0, 0])
    picture = (
        next(views_of(Wall(), scene_of(found), lambda i: to_bytes(paint(found.select([i]))), SIZE).images(path, [{}]))
        / 255
    )
    assert (picture - paint(path))[:, 8:-8, 8:-8].abs().mean() < 0.03


def test_what_no_frame_nearby_sees_is_rendered_from_the_codes():
    found, path = cameras(STRAIGHT, [0, 0, 0, 0.1, 0, 0]), cameras([0, 0, 0, -0.5, 0, 0])
    picture = next(
        views_of(Wall(), scene_of(found), lambda i: to_bytes(paint(found.select([i]))), SIZE).images(path, [{}])
    )
    assert (picture[:, :, :30] == round(255 * GREY)).all()
    assert (picture[:, 8:-8, 50:-8] / 255 - paint(path)[:, 8:-8, 50:-8]).abs().mean() < 0.05


def test_a_single_image_keeps_the_code_that_was_made_for_it():
    found = cameras(STRAIGHT)
    picture = next(views_of(Wall(), scene_of(found), lambda i: to_bytes(paint(found)), SIZE).images(found, [{}]))
    assert (picture == round(255 * GREY)).all()


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
@pytest.mark.parametrize(
    "known",
    [lambda inverse_depth: inverse_depth, ragged, lambda inverse_depth: torch.full_like(inverse_depth, math.nan)],
)
def test_the_compiled_loops_are_the_tensor_operations(monkeypatch, known):
    sources = cameras(STRAIGHT, [0, 0.1, 0, -0.1, 0, 0], [0, 0, 0, 0, 0, 2.0])  # the last one is behind the wall
    view, weights = cameras([0, 0, 0.1, 0.2, 0.05, 0.1]), {0: 0.6, 1: 0.3, 2: 0.1}
    renderer = views_of(Wall(known), scene_of(sources), lambda i: to_bytes(paint(sources.select([i]))), (120, 90))
    found = next(renderer.images(view, [weights]))
    for module in ("image_based_rendering", "depth_agreement", "forward_warping", "color_correction"):
        monkeypatch.setattr(f"video_ae.scene.{module}.usable", lambda *_: False)
    monkeypatch.setattr("video_ae.geometry.box_mean.usable", lambda *_: False)
    twin = next(renderer.images(view, [weights]))
    assert (found.int() - twin.int()).abs().max() <= 1
    assert (found != twin).float().mean() < 0.01
