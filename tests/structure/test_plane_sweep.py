"""The plane sweep: shapes, symmetries, gradients, and a marked scene."""

import math

import pytest
import torch

from video_ae import compiled
from video_ae.geometry.frustum import inverse_depth_planes
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import se3_exp
from video_ae.renderers.compositing import absorption_weights
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.structure.plane_sweep import (
    AGREEMENT_WINDOWS,
    FREE_SPACE_WEIGHT,
    LEAST_PARALLAX,
    OPAQUE,
    SFM_DEPTH_WEIGHT,
    TYPICAL_PARALLAX,
    UNCOMPARED_DIFFERENCE,
    PlaneSweepEncoder,
    _agreement,
    _differences,
    _sfm_depth_logit,
    _SfmDepth,
    _sweep,
    _visible,
    _widest,
    ending_density,
)
from video_ae.types import Cameras, MultiplaneVolume

PLANES = 6
EVERYWHERE = torch.ones(1, 1, 1, 1, 1)  # nothing is hidden


@pytest.fixture(scope="module")
def encoder() -> PlaneSweepEncoder:
    torch.manual_seed(0)
    return PlaneSweepEncoder(channels=4)


def small_motions(batch: int, frames: int, width: int, height: int) -> Cameras:
    generator = torch.Generator().manual_seed(1)
    poses = se3_exp(0.05 * torch.randn(batch, frames, 6, generator=generator))
    return Cameras(poses, pinhole_intrinsics(torch.full((batch, frames), 0.8), width, height))


@pytest.mark.parametrize("contexts", [1, 2, 5])
@pytest.mark.parametrize(("height", "width"), [(24, 32), (21, 30), (7, 5)])
def test_shapes_and_ranges(encoder, contexts, height, width):
    cameras = small_motions(2, contexts, width, height)
    planes = inverse_depth_planes(torch.tensor([1.5, 0.7]), PLANES)
    code = encoder(torch.rand(2, contexts, 3, height, width), cameras, cameras.select([0]), planes)
    assert code.density.shape == (2, PLANES, height, width)
    assert code.features.shape == (2, 3, PLANES, height, width)
    assert (code.density >= 0).all()
    assert (code.density[:, -1] == OPAQUE).all()
    assert code.features.min() >= 0
    assert code.features.max() <= 1 + 1e-6
    torch.testing.assert_close(code.inverse_depth, planes)


def test_one_plane_is_a_image(encoder):
    cameras = small_motions(1, 1, 32, 24)
    frames = torch.rand(1, 1, 3, 24, 32)
    code = encoder(frames, cameras, cameras, torch.tensor([[0.5]]))
    torch.testing.assert_close(code.features[:, :, 0], frames[:, 0], atol=1e-5, rtol=0)


def test_the_order_of_the_contexts_does_not_matter(encoder):
    cameras, frames = small_motions(1, 4, 32, 24), torch.rand(1, 4, 3, 24, 32)
    reference, planes = small_motions(1, 1, 32, 24), inverse_depth_planes(torch.tensor([1.5]), PLANES)
    order = [2, 0, 3, 1]
    code = encoder(frames, cameras, reference, planes)
    shuffled = encoder(frames[:, order], cameras.select(order), reference, planes)
    torch.testing.assert_close(shuffled.density, code.density, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled.features, code.features, atol=1e-5, rtol=1e-4)


def test_the_choice_of_the_world_does_not_matter(encoder):
    cameras, frames = small_motions(1, 3, 32, 24), torch.rand(1, 3, 3, 24, 32)
    planes = inverse_depth_planes(torch.tensor([1.5]), PLANES)
    world = se3_exp(torch.tensor([0.3, -1.0, 0.5, 3.0, 2.0, 1.0]))
    elsewhere = Cameras(world @ cameras.world_from_camera, cameras.intrinsics)
    code = encoder(frames, cameras, cameras.select([1]), planes)
    moved = encoder(frames, elsewhere, elsewhere.select([1]), planes)
    torch.testing.assert_close(moved.features, code.features, atol=1e-3, rtol=0)
    torch.testing.assert_close(moved.density[:, :-1], code.density[:, :-1], atol=1e-3, rtol=0)


def test_every_clip_of_a_batch_is_encoded_alone(encoder):
    cameras, frames = small_motions(3, 2, 32, 24), torch.rand(3, 2, 3, 24, 32)
    planes = inverse_depth_planes(torch.tensor([1.5, 1.0, 0.5]), PLANES)
    together = encoder(frames, cameras, cameras.select([0]), planes)
    one = Cameras(cameras.world_from_camera[[1]], cameras.intrinsics[[1]])
    alone = encoder(frames[[1]], one, one.select([0]), planes[[1]])
    torch.testing.assert_close(together.density[[1]], alone.density, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together.features[[1]], alone.features, atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter_every_context_and_every_pose():
    torch.manual_seed(0)
    encoder = PlaneSweepEncoder(channels=4)
    frames = torch.rand(1, 3, 3, 22, 30, requires_grad=True)
    twist = (0.05 * torch.randn(1, 3, 6)).requires_grad_()
    focal = torch.full((1, 3), 0.8, requires_grad=True)
    cameras = Cameras(se3_exp(twist), pinhole_intrinsics(focal, 30, 22))
    planes = torch.tensor([1.5], requires_grad=True)
    code = encoder(frames, cameras, cameras.select([1]), inverse_depth_planes(planes, PLANES))
    (code.density.square().mean() + (code.features * torch.rand(code.features.shape)).mean()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        shifts_rays = name == "ending.layers.4.bias"  # all logits of a ray alike, so that no share changes
        assert shifts_rays or parameter.grad.abs().max() > 0, name
    assert (frames.grad.flatten(2).abs().amax(-1) > 0).all()
    for leaf in (frames, twist, focal, planes):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().max() > 0


def two_plane_scene(width: int = 32, height: int = 16) -> tuple[torch.Tensor, Cameras]:
    """A texture at inverse depth 1 (upper half) and 0.5 (lower half), from two cameras 4 pixels of parallax apart.

    With fx = 1 width and a baseline of 1/8 width, the upper half moves by 4 pixels and the lower one by 2.
    """
    texture = torch.rand(3, height, width + 8, generator=torch.Generator().manual_seed(0))
    half = height // 2
    left = texture[:, :, :width]
    right = torch.cat([texture[:, :half, 4 : width + 4], texture[:, half:, 2 : width + 2]], 1)
    poses = se3_exp(torch.tensor([[[0.0] * 6, [0.0, 0.0, 0.0, 0.125, 0.0, 0.0]]]))
    return torch.stack([left, right])[None], Cameras(poses, pinhole_intrinsics(torch.ones(1, 2), width, height))


def test_contexts_agree_at_the_right_plane_and_disagree_at_the_wrong_one():
    frames, cameras = two_plane_scene()
    planes = torch.tensor([[1.0, 0.5]])
    mean, variance, share = _agreement(*_sweep(frames, cameras, cameras.select([0]), planes, EVERYWHERE, 16, 32)[:2])
    upper, lower = (slice(None), slice(None), slice(0, 8)), (slice(None), slice(None), slice(8, 16))
    both = slice(5, 32)  # columns that the second camera sees at both planes
    assert variance[:, :, 0][upper][..., both].max() < 1e-6
    assert variance[:, :, 1][lower][..., both].max() < 1e-6
    assert variance[:, :, 1][upper][..., both].mean() > 0.02
    assert variance[:, :, 0][lower][..., both].mean() > 0.02
    torch.testing.assert_close(mean[:, :, 0][upper][..., both], frames[:, 0][upper][..., both], atol=1e-4, rtol=0)
    assert (share[..., both] == 1).all()
    assert (share[:, 0, 0, :, :4] == 0.5).all(), "the left edge at the near plane lies outside the second frame"


def test_a_voxel_that_no_context_observes_is_marked_and_finite(encoder):
    frames, cameras = two_plane_scene()
    beside = Cameras(cameras.world_from_camera.clone(), cameras.intrinsics)
    beside.world_from_camera[..., 0, 3] += 10.0
    _, seen, _ = _sweep(frames, beside, cameras.select([0]), torch.tensor([[1.0]]), EVERYWHERE, 16, 32)
    assert seen.max() == 0
    code = encoder(frames, beside, cameras.select([0]), torch.tensor([[1.0, 0.5]]))
    assert code.features.isfinite().all()
    assert code.density.isfinite().all()


def test_the_reference_finds_its_own_frame_at_every_plane():
    frames, cameras = two_plane_scene()
    first, planes = cameras.select([0]), torch.tensor([[1.0, 0.3]])
    swept, seen, _ = _sweep(frames[:, [0]], first, first, planes, EVERYWHERE, 16, 32)
    assert seen.min() == 1
    torch.testing.assert_close(swept[:, 0, :, 0], frames[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(swept[:, 0, :, 1], frames[:, 0], atol=1e-5, rtol=0)


def test_parallax_is_the_angle_from_where_a_context_sees_the_same_ray_at_infinity():
    frames, cameras = two_plane_scene()
    _, seen, parallax = _sweep(frames, cameras, cameras.select([0]), torch.tensor([[1.0, 0.5]]), EVERYWHERE, 16, 32)
    angle = TYPICAL_PARALLAX * parallax.exp()[0, :, 0]
    torch.testing.assert_close(angle[0], torch.full((2, 16, 32), LEAST_PARALLAX))  # the reference itself
    expected = torch.tensor([0.125, 0.0625])[:, None, None].expand(2, 16, 32)  # baseline times inverse depth
    torch.testing.assert_close(angle[1], expected, atol=1e-3, rtol=0)
    widest = TYPICAL_PARALLAX * _widest(parallax, seen).exp()[0, 0]
    torch.testing.assert_close(widest[:, :, 5:], expected[:, :, 5:], atol=1e-3, rtol=0)
    torch.testing.assert_close(widest[0, :, :4], torch.full((16, 4), LEAST_PARALLAX))  # the second does not see them


def test_pure_rotation_is_no_parallax():
    _, cameras = two_plane_scene()
    rotated = Cameras(se3_exp(torch.tensor([[[0.0] * 6, [0.02, 0.1, 0.0, 0.0, 0.0, 0.0]]])), cameras.intrinsics)
    plane = torch.tensor([[1.0]])
    _, _, parallax = _sweep(torch.rand(1, 2, 3, 16, 32), rotated, rotated.select([0]), plane, EVERYWHERE, 16, 32)
    torch.testing.assert_close(TYPICAL_PARALLAX * parallax.exp(), torch.full_like(parallax, LEAST_PARALLAX))


def test_before_training_colours_count_by_one_over_the_parallax_of_their_context():
    torch.manual_seed(0)
    encoder = PlaneSweepEncoder(channels=4)
    torch.nn.init.zeros_(encoder.visibility[-1].weight)
    shift = torch.tensor([0.02, -0.04])
    twist = torch.zeros(1, 2, 6)
    twist[0, :, 3] = shift
    cameras = Cameras(se3_exp(twist), pinhole_intrinsics(torch.ones(1, 2), 32, 24))
    reference = Cameras(torch.eye(4)[None, None], cameras.intrinsics[:, :1])
    frames = torch.stack([torch.zeros(3, 24, 32), torch.ones(3, 24, 32)])[None]
    code = encoder(frames, cameras, reference, torch.tensor([[1.0]]))
    weight = 1 / (shift.square() + LEAST_PARALLAX**2).sqrt()
    expected = torch.full((24, 20), float(weight[1] / weight.sum()))
    torch.testing.assert_close(code.features[0, 0, 0, :, 6:26], expected, atol=1e-4, rtol=0)


def absorbed(density: torch.Tensor) -> torch.Tensor:
    """The share of the light that each plane absorbs, one after the other, by the definition."""
    passed, shares = torch.ones_like(density[:, 0]), []
    for plane in density.unbind(1):
        shares.append(passed * (1 - torch.exp(-plane)))
        passed = passed * torch.exp(-plane)
    return torch.stack(shares, 1)


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0, 8.0])
def test_a_ray_ends_at_each_plane_with_the_softmax_of_the_logits(spread):
    logit = spread * torch.randn(2, 7, 3, 4, generator=torch.Generator().manual_seed(0))
    density = ending_density(logit)
    assert (density >= 0).all()
    torch.testing.assert_close(absorbed(density), torch.softmax(logit, 1), atol=2e-5, rtol=0)
    torch.testing.assert_close(ending_density(logit + 5), density, atol=1e-4, rtol=1e-4)


def test_opaque_rays_keep_their_digits():
    """A difference of opacities from 1 has few digits left in 32 bits; the gradient then has none."""
    logit = 8 * torch.randn(2, 29, 6, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.linspace(-1, 1, logit.numel()).view_as(logit)
    results = []
    for precise in (logit, logit.double()):
        given = precise.requires_grad_()
        density = ending_density(given)
        results.append((density, torch.autograd.grad((density * weights).sum(), given)[0]))
    for single, double in zip(*results, strict=True):
        torch.testing.assert_close(single.double(), double, atol=2e-5, rtol=0)


def test_planes_behind_opaque_ones_learn_as_well():
    """With densities of its own, a plane behind an opaque one would get no gradient at all."""
    logit = torch.zeros(1, 6, 1, 1)
    logit[:, 1] = 8.0
    logit.requires_grad_()
    absorbed(ending_density(logit))[0, 4].sum().backward()
    share = torch.softmax(logit.detach(), 1).flatten()
    expected = share[4] * (torch.eye(6)[4] - share)
    torch.testing.assert_close(logit.grad.flatten(), expected, atol=1e-7, rtol=0.02)


@pytest.mark.parametrize("size", [50.0, 1e3, 1e6])
def test_extreme_logits_stay_finite(size):
    signs = torch.tensor([[1, -1, 1, -1], [-1, -1, -1, 1], [-1, 1, 1, 1], [1, 1, -1, -1]], dtype=torch.float32)
    logit = (size * signs)[:, :, None, None].requires_grad_()
    density = ending_density(logit)
    assert density.isfinite().all()
    assert density.min() >= 0
    assert density.max() <= OPAQUE + 1e-2
    torch.testing.assert_close(absorbed(density), torch.softmax(logit, 1), atol=2e-5, rtol=0)
    absorbed(density).square().sum().backward()
    assert logit.grad.isfinite().all()


@pytest.mark.parametrize("observers", [0, 1, 2])
def test_a_voxel_with_fewer_than_two_observing_contexts_counts_as_moderately_different(observers):
    seen = torch.zeros(1, 3, 1, 2, 12, 12)
    seen[:, :observers] = 1
    variance = torch.full((1, 3, 2, 12, 12), 0.3**2)
    difference = _differences(variance, seen)
    assert difference.shape == (1, len(AGREEMENT_WINDOWS), 2, 12, 12)
    expected = torch.full_like(difference, 0.3 if observers == 2 else UNCOMPARED_DIFFERENCE)
    torch.testing.assert_close(difference, expected, atol=1e-4, rtol=0)


def mean_disparity(code: MultiplaneVolume) -> torch.Tensor:
    views = FrustumRenderer()(code, code.reference, *code.density.shape[-2:])
    return views.disparity[0, 0]


def test_where_colours_agree_at_any_depth_rays_end_at_the_depth_that_was_found(encoder):
    cameras = small_motions(1, 3, 32, 24)
    planes = inverse_depth_planes(torch.tensor([2.0]), 16)
    grey = torch.full((1, 3, 3, 24, 32), 0.5)
    for found in (0.5, 1.2):
        depth = torch.full((1, 3, 4, 6), found)
        guided = mean_disparity(encoder(grey, cameras, cameras.select([0]), planes, sfm_depth=depth))
        assert (guided - found).abs().max() < 0.2 * found


def test_sfm_depth_is_looked_up_in_each_context_and_in_its_own_axes(encoder):
    """A context one ahead of the reference has found something one ahead of itself: two ahead of the reference."""
    intrinsics = pinhole_intrinsics(torch.full((1, 1), 0.8), 32, 24)
    reference = Cameras(torch.eye(4)[None, None], intrinsics)
    ahead = Cameras(se3_exp(torch.tensor([[[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]])), intrinsics)
    planes = inverse_depth_planes(torch.tensor([0.9]), 24)
    grey = torch.full((1, 1, 3, 24, 32), 0.5)
    code = encoder(grey, ahead, reference, planes, sfm_depth=torch.ones(1, 1, 4, 6))
    assert (mean_disparity(code)[6:-6, 8:-8] - 0.5).abs().max() < 0.05


def test_sfm_depth_speaks_for_its_own_plane_and_against_what_was_seen_through():
    camera = Cameras(torch.eye(4)[None, None], pinhole_intrinsics(torch.full((1, 1), 0.8), 32, 24))
    planes = inverse_depth_planes(torch.tensor([2.0]), 20)
    logit = _sfm_depth_logit(_SfmDepth.of(torch.full((1, 1, 4, 6), 0.4), camera, camera, planes, 24, 32), 24, 32)
    assert logit.shape == (1, 20, 24, 32)
    said = logit[0, :, 12, 16]
    at = {round(plane, 1): value for plane, value in zip(planes[0].tolist(), said.tolist(), strict=True)}
    assert at[0.4] == pytest.approx(SFM_DEPTH_WEIGHT, rel=0.01)
    assert at[1.0] == pytest.approx(0.0, abs=0.1), "not far enough off: the coarse map may have missed it"
    assert all(at[near] == pytest.approx(-FREE_SPACE_WEIGHT, rel=0.01) for near in (1.3, 1.6, 2.0))


def test_a_context_that_does_not_see_a_voxel_says_nothing_of_its_depth():
    intrinsics = pinhole_intrinsics(torch.full((1, 1), 0.8), 32, 24)
    camera = Cameras(torch.eye(4)[None, None], intrinsics)
    away = Cameras(se3_exp(torch.tensor([[[0.0, math.pi, 0.0, 0.0, 0.0, 0.0]]])), intrinsics)
    planes = inverse_depth_planes(torch.tensor([2.0]), 20)
    logit = _sfm_depth_logit(_SfmDepth.of(torch.full((1, 1, 4, 6), 0.4), away, camera, planes, 24, 32), 24, 32)
    assert (logit == 0).all()


def blocked_scene() -> tuple[torch.Tensor, torch.Tensor, Cameras]:
    """The scene of two planes, and a third camera with something grey right before it: frames, SfM depth, cameras."""
    frames, cameras = two_plane_scene()
    third = Cameras(se3_exp(torch.tensor([[[0.0, 0.0, 0.0, -0.125, 0.0, 0.0]]])), cameras.intrinsics[:, :1])
    depth = torch.cat([torch.ones(1, 2, 8, 32), torch.full((1, 2, 8, 32), 0.5)], 2)
    frames = torch.cat([frames, torch.full_like(frames[:, :1], 0.5)], 1)
    return frames, torch.cat([depth, torch.full_like(depth[:, :1], 4.0)], 1), Cameras.cat([cameras, third])


def test_a_context_whose_view_is_blocked_has_no_say(encoder):
    frames, depth, cameras = blocked_scene()
    planes = torch.tensor([[4.0, 1.0, 0.5]])
    reference = cameras.select([0])
    visible = _visible(_SfmDepth.of(depth, cameras, reference, planes, 16, 32), cameras, reference)
    assert visible.shape == (1, 3, 3, 4, 8)
    assert (visible[:, :2, :2] == 1).all()
    assert (visible[0, 2, 1, :2, :6] == 0).all(), "the upper half at the plane where it is"
    swept, seen, _ = _sweep(frames, cameras, reference, planes, visible, 16, 32)
    upper = _agreement(swept, seen)[1][0, :, 1, :8, 5:24]
    assert upper.max() < 2e-3
    swept, seen, _ = _sweep(frames, cameras, reference, planes, EVERYWHERE, 16, 32)
    assert _agreement(swept, seen)[1][0, :, 1, :8, 5:24].mean() > 0.01


def test_behind_what_the_reference_sees_all_contexts_count():
    """A camera that looks past a near surface must not make it transparent for one that stands before it."""
    _, depth, cameras = blocked_scene()
    planes, third = torch.tensor([[4.0, 1.0, 0.5]]), cameras.select([2])
    assert (_visible(_SfmDepth.of(depth, cameras, third, planes, 16, 32), cameras, third) == 1).all()
    beside = Cameras(third.world_from_camera @ se3_exp(torch.tensor([0.0, 0.0, 0.0, 1e-3, 0.0, 0.0])), third.intrinsics)
    visible = _visible(_SfmDepth.of(depth, cameras, beside, planes, 16, 32), cameras, beside)
    assert (visible[0, 2, 1:] == 0).all(), "of a view that is no context's, nobody knows what it sees"
    assert (visible[0, :2] == 1).all()


def test_many_contexts_make_rays_end_more_sharply(encoder):
    """The same context twelve times says no more than once, but with more certainty."""
    cameras = small_motions(1, 2, 32, 24)
    planes = inverse_depth_planes(torch.tensor([1.5]), PLANES)
    frames = torch.rand(1, 2, 3, 24, 32)
    few, many = (
        encoder(frames.repeat(1, n, 1, 1, 1), cameras.select([0, 1] * n), cameras.select([0]), planes) for n in (1, 6)
    )

    def sharpest(code: MultiplaneVolume) -> torch.Tensor:
        ends = absorption_weights((1 - torch.exp(-code.density)).movedim(1, -1))
        return ends.amax(-1)

    assert (sharpest(many) > sharpest(few)).float().mean() > 0.9
    assert sharpest(many).mean() > sharpest(few).mean() + 0.1


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
@pytest.mark.parametrize("contexts", [1, 2, 5])
@pytest.mark.parametrize(("height", "width"), [(24, 32), (7, 5), (2, 1)])
def test_the_compiled_sweep_is_the_tensor_operations(monkeypatch, encoder, contexts, height, width):
    generator = torch.Generator().manual_seed(2)
    cameras = small_motions(2, contexts, width, height)
    turned = torch.tensor([0.0, 3.0, 0.0, 0.0, 0.0, 0.0])  # the last context looks back and sees nothing
    if contexts == 5:
        cameras.world_from_camera[:, -1] = se3_exp(turned)
    reference, planes = small_motions(2, 1, width, height), inverse_depth_planes(torch.tensor([1.5, 0.7]), PLANES)
    frames = torch.rand(2, contexts, 3, height, width, generator=generator)
    hidden = torch.randn(2, 4, PLANES, height, width, generator=generator)
    visible = (torch.rand(2, contexts, PLANES, 3, 4, generator=generator) > 0.3).float()
    inputs = frames, cameras, reference, planes, hidden, visible
    with torch.no_grad():
        found, twin = encoder._compiled_sweep(*inputs), encoder._sweep(*inputs)
        code = encoder(frames, cameras, reference, planes)
        monkeypatch.setattr("video_ae.structure.plane_sweep.usable", lambda *_: False)
        expected = encoder(frames, cameras, reference, planes)
    for got, wanted in zip((*found, code.features), (*twin, expected.features), strict=True):
        torch.testing.assert_close(got, wanted, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(code.density, expected.density, atol=1e-3, rtol=1e-3)
