"""Which frames hold the codes of a video, and how their pictures are put together."""

import itertools
import math
from dataclasses import replace

import torch

from video_ae.geometry.frustum import MARGIN, widened_camera
from video_ae.geometry.pinhole import pinhole_intrinsics, project
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.models.keyframes import (
    CONTEXT_RANGE,
    MOST_CODES,
    MOST_KEYFRAMES,
    choose_contexts,
    choose_keyframes,
    render_keyframes,
)
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.types import CameraEstimate, Cameras, MultiplaneVolume, Scene, VideoClip


def walk(shifts: list[float], focal: float = 0.8) -> CameraEstimate:
    """Cameras that stand at x = shifts and look along z, in a scene of inverse depth 1."""
    count = len(shifts)
    twists = torch.zeros(count, 6)
    twists[:, 3] = torch.tensor(shifts)
    cameras = Cameras(se3_exp(twists), pinhole_intrinsics(torch.full((count,), focal), 32, 24))
    return CameraEstimate(cameras, torch.ones(count, 3, 4), torch.ones(count), torch.zeros(count, 6, 6))


def test_a_still_clip_has_its_middle_frame():
    assert choose_keyframes(walk([0.0] * 7)) == (3,)
    assert choose_keyframes(walk([0.0, 0.01])) == (1,)
    assert choose_keyframes(walk([0.0])) == (0,)


def test_a_walk_has_a_keyframe_wherever_the_picture_has_moved_on():
    """0.8 * 0.1 widths a frame, times 13 / 12 (far, typical and near surfaces): beyond 0.28 after four frames."""
    assert choose_keyframes(walk([0.1 * i for i in range(12)]), spacing=0.28) == (0, 4, 8)
    assert choose_keyframes(walk([0.1 * i for i in range(12)]), spacing=0.1) == (0, 2, 4, 6, 8, 10)


def test_where_a_camera_moves_fast_every_frame_is_a_keyframe():
    """A depth map that is rendered from a code a wide step away is torn at the border, where near things pass."""
    assert choose_keyframes(walk([0.12 * i for i in range(20)])) == tuple(range(20))


def test_a_camera_that_comes_back_needs_no_new_keyframe():
    assert choose_keyframes(walk([0.0, 0.2, 0.4, 0.2, 0.0]), spacing=0.25) == (0, 2)


def test_every_frame_is_near_a_keyframe():
    torch.manual_seed(0)
    estimate = walk((torch.randn(20).cumsum(0) * 0.2).tolist())
    keyframes = choose_keyframes(estimate, 0.25)
    centres = estimate.cameras.world_from_camera[:, 0, 3]
    distance = 0.8 * (centres[:, None] - centres[list(keyframes)]).abs().min(1).values
    assert len(keyframes) > 2
    assert distance.max() <= 0.25 + 1e-6


def test_contexts_hold_the_keyframe_and_lie_within_useful_parallax():
    shifts = [0.05 * i for i in range(21)]
    contexts = choose_contexts(walk(shifts), 10, 4)
    assert 10 in contexts
    assert contexts == sorted(set(contexts))
    assert len(contexts) == 4
    parallax = [0.8 * abs(shifts[i] - shifts[10]) for i in contexts if i != 10]
    assert all(CONTEXT_RANGE[0] <= p <= CONTEXT_RANGE[1] for p in parallax)
    assert max(parallax) > 0.15, "wide baselines are among them"


def orbit(degrees: float, frames: int) -> CameraEstimate:
    """Cameras on a circle about a point at depth 1 that they look at, so many degrees apart."""
    turned = torch.zeros(frames, 6)
    turned[:, 1] = -torch.arange(frames) * math.radians(degrees)
    away = torch.eye(4)
    away[2, 3] = 1.0
    still = walk([0.0] * frames)
    pose = away @ se3_exp(turned) @ invert(away)
    return replace(still, cameras=Cameras(pose, still.cameras.intrinsics))


def test_round_a_thing_that_stays_in_the_middle_keyframes_follow_as_the_room_behind_it_turns():
    """Of an orbit of 160 degrees, the point in the middle never moves; its sides come into view all the same."""
    estimate = orbit(4.0, 40)
    keyframes = choose_keyframes(estimate)
    assert max(later - earlier for earlier, later in itertools.pairwise(keyframes)) * 4 <= 12
    for keyframe in keyframes:
        contexts = choose_contexts(estimate, keyframe, 4)
        assert max(abs(one - keyframe) for one in contexts) * 4 <= 24


def test_contexts_of_still_and_tiny_clips():
    assert choose_contexts(walk([0.0] * 6), 2, 3).count(2) == 1
    assert len(choose_contexts(walk([0.0] * 6), 2, 3)) == 3
    assert choose_contexts(walk([0.0]), 0, 4) == [0]
    assert choose_contexts(walk([0.0, 0.1]), 1, 4) == [0, 1]
    assert choose_contexts(walk([0.1 * i for i in range(9)]), 4, 1) == [4], "one context is the keyframe alone"


def code(shift: float, colour: float, rows: int = 6, columns: int = 8) -> MultiplaneVolume:
    """An opaque grey plane at inverse depth 1 in front of a camera at x = shift."""
    twist = torch.tensor([[0.0, 0.0, 0.0, shift, 0.0, 0.0]])
    reference = Cameras(se3_exp(twist), pinhole_intrinsics(torch.full((1,), 0.8), 32, 24))
    density = torch.full((1, rows, columns), 30.0)
    return MultiplaneVolume(density, torch.full((3, 1, rows, columns), colour), torch.ones(1), reference)


def views(shifts: list[float]) -> Cameras:
    return walk(shifts).cameras


def scene(colours: dict[float, float]) -> Scene:
    """Codes of cameras that stand at the given places, each of one grey, every frame a keyframe."""
    count = len(colours)
    clip = VideoClip(torch.zeros(count, 3, 24, 32), torch.arange(count), torch.arange(count) / 10)
    codes = tuple(code(shift, colour) for shift, colour in colours.items())
    return Scene(clip, walk(list(colours)), tuple(range(count)), codes)


def test_one_code_is_rendered_as_it_is():
    alone = render_keyframes(scene({0.0: 0.5}), views([0.0, 0.1]), FrustumRenderer(), (16, 12))
    direct = FrustumRenderer()(code(0.0, 0.5)[None], views([0.0, 0.1])[None], 12, 16)[0]
    torch.testing.assert_close(alone.rgb, direct.rgb)
    torch.testing.assert_close(alone.disparity, direct.disparity)
    assert alone.rgb.shape == (2, 3, 12, 16)


def test_nearer_codes_count_more_and_halfway_both_alike():
    way = views([0.0, 0.1, 0.2, 0.3, 0.4])
    seen = render_keyframes(scene({0.0: 0.0, 0.4: 1.0}), way, FrustumRenderer(), (16, 12)).rgb[:, 0, 6, 8]
    assert (seen.diff() > 0).all()
    torch.testing.assert_close(seen[2], torch.tensor(0.5), atol=1e-3, rtol=0)
    assert seen[0] < 0.02
    assert seen[4] > 0.98


def test_what_one_code_does_not_see_comes_from_the_other():
    """At x = 0 the code of the camera at 0.4 sees only the right 68 % of the picture; the left is all the first's."""
    seen = render_keyframes(scene({0.0: 0.0, 0.4: 1.0}), views([0.2]), FrustumRenderer(), (16, 12))
    assert seen.rgb[..., 0].max() < 1e-3, "left of the second code's frustum"
    assert seen.rgb[..., -1].min() > 0.99, "right of the first code's frustum"
    assert seen.opacity.min() > 0.99


def test_the_farther_codes_are_left_out():
    """Three codes in a row: the view at the first is drawn from the first two alone."""
    two = render_keyframes(scene({0.0: 0.2, 0.2: 0.5}), views([0.0]), FrustumRenderer(), (16, 12))
    three = render_keyframes(scene({0.0: 0.2, 0.2: 0.5, 0.4: 1.0}), views([0.0]), FrustumRenderer(), (16, 12))
    torch.testing.assert_close(three.rgb, two.rgb)


def test_farther_codes_fill_what_the_nearest_leave_unseen():
    """Two codes beside the view see only its right side; the third, farther away, sees its left side."""
    view, renderer = views([0.0]), FrustumRenderer()
    without = render_keyframes(scene({0.3: 0.2, 0.35: 0.2}), view, renderer, (16, 12))
    filled = render_keyframes(scene({0.3: 0.2, 0.35: 0.2, -0.4: 1.0}), view, renderer, (16, 12))
    assert without.opacity[..., 0].max() < 0.01
    assert filled.opacity.min() > 0.99
    assert filled.rgb[..., 0].min() > 0.99
    torch.testing.assert_close(filled.rgb[..., -1], without.rgb[..., -1], atol=1e-3, rtol=0)


def test_a_view_asks_few_codes_even_where_none_sees_it():
    asked: list[float] = []

    class Counting(FrustumRenderer):
        def forward(self, structure, views, height, width):
            asked.append(structure.reference.world_from_camera[0, 0, 0, 3].item())
            return super().forward(structure, views, height, width)

    codes = {5.0 + 0.1 * number: 0.5 for number in range(9)}
    render_keyframes(scene(codes), views([0.0]), Counting(), (16, 12))
    assert len(asked) == MOST_CODES


def test_codes_are_ranked_by_the_depth_of_the_scene_not_of_their_planes():
    """The same place, turned by 0.15 rad, against a step of 0.1: in a scene ten units away the step is the nearer one,
    though half of the code's planes lie within one unit."""
    places = torch.zeros(3, 6)
    places[1, 1], places[2, 3] = 0.15, 0.1  # [rotation, translation] of the turned and the moved camera
    cameras = Cameras(se3_exp(places), pinhole_intrinsics(torch.full((3,), 0.8), 32, 24))
    far = CameraEstimate(cameras, torch.full((3, 3, 4), 0.1), torch.ones(3), torch.zeros(3, 6, 6))
    codes = []
    for number, colour in ((1, 0.0), (2, 1.0)):
        planes = torch.tensor([3.0, 2.0, 0.1])
        density = torch.zeros(3, 6, 8)
        density[2] = 30.0
        codes.append(MultiplaneVolume(density, torch.full((3, 3, 6, 8), colour), planes, cameras.select([number])))
    clip = VideoClip(torch.zeros(3, 3, 24, 32), torch.arange(3), torch.arange(3) / 10)
    view = cameras.select([0])
    seen = render_keyframes(Scene(clip, far, (1, 2), tuple(codes)), view, FrustumRenderer(), (16, 12))
    assert seen.rgb[0, 0, 6, 8] > 0.9


def test_a_widened_camera_sees_the_same_pixels_inside_a_margin():
    camera = walk([0.0]).cameras
    wide, (width, height) = widened_camera(camera, 100, 80)
    assert (width, height) == (round(100 * (1 + 2 * MARGIN)), round(80 * (1 + 2 * MARGIN)))
    point = torch.tensor([0.2, -0.1, 1.0])
    narrow_pixel = project(point, camera.intrinsics[0]) * torch.tensor([100.0, 80.0])
    wide_pixel = project(point, wide.intrinsics[0]) * torch.tensor([width, height])
    margin = MARGIN * torch.tensor([100.0, 80.0])
    torch.testing.assert_close(wide_pixel, narrow_pixel + margin, atol=1e-3, rtol=0)


def test_a_long_walk_has_so_many_keyframes_at_most():
    keyframes = choose_keyframes(walk([0.12 * i for i in range(3 * MOST_KEYFRAMES)]))
    assert MOST_KEYFRAMES / 2 < len(keyframes) <= MOST_KEYFRAMES
