"""Whether the focal length changes within a clip, and how: a zoom, a jump to another of a phone's cameras.

A solution with one focal length takes a zoom for a walk ahead. Its path is bent, yet it predicts well enough where
points are seen for a step of Newton's method, in which each frame has a focal length of its own, to go most of the way.
Frames are then shown as at one focal length, solved anew, and so on. Where nothing zooms it gains next to nothing. Of a
lost scene it can gain much: a zoom is believed only where the scene is not lost with it. Where the step predicts a gain
and the new solution does not bear it out, it stays open whether something zoomed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from video_ae.camera.correction_fit import correction_system
from video_ae.camera.covariance import typical_lost_cost
from video_ae.camera.problem import Correspondences, Priors, SceneState, Submap
from video_ae.camera.reprojection import linearise, match_costs
from video_ae.geometry.zoom import magnified
from video_ae.types import CameraEstimate

_ROUNDS = 2  # of refinement between the further steps
_WORTH = 0.03  # of the cost: less than this, predicted by a step of few unknowns, is not tried
_BETTER = 0.85  # part of the cost that following a zoom leaves at most
_KNOT = 5  # frames for each of the few unknowns
_LOOSE = 0.1  # weight of the depths' prior, which would hold back a step that changes all depths


@dataclass(frozen=True)
class SolvedPart:
    """Some neighbouring frames of a clip that were solved together with one focal length.

    Args:
        frames: their positions in the clip.
        state: the scene.
        matches: that it was solved on.
        priors: that it was solved with.
    """

    frames: list[int]
    state: SceneState
    matches: Correspondences
    priors: Priors


@dataclass(frozen=True)
class SolvedClip:
    """A clip that was solved with one focal length.

    Args:
        whole: all of its frames.
        parts: that it was put together from; neighbours share some frames.
    """

    whole: Submap
    parts: list[SolvedPart]

    @property
    def cost(self) -> float:
        """The mean of the reliable matches."""
        costs = [match_costs(one.state, one.matches)[one.matches.reliable] for one in self.parts]
        return torch.cat(costs).mean().item()

    @property
    def is_lost(self) -> bool:
        """Whether matches cost as much as those of lost clips."""
        return self.cost > typical_lost_cost(min(self.whole.grid.width, self.whole.grid.height))


@dataclass(frozen=True)
class FollowedZoom:
    """A focal length that may change within a clip.

    Args:
        zoom: logarithm of that of each frame, up to a constant.
        solved: the frames without that zoom; None where it is not believed, but not ruled out either.
    """

    zoom: Float64[Tensor, "frame"]
    solved: Submap | None


def follow_zoom(
    first: SolvedClip, solve: Callable[[Float64[Tensor, "frame"], SolvedClip | None], SolvedClip]
) -> FollowedZoom | None:
    """The zoom of the solved frames.

    Args:
        first: of the frames as they are.
        solve: solves the frames from which a zoom is taken away, from nothing or by refining another solution.

    Returns:
        None where one focal length explains the frames as well.
    """
    if not max(predicted_gain(part) for part in first.parts) > _WORTH:
        return None
    zoom = zoom_change(first.parts)
    solved = solve(zoom, None)
    if not solved.cost < _BETTER * first.cost:
        return FollowedZoom(zoom, None)
    for _ in range(_ROUNDS):
        zoom = zoom + zoom_change(solved.parts)
        solved = solve(zoom, solved)
    return FollowedZoom(zoom + zoom_change(solved.parts), None if solved.is_lost else solved.whole)


def predicted_gain(part: SolvedPart) -> float:
    """Share of the cost that a smooth zoom saves, predicted to the second order.

    Args:
        part: solved with one focal length.
    """
    return _step(part, _hats(len(part.frames)))[1]


def zoom_change(parts: list[SolvedPart]) -> Float64[Tensor, "frame"]:
    """By how much the logarithm of each frame's focal length changes in a step together with poses and depths.

    Args:
        parts: of the clip; of frames that two share, both count.
    """
    steps = [_step(part, torch.eye(len(part.frames)))[0] for part in parts]
    total, count = (steps[0].new_zeros(parts[-1].frames[-1]) for _ in range(2))
    for part, step in zip(parts, steps, strict=True):
        between = slice(part.frames[0], part.frames[-1])
        total[between] += step.diff()
        count[between] += 1
    return torch.cat([total.new_zeros(1), (total / count).cumsum(0)])


def _step(part: SolvedPart, basis: Float[Tensor, "frame unknown"]) -> tuple[Float64[Tensor, "frame"], float]:
    """A change that is a sum of the columns of a basis, and the share of the cost that it saves."""
    state, matches, priors = part.state, part.matches, part.priors
    lin, basis = linearise(state, matches), basis.to(state.inverse_depth)
    by_target = lin.residual + matches.matched.mT  # by the logarithm of the target's focal length alone
    by_source = lin.by_target[:, :, 6] - by_target
    by_zoom = by_source[:, :, None] * basis[matches.source][:, None, :, None]
    by_zoom += by_target[:, :, None] * basis[matches.target][:, None, :, None]
    loose = replace(priors, depth_weight=_LOOSE * priors.depth_weight)
    information, pull = correction_system(state, matches, loose, lin, by_zoom)
    information += 1e-3 * information.diagonal().mean() / len(pull)  # the mean belongs to the focal length of all
    step = torch.linalg.solve(information, pull)
    return basis.to(step) @ step, float(pull @ step) / match_costs(state, matches).sum().item()


def _hats(frames: int) -> Float[Tensor, "frame knot"]:
    """Piecewise linear functions of time, each 1 at its knot and 0 at the others."""
    knots = max(2, round((frames - 1) / _KNOT) + 1)
    times = torch.linspace(0, knots - 1, frames)
    return (1 - (times[:, None] - torch.arange(knots)).abs()).clamp_min(0)


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
