"""Reconstruction, depth and pose transfer on a scene whose every image is known: a slanted, coloured wall."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_fakes import FakeSource

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.evaluation.protocols.reconstruction_protocol import RenderableScene, run_reconstruction_protocol
from video_ae.evaluation.protocols.transfer_protocol import moved_points, run_transfer_protocol
from video_ae.evaluation.tables import markdown_tables
from video_ae.evaluation.true_depth import load_true_depth
from video_ae.geometry.pinhole import camera_rays
from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.types import Cameras, RenderedViews, VideoClip

SIZE = (64, 48)
INTRINSICS = torch.tensor([0.8, 0.8 * 64 / 48, 0.5, 0.5])
STEP = 0.05


def wall(cameras):
    """What cameras see of the wall z = 4 + x / 2: a smooth pattern of its points, and the disparity."""
    images, disparities = [], []
    for pose, intrinsics in zip(cameras.world_from_camera.double(), cameras.intrinsics.double(), strict=True):
        rays = camera_rays(intrinsics, SIZE[1], SIZE[0]) @ pose[:3, :3].T
        depth = (4 + pose[0, 3] / 2 - pose[2, 3]) / (rays[..., 2] - rays[..., 0] / 2)
        points = pose[:3, 3] + rays * depth[..., None]
        colours = [points[..., 0] * 1.5, points[..., 1] * 1.7 + 1, (points[..., 0] + points[..., 1]) * 1.3]
        images.append(torch.stack([0.5 + 0.4 * colour.sin() for colour in colours]).float())
        disparities.append((1 / depth).float())
    return torch.stack(images), torch.stack(disparities)


def path(frames, seed):
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(3, generator=generator, dtype=torch.float64) * 0.03
    turn = torch.randn(3, generator=generator, dtype=torch.float64) * 0.006
    number = torch.arange(frames, dtype=torch.float64)[:, None]
    return Cameras(rigid(so3_exp(number * turn), number * direction).float(), INTRINSICS.repeat(frames, 1))


class Walls(ClipSource):
    """Three walks in front of the wall, and their true depth in a folder."""

    def __init__(self, root):
        self.names, self.skipped = ["a", "b", "c"], {}
        (root / "depth").mkdir()
        self.clips = []
        for seed, name in enumerate(self.names):
            cameras = path(26, seed)
            frames, disparity = wall(cameras)
            numbers = torch.arange(26)
            self.clips.append(VideoClip(frames, numbers, numbers.double() / 10, cameras, name))
            buffer = ((1 / disparity.numpy() - 0.5) / STEP).round().astype(np.uint8)
            np.savez(root / "depth" / f"{name}.npz", buffer=buffer, scale=STEP, offset=0.5)

    def frame_count(self, number):
        return 26

    def load(self, number, indices=None, size=None, fit="stretch"):
        clip = self.clips[number]
        return clip if indices is None else clip.select(list(indices))

    def true(self, clip):
        whole = next(known for known in self.clips if known.name == clip.name)
        return whole.cameras.select(slice(0, len(clip)))

    def scene(self, clip):
        """The wall itself, in a world three times as large."""
        known = self.true(clip)

        def render(cameras):
            poses = cameras.world_from_camera.clone()
            poses[:, :3, 3] /= 3
            images, disparity = wall(replace(cameras, world_from_camera=poses))
            return RenderedViews(images, disparity / 3, torch.ones_like(disparity))

        return RenderableScene(self.enlarged(known, 3), render)

    @staticmethod
    def enlarged(cameras, scale):
        poses = cameras.world_from_camera.clone()
        poses[:, :3, 3] *= scale
        return replace(cameras, world_from_camera=poses)


@pytest.fixture(scope="module")
def walls(tmp_path_factory):
    root = tmp_path_factory.mktemp("walls")
    return root, Walls(root)


def test_what_nobody_saw_has_no_depth_and_counts_as_an_error_of_one(walls):
    root, source = walls

    def half_blind(clip):
        whole = source.scene(clip)

        def render(cameras):
            views = whole.render(cameras)
            seen = torch.zeros_like(views.opacity)
            seen[..., : seen.shape[-1] // 2] = 1
            return RenderedViews(views.rgb, views.disparity * seen, views.opacity * seen)

        return RenderableScene(whole.cameras, render)

    seeing = run_reconstruction_protocol(source, root, {"oracle": source.scene}).result.clips["a"]
    blind = run_reconstruction_protocol(source, root, {"half blind": half_blind}).result.clips["a"]
    assert blind["depth_abs_rel"] == pytest.approx(0.5, abs=0.05)
    assert blind["depth_within_25_percent"] == pytest.approx(0.5 * seeing["depth_within_25_percent"], abs=0.05)


def test_a_perfect_reconstruction_and_its_depth(walls):
    root, source = walls
    kept = []
    result = run_reconstruction_protocol(
        source, root, {"oracle": source.scene}, observers=[lambda *found: kept.append(found)]
    )
    row = result.result.clips["a"]
    assert row["psnr"] > 90
    assert row["frames"] == 7
    assert row["depth_abs_rel"] < 0.5 * STEP / 3  # the truth is that coarse
    assert row["depth_within_25_percent"] == 1
    assert result.baselines["middle frame"].clips["a"]["psnr"] < row["psnr"] - 40
    assert result.baselines["middle frame"].clips["a"]["depth_abs_rel"] > 0.05
    assert result.settings["step_of_the_true_depth"] == [pytest.approx(STEP)]
    assert [(label, name, frame) for label, name, frame, *_ in kept[:2]] == [("oracle", "a", 0), ("oracle", "a", 4)]
    assert "depth, mean |found - true|" in markdown_tables(result.to_dict())


def test_a_failed_reconstruction_is_grey_and_counted(walls):
    root, source = walls

    def fails(clip):
        raise UserError("no scene")

    row = run_reconstruction_protocol(source, root, {"fails": fails}).result.clips["a"]
    assert (row["failure"], row["frames"]) == ("no scene", 7)
    assert 0 < row["psnr"] < 20


def test_transfer_of_the_true_path_moves_every_point_as_it_should(walls):
    root, source = walls

    def poses(clip):
        return PoseEstimate(source.enlarged(source.true(clip), 0.2))

    result = run_transfer_protocol(source, root, poses, source.scene, "oracle")
    assert list(result.result.clips) == ["a <- c", "b <- a", "c <- b"]
    for clip, row in result.result.clips.items():
        assert row["point_psnr"] > 40, clip  # what the truth's coarse depth and sampling leave
        assert row["point_psnr"] == pytest.approx(result.baselines["true motion"].clips[clip]["point_psnr"], abs=0.5)
        assert result.baselines["first frame"].clips[clip]["point_psnr"] < row["point_psnr"] - 8
        assert row["points_percent"] > 60


def test_transfer_of_a_wrong_path_is_seen(walls):
    root, source = walls

    def mirrored(clip):
        cameras = source.enlarged(source.true(clip), -1.0)
        turned = cameras.world_from_camera.clone()
        turned[:, :3, :3] = turned[:, :3, :3].mT
        return PoseEstimate(replace(cameras, world_from_camera=turned))

    right = run_transfer_protocol(source, root, lambda clip: PoseEstimate(source.true(clip)), source.scene).result.mean
    wrong = run_transfer_protocol(source, root, mirrored, source.scene).result.mean
    assert wrong["point_psnr"] < right["point_psnr"] - 8


def test_transfer_needs_true_depth(walls, tmp_path):
    _, source = walls
    with pytest.raises(UserError, match="no true depth"):
        run_transfer_protocol(source, tmp_path, lambda clip: PoseEstimate(source.true(clip)), source.scene)


def test_transfer_refuses_clips_that_are_too_short(tmp_path):
    with pytest.raises(UserError, match="'clip1' has 4 frames, and 13 are needed"):
        run_transfer_protocol(FakeSource((25, 4)), tmp_path, lambda clip: PoseEstimate(clip.cameras), lambda clip: None)


def test_moved_points_by_hand():
    """One step forward from 4 to 3 away: a point at the quarter of the width moves out by a third."""
    camera = Cameras(torch.eye(4)[None], torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    motion = torch.eye(4, dtype=torch.float64)
    motion[2, 3] = 1.0
    depth = torch.full((2, 4), 4.0)
    depth[0, 0] = torch.nan
    uv, visible = moved_points(depth, camera, motion)
    torch.testing.assert_close(uv[1, 1], torch.tensor([0.5 - 0.125 * 4 / 3, 0.5 + 0.25 * 4 / 3]).double())
    # The outer columns move to exactly 0 and 1, and an image reaches from 0 to just below 1.
    assert visible.tolist() == [[False, True, True, False], [True, True, True, False]]


def test_what_is_hidden_by_something_nearer_does_not_count():
    """The left half is near, the right half far; a step to the right brings near points over far ones."""
    camera = Cameras(torch.eye(4)[None], torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    depth = torch.full((8, 16), 10.0)
    depth[:, :8] = 1.0
    motion = torch.eye(4, dtype=torch.float64)
    motion[0, 3] = -0.5  # the camera moves left, so what is near moves right, over what is far
    _, visible = moved_points(depth, camera, motion)
    assert visible[:, :8].float().mean() > 0.9
    assert visible[:, 8:11].float().mean() < 0.3
    assert visible[:, 13:15].all()


def test_depth_files(tmp_path):
    assert load_true_depth(tmp_path, "a") is None
    (tmp_path / "depth").mkdir()
    (tmp_path / "depth" / "a.npz").write_bytes(b"no")
    with pytest.raises(UserError, match="is not a depth file"):
        load_true_depth(tmp_path, "a")
    np.savez(tmp_path / "depth" / "b.npz", buffer=np.array([[[0, 10, 255]]], np.uint8), scale=0.1, offset=0.5)
    depth = load_true_depth(tmp_path, "b").depth
    assert depth.isnan().tolist() == [[[True, False, True]]]
    assert depth[0, 0, 1].item() == pytest.approx(1.5)
