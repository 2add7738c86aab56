"""What moves by itself, and must not bend the path: where matches that nothing guided disagree with the solved scene.

A person who fills a third of the image draws a whole solution after him, which finds him still. So what is left out at
first is told by the flow alone (`trajectory_subspace`). From there on the worst part of the image is left out and the
rest solved anew, again and again (least trimmed squares, Rousseeuw 1984). It is taken where the best part fits better.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState, Submap
from video_ae.camera.reprojection import predict_points

BETTER = 0.97  # part of the error of what fits best that leaving the rest out leaves at most: 1.00 where nothing moves
ROUNDS = 5  # of leaving out and solving
MASK_ROUNDS, SETTLED = 4, 0.01  # of masks and refinement, until they change the path by less than this part
_SUSPICIOUS_PART = 0.1  # of a clip: still ones have up to 0.07, those with people that drew the path 0.09 to 0.31
_GAPS, _STRETCH = (1, 2, 4, 6), 32  # of the matches, and frames that are matched at once
_OFF = 0.8 / 64  # of the shorter side: an error that no still scene has
KEPT = 0.55  # part of a clip that is never left out, however badly it fits: half and a margin
LARGEST = 5 / 64  # of the shorter side: errors above it count as this much

_TIMES_ALONG = 4  # that errors are averaged along matches
_DEPTH_STEPS, _DEPTH_WEIGHT = 5, 0.01  # of fitting depths, which almost only matches decide


@dataclass(frozen=True)
class UnguidedFlow:
    """Correspondences of a clip that no solution has guided, so that what moves by itself is matched where it is.

    Args:
        graph: of all frames.
        stretches: frames that were matched with each other, and their matches.
    """

    graph: FrameGraph
    stretches: tuple[tuple[list[int], Correspondences], ...]

    @classmethod
    def of(cls, graph: FrameGraph) -> "UnguidedFlow":
        """All frames of a graph matched with those near them.

        Args:
            graph: of a clip.
        """
        starts = range(0, max(1, graph.count - max(_GAPS)), _STRETCH - max(_GAPS))
        parts = [list(range(start, min(start + _STRETCH, graph.count))) for start in starts]
        return cls(graph, tuple((part, graph.part(part).initial_correspondences(_GAPS)) for part in parts))

    def errors(self, solved: Submap, fit_depth: bool = False) -> Float[Tensor, "frame rows columns"]:
        """How far matches lie from where a solution sees them, in parts of the shorter side: means of 3 x 3 points.

        Args:
            solved: all frames of the clip.
            fit_depth: whether each point lies where its matches suit the cameras best: of what was left out, the
                solution does not know the depth.
        """
        graph, grid = self.graph, self.graph.grid
        state = graph.resample(solved.state, solved.grid)
        total, count = (torch.zeros(graph.count, len(graph.points), device=graph.device) for _ in range(2))
        side = min(grid.width, grid.height)
        for frames, matches in self.stretches:
            own = state.select(frames)
            if fit_depth:
                own = _with_fitted_depth(own, matches)
            seen = predict_points(own, matches.points, matches.source, matches.target)
            off = ((seen.image - matches.matched).norm(dim=-1) / side).clamp_max(LARGEST)
            weight, numbers = matches.reliable.to(off.dtype), torch.tensor(frames, device=graph.device)[matches.source]
            total.index_add_(0, numbers, weight * off)
            count.index_add_(0, numbers, weight)
        mean = total / count.clamp_min(1)
        maps, known = (one.view(-1, 1, grid.rows, grid.columns) for one in (mean, (count > 0).to(mean.dtype)))
        return (F.avg_pool2d(maps * known, 3, 1, 1) / F.avg_pool2d(known, 3, 1, 1).clamp_min(1e-3))[:, 0]

    def averaged_along(self, errors: Float[Tensor, "frame rows columns"]) -> Float[Tensor, "frame rows columns"]:
        """Errors averaged with those of the points that reliable matches lead to: what moves keeps moving.

        Args:
            errors: as of `errors`.
        """
        points = self.graph.points
        span = points[-1] - points[0]
        for _ in range(_TIMES_ALONG):
            total = errors.flatten(1).clone()
            count = torch.ones_like(total)
            for frames, matches in self.stretches:
                numbers = torch.tensor(frames, device=errors.device)
                there = (2 * (matches.matched - points[0]) / span - 1)[:, None]
                seen = F.grid_sample(
                    errors[numbers][matches.target, None], there, padding_mode="border", align_corners=True
                )
                weight, source = matches.reliable.to(errors.dtype), numbers[matches.source]
                total.index_add_(0, source, weight * seen[:, 0, 0])
                count.index_add_(0, source, weight)
            errors = (total / count).view_as(errors)
        return errors


def _with_fitted_depth(state: SceneState, matches: Correspondences) -> SceneState:
    """The inverse depths that matches suit best, with cameras as they are."""
    weak = torch.full_like(state.inverse_depth, _DEPTH_WEIGHT)
    priors = Priors(state.inverse_depth, weak, state.log_focal, 1.0)
    return minimise(state, matches, priors, _DEPTH_STEPS, FreeParameters(cameras=False, focal=False))[0]


def looks_moving(errors: Float[Tensor, "frame rows columns"]) -> bool:
    """Whether so much disagrees that the clip is worth a second look.

    Args:
        errors: as of `UnguidedFlow.errors`.
    """
    return (errors > _OFF).float().mean().item() > _SUSPICIOUS_PART


def static_part(errors: Float[Tensor, "frame rows columns"]) -> Float[Tensor, "frame rows columns"]:
    """How far each part of the frames stays where it is, 0 to 1.

    Args:
        errors: as of `UnguidedFlow.errors`.
    """
    limit = max(_OFF, errors.flatten()[:: max(1, errors.numel() // 10**6)].quantile(KEPT).item())
    return 1 - ((errors / limit - 0.7) / 0.6).clamp(0, 1)


def with_borders(errors: Float[Tensor, "frame rows columns"]) -> Float[Tensor, "frame rows columns"]:
    """Errors spread to the points around, since flow mixes what moves with what is beside it.

    Args:
        errors: as of `UnguidedFlow.errors`.
    """
    smooth = F.avg_pool2d(errors[:, None], 3, 1, 1, count_include_pad=False)
    return F.max_pool2d(smooth, 3, 1, 1)[:, 0]


def part_kept(static: Float[Tensor, "frame rows columns"]) -> float:
    """Part of a clip that a solution speaks for, 0 to 1, times which its confidence counts.

    What fits the part that was kept need not be the scene: of twenty training walks with people before 8 to 31 % of the
    images, six were lost all the same.

    Args:
        static: as of `static_part`, of a whole clip.

    >>> part_kept(torch.tensor([0.0, 1.0, 0.9, 0.8]).view(1, 1, 4))
    0.75
    """
    return (static >= 0.5).float().mean().item()


def trimmed_error(errors: Float[Tensor, "frame rows columns"]) -> float:
    """The mean of the part that fits best.

    Args:
        errors: as of `UnguidedFlow.errors`.
    """
    sorted_errors = errors.flatten().sort().values
    return sorted_errors[: max(1, int(KEPT * len(sorted_errors)))].mean().item()


def path_change(before: Submap, after: Submap) -> float:
    """Length of the difference of two paths as parts of their own lengths; 0: the same but for scale.

    Args:
        before, after: of the same frames.
    """
    paths = [one.world_from_camera[:, :3, 3] - one.world_from_camera[0, :3, 3] for one in (before, after)]
    first, second = (path / path.norm().clamp_min(1e-9) for path in paths)
    return (first - second).norm().item()
