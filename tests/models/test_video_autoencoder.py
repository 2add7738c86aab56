"""The 2021 model: shapes, parameter count, the warp's convention, its protocol."""

import math

import pytest
import torch

from video_ae.errors import UserError
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.models.base import Options
from video_ae.models.video_autoencoder.affine_warp import warp_voxels
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder, compose_motions, predict_video
from video_ae.models.video_autoencoder.pair_regressor import motion_matrix
from video_ae.types import VideoClip


def _clip(frames: int = 3, width: int = 32, height: int = 32, batch: int | None = None) -> VideoClip:
    torch.manual_seed(0)
    lead = (frames,) if batch is None else (batch, frames)
    return VideoClip(torch.rand(*lead, 3, height, width), torch.arange(frames).expand(lead).clone(), torch.zeros(lead))


@pytest.fixture(scope="module")
def small() -> PaperVideoAutoencoder:
    torch.manual_seed(0)
    model = PaperVideoAutoencoder(width=8, image_size=(32, 32)).eval()
    torch.nn.init.normal_(model.encoder_traj.pose_pred.bias, std=5.0)  # motions that can be seen
    return model


def test_published_size_and_shapes():
    with torch.device("meta"):
        model = PaperVideoAutoencoder()
        frames = torch.empty(1, 3, 256, 256)
        structure = model.encode_structure(frames)
        assert structure.shape == (1, 32, 32, 64, 64)
        assert model.encoder_traj(frames, frames).shape == (1, 6)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 31.03
    assert (model.rotate.conv3d_2.out_channels, model.decoder.conv3.in_channels) == (64, 2048)


def test_any_size_divisible_by_16(small):
    clip = _clip(2, width=48, height=32, batch=2)
    out = small(clip)
    assert out.frames.shape == clip.frames.shape
    assert out.extras["voxels"].shape == out.extras["carried_voxels"].shape == (2, 1, 4, 32, 8, 12)


def test_other_sizes_are_refused_with_the_nearest_that_works(small):
    with pytest.raises(UserError, match=r"40x32.*resize them to 32x32"):
        small(_clip(2, width=40, height=32, batch=1))


def _moved(position: tuple[int, int, int], motion: torch.Tensor) -> tuple[int, ...]:
    """Where a marked voxel (plane, row, column) of a 9^3 cube is seen after a warp."""
    voxels = torch.zeros(1, 1, 9, 9, 9)
    voxels[0, 0][position] = 1
    warped = warp_voxels(voxels, motion_matrix(motion[None]))[0, 0]
    assert warped.max() > 0.99
    return tuple(int(i) for i in torch.unravel_index(warped.argmax(), warped.shape))


@pytest.mark.parametrize(
    ("motion", "lands"),
    [
        # The marked point is (x, y, z) = (+2, +1, +3) voxels from the centre. The matrix takes output points to input
        # points, so the point is seen at its inverse.
        ([0, 0, 0, 0, 0, 0], (2, 1, 3)),
        ([1, 0, 0, 0, 0, 0], (-3, 1, 2)),  # first angle: quarter turn about y, inverse (x, z) -> (-z, x)
        ([0, 1, 0, 0, 0, 0], (2, 3, -1)),  # second angle: about x, inverse (y, z) -> (z, -y)
        ([0, 0, 1, 0, 0, 0], (1, -2, 3)),  # third angle: about z, inverse (x, y) -> (y, -x)
        ([0, 0, 0, 2, 0, 0], (0, 1, 3)),  # moving by two voxels to the right shows everything two to the left
        ([1, 1, 0, 0, 0, 0], (1, 3, 2)),  # Rx is undone first, then Ry: the order of the product
    ],
)
def test_marked_voxel_lands_where_the_convention_says(motion, lands):
    angles = torch.tensor(motion[:3]) * math.pi / 2
    translation = torch.tensor(motion[3:]) * 2 / 9
    x, y, z = lands
    assert _moved((4 + 3, 4 + 1, 4 + 2), torch.cat([angles, translation])) == (4 + z, 4 + y, 4 + x)


def test_motion_is_a_hundredth_of_the_regressor_head(small):
    frames = torch.rand(2, 3, 32, 32)
    doubled = PaperVideoAutoencoder(width=8, image_size=(32, 32)).eval()
    doubled.load_state_dict(small.state_dict())
    with torch.no_grad():
        doubled.encoder_traj.pose_pred.weight.zero_()
        doubled.encoder_traj.pose_pred.bias.copy_(torch.arange(6.0))
    torch.testing.assert_close(doubled.encoder_traj(frames, frames), torch.arange(6.0).expand(2, 6) / 100)


def test_motions_compose_to_camera_poses():
    torch.manual_seed(0)
    poses = torch.cat([torch.eye(4)[None], se3_exp(0.5 * torch.randn(4, 6))])
    steps = invert(poses[:-1]) @ poses[1:]
    torch.testing.assert_close(compose_motions(steps), poses, atol=1e-5, rtol=1e-5)
    assert (compose_motions(steps, as_published=True) - poses).abs().max() > 0.1


def test_scene_renders_what_the_stages_give(small):
    clip = _clip(5)
    scene = small.encode_scene(clip)
    views = small.render(scene, scene.cameras.select([3]))
    direct = small.synthesize(clip.select([0, 4]), clip.select([3])).rgb[0]
    torch.testing.assert_close(views.rgb[0], direct, atol=1e-5, rtol=1e-4)


def test_long_scene_has_a_keyframe_every_twelfth_frame(small):
    clip = _clip(14)
    scene = small.encode_scene(clip)
    assert scene.keyframes == (0, 12)
    assert scene.cameras.world_from_camera.shape == (14, 4, 4)
    views = small.render(scene, scene.cameras.select([12]))
    own = small.synthesize(clip.select([12, 13]), clip.select([12])).rgb[0]
    torch.testing.assert_close(views.rgb[0], own, atol=1e-5, rtol=1e-4)


def test_cameras_say_what_is_missing(small):
    estimate = small.find_cameras(_clip(3, width=40, height=24))
    assert estimate.cameras.world_from_camera.shape == (3, 4, 4)
    assert "no focal length" in estimate.notes[0]
    assert "covariances are so large that they say nothing" in estimate.notes[0]
    assert torch.linalg.eigvalsh(estimate.covariance).min() > 1e5
    known = small.find_cameras(_clip(1), Options(1.1))
    assert known.cameras.intrinsics[0, 0].item() == pytest.approx(1.1)


def test_still_clip_stands_still(small):
    clip = _clip(1)
    still = VideoClip(clip.frames.repeat(4, 1, 1, 1), torch.arange(4), torch.zeros(4))
    poses = small.find_cameras(still).cameras.world_from_camera
    torch.testing.assert_close(poses, torch.eye(4).expand(4, 4, 4), atol=1e-5, rtol=0)


def test_protocol_reencodes_its_own_prediction(small):
    frames = _clip(6).frames
    often, once = predict_video(small, frames, reencode_every=2), predict_video(small, frames)
    assert torch.equal(often[0], frames[0])
    assert torch.equal(often[:3], once[:3])
    assert not torch.allclose(often[3], once[3])
    motion = small.encode_camera(frames[2:3], frames[3:4])
    by_hand = small.decode(small.warp(small.encode_structure(once[2:3]), motion)).clamp(0, 1)
    torch.testing.assert_close(often[3:4], by_hand)
