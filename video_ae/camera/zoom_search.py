"""Whether the focal length changes within a clip, and how: a zoom, a jump to another of a phone's cameras.

A solution with one focal length takes a zoom for a walk ahead. Its path is bent, yet it predicts well enough where
points are seen for a step of Newton's method, in which each frame has a focal length of its own, to go most of the way.
Frames are then shown as at one focal length, solved anew, and so on. Where nothing zooms the step gains next to nothing.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from video_ae.camera.correction_fit import correction_system
from video_ae.camera.problem import Correspondences, Priors, SceneState
from video_ae.camera.reprojection import linearise, match_costs
from video_ae.geometry.zoom import magnified
from video_ae.types import CameraEstimate

ROUNDS = (0, 1, 1)  # of refinement between the steps; 0: feed-forward, from nothing
WORTH = 0.03  # of the cost: less than this, predicted by one step of few unknowns, is not tried
BETTER = 0.95  # part of the cost that following a zoom leaves at most
_KNOT = 5  # frames for each of the few unknowns
_LOOSE = 0.1  # weight of the depths' prior, which would hold back a step that changes all depths
_STEADY = 1e6  # weight of a zoom's second differences (a spread of 0.003: matches of neighbours are no independent ones)
_JUMP = 0.02  # second differences well above it do not count as much


@dataclass(frozen=True)
class ZoomStep:
    """A step of Newton's method.

    Args:
        change: by how much each frame's logarithm of the focal length changes; its mean is zero.
        gain: part of the cost that this saves, predicted to the second order.
    """

    change: Float64[Tensor, "frame"]
    gain: float


def predicted_gain(state: SceneState, matches: Correspondences, priors: Priors) -> float:
    """Part of the cost that a smooth zoom saves, predicted to the second order.

    Args:
        state: the scene, solved with one focal length.
        matches: that it was solved on.
        priors: that it was solved with.
    """
    return _step(state, matches, priors, _hats(len(state)).to(state.inverse_depth)).gain


def zoom_step(
    state: SceneState, matches: Correspondences, priors: Priors, zoom: Float64[Tensor, "frame"]
) -> ZoomStep:
    """A step with a focal length of its own for each frame, together with poses and depths.

    Args:
        state: the scene, solved with one focal length on frames from which `zoom` was taken away.
        matches: that it was solved on.
        priors: that it was solved with.
        zoom: logarithm of each frame's focal length that was found so far, which the step keeps steady.
    """
    return _step(state, matches, priors, torch.eye(len(state)).to(state.inverse_depth), zoom)


def _step(
    state: SceneState, matches: Correspondences, priors: Priors, basis: Tensor, zoom: Tensor | None = None
) -> ZoomStep:
    lin = linearise(state, matches)
    by_target = lin.residual + matches.matched.mT  # by the logarithm of the target's focal length alone
    by_source = lin.by_target[:, :, 6] - by_target
    by_zoom = by_source[:, :, None] * basis[matches.source][:, None, :, None]
    by_zoom += by_target[:, :, None] * basis[matches.target][:, None, :, None]
    loose = replace(priors, depth_weight=_LOOSE * priors.depth_weight)
    information, pull = correction_system(state, matches, loose, lin, by_zoom)
    information += 1e-3 * information.diagonal().mean() / len(pull)  # the mean belongs to the focal length of all
    if zoom is not None and len(zoom) > 2:
        second = torch.eye(len(zoom), dtype=zoom.dtype, device=zoom.device).diff(n=2, dim=0)
        steady = _STEADY / (1 + (second @ zoom / _JUMP).square())
        information += second.mT @ (steady[:, None] * second)
        pull -= second.mT @ (steady * (second @ zoom))
    step = torch.linalg.solve(information, pull)
    change = basis.to(step) @ step
    return ZoomStep(change - change.mean(), float(pull @ step) / match_costs(state, matches).sum().item())


def _hats(frames: int) -> Float[Tensor, "frame knot"]:
    """Piecewise linear functions of time, each 1 at its knot and 0 at the others."""
    knots = max(2, round((frames - 1) / _KNOT) + 1)
    times = torch.linspace(0, knots - 1, frames)
    return (1 - (times[:, None] - torch.arange(knots)).abs()).clamp_min(0)


def merge_changes(parts: list[list[int]], changes: list[Tensor]) -> Float64[Tensor, "frame"]:
    """The change of all frames of a clip, of which neighbouring parts share some.

    Args:
        parts: frame numbers of each part.
        changes: of the frames of each part; only their differences count.
    """
    total, count = (changes[0].new_zeros(parts[-1][-1]) for _ in range(2))
    for part, change in zip(parts, changes, strict=True):
        total[part[0] : part[-1]] += change.diff()
        count[part[0] : part[-1]] += 1
    return torch.cat([total.new_zeros(1), (total / count).cumsum(0)])


def between_frames(selected: list[int], zoom: Float64[Tensor, "chosen"]) -> Float64[Tensor, "frame"]:
    """The zoom of all frames from that of some; halfway between the longest and the shortest focal length it is 0.

    Args:
        selected: positions of the frames whose zoom is known, the first and the last frame among them.
        zoom: logarithms.
    """
    numbers = torch.tensor(selected, device=zoom.device)
    frames = torch.arange(selected[-1] + 1, device=zoom.device)
    before = (torch.searchsorted(numbers, frames, right=True) - 1).clamp(0, len(selected) - 2)
    share = (frames - numbers[before]) / (numbers[before + 1] - numbers[before])
    whole = torch.lerp(zoom[before], zoom[before + 1], share.to(zoom))
    return whole - (whole.max() + whole.min()) / 2


def zoomed(estimate: CameraEstimate, zoom: Float64[Tensor, "frame"]) -> CameraEstimate:
    """What was found of frames without their zoom, as found of the frames themselves.

    Args:
        estimate: of the frames `without_zoom`.
        zoom: logarithm of the focal length of each over that of all.
    """
    factor = zoom.exp().to(estimate.cameras.intrinsics)
    scale = torch.stack([factor, factor, torch.ones_like(factor), torch.ones_like(factor)], -1)
    cameras = replace(estimate.cameras, intrinsics=estimate.cameras.intrinsics * scale)
    static = None if estimate.static is None else magnified(estimate.static[:, None], factor)[:, 0]
    depth = magnified(estimate.inverse_depth[:, None], factor)[:, 0]
    return replace(estimate, cameras=cameras, inverse_depth=depth, static=static)
