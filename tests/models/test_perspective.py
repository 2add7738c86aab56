"""The default model with cameras that are given, so that it is fast: who sees what, and what reaches whom."""

import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from video_ae.camera.base import CameraEncoder
from video_ae.formats.scene import read_scene, write_scene
from video_ae.geometry.frustum import MARGIN
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import se3_exp
from video_ae.models.base import Options
from video_ae.models.perspective import (
    PerspectiveAutoencoder,
    Split,
    fixed_split,
    nearest_inverse_depth,
    random_split,
    resize_short_side,
)
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.scene.source import FramesInMemory
from video_ae.scene.undistort import UndistortedReader
from video_ae.structure.plane_sweep import PlaneSweepEncoder
from video_ae.types import CameraEstimate, Cameras, LensOffset, VideoClip


class GivenCameras(CameraEncoder):
    """A slow walk to the right, whatever the frames show."""

    def solve(self, frames: Tensor, focal_over_width: float | None = None, *_: object) -> CameraEstimate:
        count, _, height, width = frames.shape
        twists = torch.zeros(count, 6)
        twists[:, 3] = 0.08 * torch.arange(count)
        focal = torch.full((count,), focal_over_width or 0.8)
        cameras = Cameras(se3_exp(twists), pinhole_intrinsics(focal, width, height))
        near = torch.linspace(0.5, 1.5, 12).view(3, 4).expand(count, 3, 4)
        return CameraEstimate(cameras, near, torch.ones(count), torch.zeros(count, 6, 6))


@pytest.fixture
def model() -> PerspectiveAutoencoder:
    torch.manual_seed(0)
    return PerspectiveAutoencoder(
        GivenCameras(), PlaneSweepEncoder(4), FrustumRenderer(), planes=5, working_side=16, scene_side=16
    )


def clip(frames: int, height: int = 18, width: int = 26, first: int = 0) -> VideoClip:
    pictures = torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(first))
    index = torch.arange(first, first + frames)
    return VideoClip(pictures, index, index / 30)


@pytest.mark.parametrize("frames", [2, 3, 5, 8])
def test_random_splits_never_show_what_must_be_rendered(frames):
    torch.manual_seed(0)
    counts, references_held_out = set(), 0
    for _ in range(200):
        split = random_split(frames, 4, 2)
        assert split.targets
        assert split.contexts
        assert not set(split.targets) & set(split.contexts)
        assert len(set(split.contexts)) == len(split.contexts) <= 4
        assert len(set(split.targets)) == len(split.targets) <= 2
        assert max(split.contexts + split.targets) < frames
        assert split.reference in split.contexts + split.targets
        counts.add(len(split.contexts))
        references_held_out += split.reference in split.targets
    assert counts == set(range(1, min(4, frames - 1) + 1))
    assert 60 < references_held_out < 140


def test_splits_of_long_clips_lie_in_stretches_near_and_wide():
    torch.manual_seed(0)
    spans, firsts = [], []
    for _ in range(400):
        split = random_split(24, 4, 2)
        frames = split.contexts + split.targets
        spans.append(max(frames) - min(frames) + 1)
        firsts.append(min(frames))
    assert max(spans) > 16
    assert sum(span <= 6 for span in spans) > 100  # drawn from all 24, three in a hundred are as near
    assert min(firsts) == 0
    assert max(firsts) > 16


@pytest.mark.parametrize("frames", [2, 3, 6])
def test_the_fixed_split_holds_out_every_second_frame(frames):
    split = fixed_split(frames)
    assert not set(split.targets) & set(split.contexts)
    assert sorted(split.targets + split.contexts) == list(range(frames))
    assert split.reference in split.targets


def test_held_out_pixels_do_not_reach_the_rendering(model):
    """With cameras given, the rendering of targets depends on every context and on no pixel of a target."""
    frames = clip(5).frames[None].requires_grad_()
    estimate = model.camera(frames)
    rendered = model.reconstruct_targets(frames, estimate, Split([0, 3], 1, [1, 4])).frames
    (found,) = torch.autograd.grad((rendered * torch.rand(rendered.shape)).sum(), frames)
    reach = found[0].flatten(1).abs().amax(-1)
    assert (reach[[0, 3]] > 0).all()
    assert (reach[[1, 2, 4]] == 0).all()


def test_training_and_validation_render_held_out_frames(model):
    pictures = clip(4)[None]
    torch.manual_seed(1)
    trained = model.train()(pictures)
    assert trained.frames.shape == (1, len(trained.targets), 3, 18, 26)
    assert trained.disparity.shape == (1, len(trained.targets), 18, 26)
    assert trained.structure.density.shape[2:] == (16, 23), "codes have at most scene_side pixels"
    assert 2 <= trained.structure.density.shape[1] <= 5, "training draws the number of planes"
    trained.frames.mean().backward()
    assert all(p.grad is not None for p in model.structure.parameters())
    checked = model.eval()(pictures)
    assert checked.targets.tolist() == [1, 3]
    torch.testing.assert_close(checked.frames, model(pictures).frames)


def test_cameras_of_a_clip_that_comes_again_are_found_once(model, monkeypatch):
    asked = []
    find = GivenCameras.solve
    monkeypatch.setattr(GivenCameras, "solve", lambda self, frames, *rest: asked.append(1) or find(self, frames, *rest))
    model = PerspectiveAutoencoder(GivenCameras(), PlaneSweepEncoder(4), FrustumRenderer(), planes=5).train()
    for first in (0, 1, 0, 1):
        model(clip(5, first=first)[None])
    assert asked == [1, 1]


def test_true_cameras_are_never_read(model):
    pictures = clip(4)[None]
    lie = Cameras(torch.full((1, 4, 4, 4), torch.nan), torch.full((1, 4, 4), torch.nan))
    told = VideoClip(pictures.frames, pictures.indices, pictures.times, lie)
    model.eval()
    torch.testing.assert_close(model(told).frames, model(pictures).frames)


def test_a_still_scene_at_the_reference_is_its_own_picture(model):
    """One context that is the reference too: every voxel shows its pixel, so the picture comes back at any density."""
    frames = clip(3, 16, 24).frames[None]
    rendered = model.reconstruct_targets(frames, model.camera(frames), Split([1], 1, [1]))
    torch.testing.assert_close(rendered.frames[0, 0], frames[0, 1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_synthesis_puts_the_target_where_it_belongs_in_time(model, place):
    """The camera walks 0.08 a frame in the order of time; the code never sees the target's pixels."""
    first = {"before": 0, "between": 3, "after": 9}[place]
    contexts = clip(6, first=2).select([0, 5])  # frames 2 and 7
    target = clip(1, first=first)
    asked = []
    encode = model.encode_structure

    def spy(frames, estimate, seen, reference):
        asked.append((seen, reference.world_from_camera[0, 0, 0, 3].item()))
        return encode(frames, estimate, seen, reference)

    model.encode_structure = spy
    views = model.eval().synthesize(contexts, target)
    picture = views.rgb[0]
    assert picture.shape == (3, 18, 26)
    assert views.disparity.shape == (1, 18, 26)
    assert picture.min() >= 0
    assert picture.max() <= 1
    order = {"before": 0, "between": 1, "after": 2}[place]
    seen, shift = asked[0]
    assert seen == [i for i in range(3) if i != order]
    assert shift == pytest.approx(0.08 * order)
    changed = VideoClip(1 - target.frames, target.indices, target.times)
    torch.testing.assert_close(model.synthesize(contexts, changed).rgb[0], picture)


def test_a_video_becomes_a_scene_that_renders_at_any_size(model):
    stages = []
    scene = model.eval().encode_scene(clip(6), Options(progress=lambda stage, share: stages.append((stage, share))))
    assert len(scene.structures) == len(scene.keyframes) >= 2
    assert len(scene.cameras) == 6
    assert stages[0] == ("cameras", 0.0)
    assert stages[-1] == ("structure", 1.0)
    for keyframe, structure in zip(scene.keyframes, scene.structures, strict=True):
        expected = scene.cameras.select([keyframe]).world_from_camera
        torch.testing.assert_close(structure.reference.world_from_camera, expected)
        assert min(structure.density.shape[-2:]) == round(16 * (1 + 2 * MARGIN))
    cameras = scene.cameras.select([0, 1])
    assert model.render(scene, cameras, (31, 20)).rgb.shape == (2, 3, 20, 31)
    assert model.render(scene, cameras).rgb.shape == (2, 3, 18, 26)


def test_bytes_give_the_same_scene_as_floats(model):
    floats = clip(6)
    frames = (floats.frames * 255).round().byte()
    scene = model.eval().encode_scene(replace(floats, frames=frames))
    expected = model.encode_scene(replace(floats, frames=frames.float() / 255))
    assert torch.equal(scene.cameras.world_from_camera, expected.cameras.world_from_camera)
    assert torch.equal(scene.volumes[0].features, expected.volumes[0].features)


def test_codes_of_a_video_take_half_of_the_memory_and_are_rendered_without_a_copy(model):
    """A code whose planes lie strided in memory would be copied for every view of it."""
    scene = model.eval().encode_scene(clip(6))
    for number, code in enumerate(scene.volumes):
        used = scene.volume(number)
        assert code.density.dtype == code.features.dtype == torch.float16
        assert used.density.dtype == used.features.dtype == code.inverse_depth.dtype == torch.float32
        assert used.density.is_contiguous()
        assert used.features.is_contiguous()
        assert scene.volume(number) is used
    again = pickle.loads(pickle.dumps(scene))  # what is in use stays behind
    assert torch.equal(again.volume(0).density, scene.volume(0).density)


def test_a_scene_is_read_as_it_was_written(model, tmp_path):
    scene = model.eval().encode_scene(clip(6))
    write_scene(tmp_path, scene, (26, 18))
    again, size = read_scene(tmp_path)
    assert size == (26, 18)
    assert len(again.volumes) == len(scene.volumes) >= 2
    for one, other in zip(scene.volumes, again.volumes, strict=True):
        assert torch.equal(one.density, other.density)
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.inverse_depth, other.inverse_depth)


def test_a_known_focal_length_is_kept(model):
    scene = model.eval().encode_scene(clip(3), Options(1.1))
    torch.testing.assert_close(scene.cameras.intrinsics[:, 0], torch.full((3,), 1.1))


def test_the_nearest_plane_lies_before_what_was_found(model):
    estimate = model.camera(clip(2)[None].frames)
    assert (
        nearest_inverse_depth(estimate.inverse_depth) > torch.quantile(estimate.inverse_depth.flatten(1), 0.98, dim=1)
    ).all()


def test_small_helpers():
    assert resize_short_side(clip(1, 30, 61).frames, 15).shape == (1, 3, 15, 30)
    untouched = clip(1, 10, 14).frames
    assert resize_short_side(untouched, 16) is untouched


@pytest.mark.parametrize("readout", [0.0, 0.4])
def test_a_rolling_shutter_is_not_taken_for_a_lens(model, monkeypatch, readout):
    """Where a shutter rolls, the lens is searched for in straightened frames; this one is found in the others only."""
    frames = (clip(6).frames * 255).round().byte()

    def find_lens(given, options):
        return LensOffset(-0.1, (0.0, 0.0), 0.8) if torch.equal(given.frames, frames) else None

    found = replace(model.camera.solve(frames), readout=readout)
    monkeypatch.setattr(model, "find_lens", find_lens)
    monkeypatch.setattr(model, "find_cameras", lambda *words: found)
    reader, _ = model.without_lens(FramesInMemory(frames), replace(clip(6), frames=frames), Options(refine_steps=1))
    assert isinstance(reader, UndistortedReader) == (not readout)
