"""Gaussians from frustum voxels, looked at by a splat renderer that knows only the file."""

from pathlib import Path

import pytest
import torch

from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.formats.ply import write_gaussians
from video_ae.geometry.frustum import widened_camera
from video_ae.geometry.se3 import invert
from video_ae.models.open import load_model
from video_ae.scene import gaussians
from video_ae.scene.gaussians import scene_gaussians
from video_ae.types import CameraEstimate, Cameras, Scene

pytest.importorskip("plyfile")
from splat_renderer import render_splats

CLIPS = Path(__file__).parents[2] / "data" / "walkthroughs" / "test"
KEYFRAMES, FRAMES = (2, 6), range(0, 18, 2)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A walk-through, its true cameras (solving them takes longer), and the shipped model's codes at two frames."""
    clip = RealEstate10K(CLIPS).load(0, list(FRAMES), (128, 96), "stretch")
    pose = invert(clip.cameras.world_from_camera[:1]) @ clip.cameras.world_from_camera
    cameras = Cameras(pose, clip.cameras.intrinsics).to(torch.float32)
    count = len(clip)
    maps = torch.full((count, 6, 8), 0.4)
    estimate = CameraEstimate(cameras, maps, torch.ones(count), torch.eye(6).expand(count, 6, 6))
    codes = []
    model = load_model(None)
    with torch.no_grad():
        for keyframe in KEYFRAMES:
            reference, size = widened_camera(cameras.select([keyframe]), *clip.image_size)
            contexts = [keyframe - 2, keyframe - 1, keyframe, keyframe + 2]
            seen = clip.frames[None, contexts]
            codes.append(model.encode_structure(seen, estimate[None], contexts, reference[None], size)[0])
    return Scene(clip, estimate, KEYFRAMES, tuple(codes))


def splats(scene: Scene, path: Path, frame: int) -> torch.Tensor:
    width, height = scene.clip.image_size
    fx, fy, cx, cy = (scene.cameras.intrinsics[frame] * torch.tensor([width, height, width, height])).tolist()
    view = invert(scene.cameras.world_from_camera[frame].double())
    return render_splats(path, view, fx, fy, cx, cy, width, height).permute(2, 0, 1).float()


def psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    return -10 * (first - second).square().mean().log10().item()


def test_the_splats_show_the_walk_through(scene, tmp_path):
    cloud = scene_gaussians(scene)
    write_gaussians(tmp_path / "gaussians.ply", cloud)
    assert (tmp_path / "gaussians.ply").stat().st_size < 15e6
    for frame in (1, 4, 7):  # none of them holds a code
        picture = splats(scene, tmp_path / "gaussians.ply", frame)
        input = scene.clip.frames[frame]
        blank = psnr(input.mean((1, 2), keepdim=True), input)
        copied = psnr(scene.clip.frames[KEYFRAMES[0]], input)
        assert psnr(picture, input) > max(blank + 6, copied + 2, 20), (frame, psnr(picture, input), blank, copied)


def test_what_one_keyframe_shows_another_leaves_out(scene):
    alone = [len(scene_gaussians(Scene(scene.clip, scene.camera, (k,), (s,)))) for k, s in
             zip(scene.keyframes, scene.structures, strict=True)]  # fmt: skip
    assert max(alone) < len(scene_gaussians(scene)) < 0.8 * sum(alone)


def test_no_more_than_the_limit(scene, monkeypatch):
    whole = scene_gaussians(scene)
    monkeypatch.setattr(gaussians, "MOST_GAUSSIANS", 5000)
    monkeypatch.setattr(gaussians, "MOST_PER_FRAME", 0)
    few = scene_gaussians(scene)
    assert len(few) == 5000
    assert few.scale.median() > 2 * whole.scale.median()  # wider, so that no gaps open
    torch.testing.assert_close(torch.linalg.det(few.rotation), torch.ones(5000), atol=1e-4, rtol=0)
    assert few.opacity.min() > 0
    assert few.opacity.max() < 1
