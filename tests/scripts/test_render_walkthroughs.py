"""Walk-throughs: the same seed writes the same cameras, poses agree with the depth, the committed clips are whole."""

import doctest
import hashlib
import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "render_walkthroughs.py"
DATA = ROOT / "data" / "walkthroughs"
FROZEN = ("test", "dense", "hard", "slow", "rates")
SPLITS = ("train", "validation", "test")

sys.path.insert(0, str(SCRIPT.parent))


def read_cameras(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics (frame, 4) and camera-from-world matrices (frame, 4, 4)."""
    table = np.array([line.split() for line in file.read_text().splitlines()[1:]], float)
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3] = table[:, 7:].reshape(-1, 3, 4)
    return table[:, 1:5], poses


def test_same_seed_writes_same_cameras(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("vizdoom", reason="rendering needs the extra `walkthroughs` (vizdoom)")
    from render_walkthroughs import main

    for folder in ("a", "b"):
        main(["--split", "train", "--clips", "1", "--frames", "7", "--size", "64x48", "--out", str(tmp_path / folder)])
    first, again = capsys.readouterr().out.split()
    text = (tmp_path / "a" / "cameras" / f"{first}.txt").read_text()
    assert text == (tmp_path / "b" / "cameras" / f"{again}.txt").read_text()
    videos = [(tmp_path / folder / "videos" / f"{first}.mp4").read_bytes() for folder in ("a", "b")]
    assert videos[0] == videos[1]
    _, poses = read_cameras(tmp_path / "a" / "cameras" / f"{first}.txt")
    assert len(poses) == 7
    assert np.linalg.norm(np.diff(np.linalg.inv(poses)[:, :3, 3], axis=0), axis=1).min() > 0.02  # metres
    with av.open(str(tmp_path / "a" / "videos" / f"{first}.mp4")) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(64, 48)] * 7


def test_worked_numbers_of_the_conventions() -> None:
    pytest.importorskip("vizdoom", reason="the images' module needs the extra `walkthroughs` (vizdoom)")
    from walkthroughs import images

    failed, tried = doctest.testmod(images)
    assert (failed, tried) == (0, 3)


def test_maps_of_the_splits_are_disjoint() -> None:
    maps = json.loads((DATA / "maps.json").read_text())
    names = [name for split in SPLITS for name in maps[split]]
    assert len(names) == len(set(names)) == 36 + 32


@pytest.mark.parametrize("split", [*SPLITS, "dense", "hard"])
def test_committed_clips_have_a_camera_for_each_frame(split: str) -> None:
    videos = sorted((DATA / split / "videos").glob("*.mp4"))
    assert videos
    for video in videos:
        intrinsics, poses = read_cameras(DATA / split / "cameras" / f"{video.stem}.txt")
        with av.open(str(video)) as container:
            frames = [(frame.width, frame.height, frame.pts) for frame in container.decode(video=0)]
        assert len(frames) == len(poses)
        width, height, _ = frames[0]
        assert np.ptp(intrinsics, axis=0).max() == 0 or video.stem.endswith("+zoom")
        np.testing.assert_allclose(intrinsics[0, 0] * width, intrinsics[0, 1] * height, rtol=1e-6)
        rotations = poses[:, :3, :3]
        np.testing.assert_allclose(
            rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (len(poses), 1, 1)), atol=1e-6
        )
        np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)


def test_test_clips_are_the_frozen_ones() -> None:
    lines = (DATA / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = [file for split in FROZEN for file in (DATA / split).rglob("*") if file.is_file()]
    present = {str(file.relative_to(DATA)) for file in files}
    assert set(listed) == present
    for name, digest in listed.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest, name


def test_depth_agrees_with_the_poses() -> None:
    """Points of one frame, moved to a frame three later, lie on surfaces of that frame's depth map."""
    files = sorted((DATA / "test" / "depth").glob("*.npz"))
    assert files
    for file in files:
        stored = np.load(file)
        steps = stored["buffer"]
        depth = steps * stored["scale"] + stored["offset"]
        intrinsics, poses = read_cameras(DATA / "test" / "cameras" / f"{file.stem}.txt")
        height, width = depth.shape[1:]
        fx, fy, cx, cy = intrinsics[0] * [width, height, width, height]
        u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)], -1)
        known = steps[0] < 255
        points = (rays * depth[0][..., None])[known]
        motion = poses[3] @ np.linalg.inv(poses[0])
        moved = points @ motion[:3, :3].T + motion[:3, 3]
        column = np.floor(moved[:, 0] / moved[:, 2] * fx + cx).astype(int)
        row = np.floor(moved[:, 1] / moved[:, 2] * fy + cy).astype(int)
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = depth[3][row[seen], column[seen]]
        assert seen.mean() > 0.5
        assert np.median(np.abs(found / moved[seen, 2] - 1)) < 0.03


def test_rays_meet_the_walls_of_a_marked_room() -> None:
    from walkthroughs import depth, paths, wad

    corners = np.array([[0, 0], [0, 400], [400, 400], [400, 0]], float)  # clockwise: fronts face inwards
    lines = np.zeros(4, wad.LINE)
    lines["start"], lines["end"] = [0, 1, 2, 3], [1, 2, 3, 0]
    lines["back"] = wad.NO_SIDE
    lines["front"] = np.arange(4)
    sectors = np.zeros(1, wad.SECTOR)
    sectors["ceiling"] = 128
    room = paths.FreeSpace(wad.DoomMap(np.zeros(0, wad.THING), lines, np.zeros(4, wad.SIDE), sectors, corners))
    assert room.clearance(np.array([[100.0, 200.0]])).tolist() == [100.0]
    assert room.sectors(np.array([[100.0, 200.0], [500.0, 200.0]])).tolist() == [0, -1]
    # From the west side, looking east: ahead the wall 300 away, half a unit down the floor, half a unit up the ceiling.
    rays = np.array([[[0.0, 0.0], [0.0, 0.5], [0.0, -0.5], [1.0, 0.0]]])
    found = depth.cast(room, np.array([100.0, 200.0, 48.0]), 0.0, rays)
    np.testing.assert_allclose(found, [[300, 96, 160, 200]], rtol=0.1)
