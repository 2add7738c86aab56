"""Laws that hold for whatever is given: geometry, which frames are drawn, shards, files that are written and read."""

import math
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from video_ae.datasets.clip_sampler import ClipSampler
from video_ae.datasets.packed_videos import ShardStore
from video_ae.datasets.shards import ShardWriter, StoredFrame
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json, write_cameras_json
from video_ae.formats.kitti import read_kitti, write_kitti
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.formats.tum import read_tum, write_tum
from video_ae.geometry.pinhole import project, unproject
from video_ae.geometry.se3 import invert, is_rigid, relative_to_first, se3_exp, se3_log
from video_ae.geometry.umeyama import align
from video_ae.training.data import Positions
from video_ae.types import Cameras

settings.register_profile("same every time", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("same every time")

numbers = st.floats(-1e3, 1e3, allow_subnormal=False)


def rows(columns: int, least: int, most: int, values: st.SearchStrategy[float] = numbers) -> st.SearchStrategy:
    row = st.lists(values, min_size=columns, max_size=columns)
    return st.lists(row, min_size=least, max_size=most).map(lambda found: torch.tensor(found, dtype=torch.float64))


twists = rows(6, 1, 5, st.floats(-1.8, 1.8, allow_subnormal=False))  # angles below pi


@given(twists)
def test_a_motion_is_its_logarithm_and_its_inverse_undoes_it(twist):
    pose = se3_exp(twist)
    assert is_rigid(pose).all()
    torch.testing.assert_close(se3_exp(se3_log(pose)), pose, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(pose @ invert(pose), torch.eye(4).double().expand_as(pose), rtol=0, atol=1e-9)


@given(rows(3, 1, 20), st.floats(0.05, 20), st.floats(0.05, 20))
def test_what_is_projected_is_found_again(points, fx, fy):
    points = torch.cat([points[:, :2], points[:, 2:].abs() + 0.01], 1)
    lens = torch.tensor([fx, fy, 0.5, 0.5], dtype=torch.float64).expand(len(points), 4)
    again = unproject(project(points, lens), lens) * points[:, 2:]
    torch.testing.assert_close(again, points, rtol=1e-9, atol=1e-9)


@given(rows(3, 0, 8), rows(3, 8, 8), st.sampled_from(["sim3", "se3", "scale", "none"]))
def test_an_alignment_is_always_finite_and_a_rotation(source, target, kind):
    found = align(source.reshape(-1, 3), target[: len(source)], kind)
    values = torch.cat([torch.as_tensor(found.scale).reshape(-1).double(), found.translation.flatten()])
    assert values.isfinite().all()
    torch.testing.assert_close(found.rotation @ found.rotation.T, torch.eye(3).double(), rtol=0, atol=1e-9)
    assert torch.linalg.det(found.rotation) > 0


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=30), st.integers(1, 12), st.integers(1, 6), st.integers(0, 9),
    st.booleans(), st.integers(0, 2**40),
)  # fmt: skip
def test_frames_of_a_clip_are_in_their_video_and_evenly_spaced(counts, length, gap, more, reverse, position):
    if max(counts) < (length - 1) * gap + 1:
        with pytest.raises(UserError):
            ClipSampler(counts, length, (gap, gap + more), reverse)
        return
    sampler = ClipSampler(counts, length, (gap, gap + more), reverse)
    choice = sampler.choose(1, position)
    assert choice == sampler.choose(1, position)
    assert len(choice.indices) == length
    assert 0 <= min(choice.indices) <= max(choice.indices) < counts[choice.video]
    steps = {abs(second - first) for first, second in zip(choice.indices, choice.indices[1:], strict=False)}
    assert len(steps) <= 1
    assert all(gap <= step <= gap + more for step in steps)


@given(st.integers(0, 1000), st.integers(1, 5), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_no_position_is_lost_or_taken_twice_whatever_the_number_of_devices(start, batch, devices):
    """devices: how many there are after each restart."""
    seen, at = list[int](), start
    for count in devices:
        steps = 3
        for rank in range(count):
            batches = islice(Positions(at, batch, rank, count), steps)
            seen += [position for positions in batches for position in positions]
        at += steps * count * batch
    assert sorted(seen) == list(range(start, at))


frames = st.builds(
    StoredFrame, st.binary(max_size=60), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)
)  # fmt: skip


@given(st.lists(st.lists(frames, min_size=1, max_size=5), min_size=1, max_size=5), st.integers(1, 400))
def test_shards_hold_what_was_added(segments, shard_bytes):
    with tempfile.TemporaryDirectory() as folder:
        writer = ShardWriter(Path(folder), shard_bytes)
        places = [writer.add(segment) for segment in segments]
        writer.finish()
        store = ShardStore(folder)
        for (shard, first), segment in zip(places, segments, strict=True):
            assert store.read(shard, range(first, first + len(segment))) == segment


trajectories = st.builds(
    lambda twist, lens, confidence: CameraTrajectory(
        Cameras(
            relative_to_first(se3_exp(twist)),
            torch.tensor([lens, lens, 0.5, 0.5], dtype=torch.float64).expand(len(twist), 4),
        ),
        torch.arange(len(twist)) * 3,
        torch.arange(len(twist)).double() / 7,
        torch.full((len(twist),), confidence, dtype=torch.float64),
        (640, 480),
    ),
    twists, st.floats(0.2, 5), st.floats(0, 1),
)  # fmt: skip


def from_json(path: Path, trajectory: CameraTrajectory) -> torch.Tensor:
    write_cameras_json(path, trajectory)
    again = read_cameras_json(path)
    assert torch.equal(again.cameras.intrinsics, trajectory.cameras.intrinsics)
    assert torch.equal(again.indices, trajectory.indices)
    assert torch.equal(again.times, trajectory.times)
    assert torch.equal(again.confidence, trajectory.confidence)
    return again.cameras.world_from_camera


def from_tum(path: Path, trajectory: CameraTrajectory) -> torch.Tensor:
    write_tum(path, trajectory)
    return read_tum(path)[1]


def from_kitti(path: Path, trajectory: CameraTrajectory) -> torch.Tensor:
    write_kitti(path, trajectory)
    return read_kitti(path)


@pytest.mark.parametrize("written_and_read", [from_json, from_tum, from_kitti])
@given(trajectories)
def test_trajectories_are_read_as_they_were_written(written_and_read: Callable, trajectory: CameraTrajectory):
    with tempfile.TemporaryDirectory() as folder:
        poses = written_and_read(Path(folder) / "t.txt", trajectory)
    assert math.isclose(float((poses - trajectory.cameras.world_from_camera).abs().max()), 0, abs_tol=1e-5)
