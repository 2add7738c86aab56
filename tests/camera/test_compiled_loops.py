"""The compiled loops of the camera solver give what their twins in tensor operations give."""

import os
import subprocess
import sys
from dataclasses import fields, replace

import pytest
import torch

from video_ae import compiled
from video_ae.camera import direction_search, normal_equations, optical_flow, reprojection
from video_ae.camera.features import LocalContrast, feature_pyramid
from video_ae.camera.frame_graph import FrameGraph, frame_pairs
from video_ae.camera.problem import Correspondences, Priors, SceneState
from video_ae.camera.solver import CameraSolver
from video_ae.geometry.se3 import invert, se3_exp

pytestmark = pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")


@pytest.fixture
def twins_only(monkeypatch):
    """A function after whose call no compiled loop is used."""
    return lambda: [
        monkeypatch.setattr(module, "usable", lambda *_: False)
        for module in (direction_search, normal_equations, optical_flow, reprojection)
    ]


def textured_frames(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A smooth random texture that moves by a pixel or two a frame."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, height // 4 + 8, width // 4 + 8, generator=generator)
    texture = torch.nn.functional.interpolate(noise, scale_factor=4, mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return torch.stack([texture[:, i : i + height, 2 * i : 2 * i + width] for i in range(count)])


def random_scene(frames: int = 6, points: int = 40) -> tuple[SceneState, Correspondences, Priors]:
    """Matches of all kinds: near, far off, behind the target camera, and without information."""
    generator = torch.Generator().manual_seed(3)
    state = SceneState(
        se3_exp(torch.randn(frames, 6, generator=generator) * 0.1),
        0.5 + torch.rand(frames, points, generator=generator),
        torch.tensor(70.0).log(),
    )
    image = (torch.rand(points, 2, generator=generator) - 0.5) * torch.tensor([85.0, 64.0])
    source, target = frame_pairs(frames, (1, 2, 4))
    poses = state.camera_from_world.clone()
    poses[-1, 2, 3] = -1.5  # the last camera is past half of the points
    state = replace(state, camera_from_world=poses)
    seen = reprojection.predict_points(state, image, source, target)
    assert 0 < (~seen.in_front).sum() < seen.in_front.numel() / 2
    root = torch.randn(len(source), points, 2, 2, generator=generator)
    information = root @ root.mT
    information[:, ::7] = 0
    noise = torch.randn(len(source), points, 2, generator=generator) * 2
    matches = Correspondences(source, target, image, seen.image + noise, information)
    ones = torch.ones(frames, points)
    return state, matches, Priors(ones, ones, state.log_focal + 0.1, 50.0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (6, 9), (2, 3)])
def test_optical_flow_of_a_level(channels, height, width):
    frames = textured_frames(5, height, width)
    maps = frames if channels == 3 else LocalContrast()(frames)
    edges = frame_pairs(5, (1, 3))
    start = torch.full((edges.shape[1], 2, height, width), 0.3)
    start[0] += 100  # leaves the frame
    twin = optical_flow.refine_level(maps, edges, start, 4, 0.05)
    found = optical_flow.refine_level_compiled(maps, edges, start, 4, 0.05)
    torch.testing.assert_close(found.flow, twin.flow, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(found.structure, twin.structure, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.error, twin.error, atol=1e-4, rtol=1e-4)
    assert (found.inside != twin.inside).float().mean() < 1e-3
    assert (start[1:] == 0.3).all(), "the start is left as it was"


def test_flow_that_is_no_number_stays_one_and_reads_nothing_outside():
    maps = LocalContrast()(textured_frames(2, 16, 24))
    edges, start = frame_pairs(2, (1,)), torch.zeros(2, 2, 16, 24)
    start[0, 0, 3, 4], start[1, 1] = float("nan"), float("inf")
    found = optical_flow.refine_level_compiled(maps, edges, start, 2, 0.05)
    assert found.flow[0, 0, 3, 4].isnan()
    assert found.flow.shape == start.shape


def in_double(record):
    """A record of tensors in float64, where the twins' values are exact for our purposes."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    floats = {k: v.double() for k, v in values.items() if isinstance(v, torch.Tensor) and v.is_floating_point()}
    return replace(record, **floats)


def assert_as_exact(found, twin, truth, name: str) -> None:
    """The compiled loop is off by no more than the twin in float32, up to a factor."""
    allowed = 4 * (twin - truth).abs().max() + 1e-6 * truth.abs().max()
    assert (found - truth).abs().max() <= allowed, name


def test_normal_equations():
    state, matches, priors = random_scene()

    def terms(of, state, matches):
        slots, columns = normal_equations._columns(matches, len(state))
        adjoints = normal_equations.adjoint(normal_equations.relative_poses(state, matches.source, matches.target))
        return of(state, matches, adjoints, slots, columns.shape[1])

    found = terms(normal_equations._compiled_terms, state, matches)
    twin = terms(normal_equations._terms, state, matches)
    truth = terms(normal_equations._terms, in_double(state), in_double(matches))
    for name in vars(truth):
        assert_as_exact(getattr(found, name), getattr(twin, name), getattr(truth, name), name)
    system, right = normal_equations.reduced_system(normal_equations.normal_equations(state, matches, priors), 1e-3)
    assert system.isfinite().all()
    assert right.isfinite().all()


def test_costs_of_matches(twins_only):
    state, matches, _ = random_scene()
    found = reprojection.match_costs(state, matches)
    twins_only()
    truth = reprojection.match_costs(in_double(state), in_double(matches))
    assert_as_exact(found, reprojection.match_costs(state, matches), truth, "cost")


def test_costs_of_directions(twins_only):
    _, matches, _ = random_scene()
    directions = direction_search.directions_on_sphere(24)
    found = direction_search.motion_costs(matches, 70.0, directions)
    twins_only()
    twin = direction_search.motion_costs(matches, 70.0, directions)
    truth = direction_search.motion_costs(in_double(matches), 70.0, directions.double())
    for name in vars(truth):
        assert_as_exact(getattr(found, name), getattr(twin, name), getattr(truth, name), name)


def test_cameras_of_a_clip(twins_only):
    frames = textured_frames(6, 40, 48)
    found = CameraSolver(size=32, search_size=32).solve(frames, refine_steps=1)
    twins_only()
    twin = CameraSolver(size=32, search_size=32).solve(frames, refine_steps=1)
    torch.testing.assert_close(found.cameras.intrinsics, twin.cameras.intrinsics, atol=1e-3, rtol=1e-3)
    motion = found.cameras.world_from_camera @ invert(twin.cameras.world_from_camera)
    torch.testing.assert_close(motion, torch.eye(4).expand_as(motion), atol=2e-3, rtol=0)
    assert found.notes == twin.notes


def test_threads_share_the_edges(monkeypatch):
    graph = FrameGraph(textured_frames(4, 32, 40), LocalContrast(), 2, 4)
    edges = frame_pairs(4, (1, 2))
    alone = optical_flow.estimate_flow(graph.pyramid, edges)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    torch.testing.assert_close(optical_flow.estimate_flow(graph.pyramid, edges).flow, alone.flow, atol=0, rtol=0)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_turn_of_a_loop_is_done_once(monkeypatch, count):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    done: list[int] = []
    compiled.spread(count, lambda into, first, last: into.extend(range(first, last)), done)
    assert sorted(done) == list(range(count))


def test_what_a_kernel_cannot_take():
    number = torch.zeros(2)
    assert compiled.usable(number)
    assert not compiled.usable(number, number.double())
    assert not compiled.usable(number.to("meta"))
    wanted = torch.zeros(2, requires_grad=True)
    assert not compiled.usable(wanted)
    with torch.no_grad():
        assert compiled.usable(wanted)


def test_without_numba_the_twins_run_and_one_sentence_says_so():
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch; from video_ae.camera.solver import CameraSolver\n"
        "frames = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))\n"
        "solve = CameraSolver(size=16, search_size=16).solve\n"
        "for _ in range(2): print(solve(frames).cameras.world_from_camera.shape)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.count("torch.Size([3, 4, 4])") == 2
    assert ran.stderr.count("Numba is not installed") == 1, ran.stderr


def test_where_nothing_can_be_written_each_process_compiles(monkeypatch):
    given = []

    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        given.append(options)
        return lambda function: function

    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled.kernel(len) is len
    assert [options["nogil"] for options in given] == [True]


def test_compiling_is_announced_and_what_is_compiled_is_kept(tmp_path):
    program = (
        "import sys, torch; from video_ae.camera.reprojection import match_costs\n"
        "from video_ae.camera.problem import Correspondences, SceneState\n"
        "edge, zeros = torch.tensor([0]), torch.zeros(1, 3, 2)\n"
        "state = SceneState(torch.eye(4).repeat(2, 1, 1), torch.ones(2, 3), torch.tensor(4.0))\n"
        "matches = Correspondences(edge, edge + 1, zeros[0], zeros, torch.zeros(1, 3, 2, 2))\n"
        "for _ in range(2): match_costs(state, matches)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        ).stderr.count("Compiling for this processor")
        for _ in range(2)
    ]  # fmt: skip
    assert said == [1, 0]


def test_features_of_a_pyramid_level_of_two_pixels_are_enough():
    graph = feature_pyramid(LocalContrast(), textured_frames(2, 12, 16), 4)
    assert min(graph[-1].shape[-2:]) >= 2
