"""The frame graph: which frames are matched with which, and the correspondences on a grid of points.

Edges come in pairs: each is followed by its reverse, which tells how far a match may be trusted.
"""

import math
from collections.abc import Sequence
from copy import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from video_ae.camera.features import blur, feature_pyramid
from video_ae.camera.optical_flow import OpticalFlow, estimate_flow, warp
from video_ae.camera.problem import Correspondences, PointGrid, SceneState
from video_ae.camera.reprojection import predict_points
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.pinhole import sample
from video_ae.geometry.resize import resize_maps

_EDGES_AT_ONCE = 64  # bounds the memory of the matching
_GUIDED_ITERATIONS, _GUIDED_STIFFNESS = 4, 0.005
_FEATURE_NOISE = 0.15  # spread of feature differences between two views of the same thing
_MATCH_FLOOR = 0.15  # pixels; no match is trusted further than this
_START_LEVELS = 2  # finest levels, on which flows with a good start are matched


def frame_pairs(frames: int, gaps: tuple[int, ...], device: torch.device | None = None) -> Int[Tensor, "2 edge"]:
    """Source and target numbers of all pairs that lie `gaps` apart; each pair is followed by its reverse.

    Args:
        frames: in the clip.
        gaps: distances of the frames of a pair.
        device: of the result.

    >>> frame_pairs(3, (2,)).tolist()
    [[0, 2], [2, 0]]
    """
    pairs = [(i, i + gap) for gap in dict.fromkeys(gaps) for i in range(frames - gap)]
    both = [edge for a, b in pairs for edge in ((a, b), (b, a))]
    return torch.tensor(both, device=device, dtype=torch.long).reshape(-1, 2).T


def _floored(information: Float[Tensor, "edge 3 point"]) -> Float[Tensor, "edge 3 point"]:
    """The inverse of (inverse of the information + _MATCH_FLOOR^2 identity), each as (xx, xy, yy)."""
    xx, xy, yy = information.unbind(1)
    variance, determinant = _MATCH_FLOOR**2, xx * yy - xy * xy
    scale = 1 + variance * (xx + yy) + variance**2 * determinant
    return torch.stack([xx + variance * determinant, xy, yy + variance * determinant], 1) / scale[:, None]


class FrameGraph:
    """Feature maps of some frames, and correspondences between them on a grid of points.

    Args:
        frames: at the working size.
        features: module from frames to feature maps.
        levels: of the feature pyramid.
        step: distance of the points in pixels.
        static: how far each part of the frames stays where it is, 0 to 1; None: all of them do.
    """

    def __init__(
        self,
        frames: Float[Tensor, "frame 3 height width"],
        features: nn.Module,
        levels: int,
        step: int,
        static: Float[Tensor, "frame rows columns"] | None = None,
    ) -> None:
        self.count = len(frames)
        self.height, self.width = frames.shape[-2:]
        self.device = frames.device
        self.pyramid = feature_pyramid(features, frames, levels)
        self.static = None if static is None else resize_maps(static[:, None], (self.width, self.height))
        self._place_points(step)

    def with_step(self, step: int) -> "FrameGraph":
        """The same frames with another grid of points.

        Args:
            step: distance of the points in pixels.
        """
        graph = copy(self)
        graph._place_points(step)
        return graph

    def part(self, frames: Sequence[int]) -> "FrameGraph":
        """The graph of some of the frames.

        Args:
            frames: their positions, in the order wanted.
        """
        part = copy(self)
        part.count = len(frames)
        part.pyramid = [maps[list(frames)] for maps in self.pyramid]
        part.static = None if self.static is None else self.static[list(frames)]
        return part

    def _place_points(self, step: int) -> None:
        rows = torch.arange(step // 2, self.height, step, device=self.device)
        columns = torch.arange(step // 2, self.width, step, device=self.device)
        self.grid = PointGrid(len(rows), len(columns), self.width, self.height)
        self.pixels = (rows[:, None] * self.width + columns).flatten()
        self.points = self._centred(rows, columns)

    def _centred(self, rows: Tensor, columns: Tensor) -> Float[Tensor, "point 2"]:
        y, x = torch.meshgrid(rows + 0.5 - self.height / 2, columns + 0.5 - self.width / 2, indexing="ij")
        return torch.stack([x, y], -1).flatten(0, 1).float()

    def flow(self, edges: Int[Tensor, "2 edge"], start: Tensor | None = None, levels: int | None = None) -> OpticalFlow:
        """Dense optical flow of the edges.

        Args:
            edges: source and target frames.
            start: flow to begin from (of any size), in which case few iterations are made; else coarse to fine from
                zero.
            levels: so many of the finest levels only.
        """
        parts = []
        for begin in range(0, edges.shape[1], _EDGES_AT_ONCE):
            part = slice(begin, begin + _EDGES_AT_ONCE)
            # A good start needs fewer steps, and smoothing would bias the focal length.
            guided = (start[part], _GUIDED_ITERATIONS, _GUIDED_STIFFNESS) if start is not None else ()
            parts.append(estimate_flow(self.pyramid[:levels], edges[:, part], *guided))
        return parts[0] if len(parts) == 1 else OpticalFlow.cat(parts)

    def correspondences(self, edges: Int[Tensor, "2 edge"], found: OpticalFlow) -> Correspondences:
        """Flow at the grid points with its information: texture, alignment error, and whether the way back agrees.

        Args:
            edges: each pair next to its reverse.
            found: their flow.
        """
        structure, flow, error, inside = (
            maps.flatten(-2)[..., self.pixels] for maps in (found.structure, found.flow, found.error, found.inside)
        )
        matched = (self.points.T + flow).mT.contiguous()
        uv = matched / torch.tensor([self.width, self.height], device=self.device) + 0.5
        back = sample(found.flow.unflatten(0, (-1, 2)).flip(1).flatten(0, 1), uv[:, None], "border").squeeze(2)
        distance = (flow + back).square().sum(1)
        trust = inside / (1 + distance).square() * (distance < THRESHOLDS.round_trip_pixels**2)
        if self.static is not None:
            here, there = self.static.flatten(1)[:, self.pixels], sample(self.static[edges[1]], uv[:, None], "border")
            trust = trust * here[edges[0]] * there.flatten(1)
        information = _floored(structure / (error + _FEATURE_NOISE**2)[:, None]) * trust[:, None]
        information = information[:, [0, 1, 1, 2]].mT.contiguous().unflatten(-1, (2, 2))
        return Correspondences(edges[0], edges[1], self.points, matched, information)

    def initial_correspondences(self, gaps: tuple[int, ...]) -> Correspondences:
        """Correspondences of the pairs `gaps` apart, found from nothing.

        Neighbours are matched coarse to fine, and again from the motion before and after. Wider pairs start from the
        flows of neighbours, one after the other: what moves further than half a period of a repeated texture would
        otherwise be matched with its next repetition.

        Args:
            gaps: distances of the frames of a pair.
        """
        widest, known = min(max(gaps), self.count - 1), dict[int, OpticalFlow]()
        for gap in range(1, widest + 1):
            edges = frame_pairs(self.count, (gap,), self.device)
            if gap == 1:
                known[gap] = self._steady(edges, self.flow(edges))
            else:
                known[gap] = self.flow(edges, self._chained(known[gap - 1].flow, known[1].flow), _START_LEVELS)
        chosen = tuple(dict.fromkeys(min(gap, widest) for gap in gaps))
        found = OpticalFlow.cat([known[gap] for gap in chosen])
        return self.correspondences(frame_pairs(self.count, chosen, self.device), found)

    def _steady(self, edges: Int[Tensor, "2 edge"], found: OpticalFlow) -> OpticalFlow:
        """Flows of neighbours (each pair followed by its reverse), where cameras keep their motion for a moment: the
        pair before's and the pair after's flows are tried as starts, and taken for an edge that they match better."""
        for pairs in (1, 1, -1):
            other = self.flow(edges, found.flow.roll(2 * pairs, 0), _START_LEVELS)
            found = found.replaced(other, other.mean_error < found.mean_error)
        return found

    @staticmethod
    def _chained(
        wide: Float[Tensor, "edge 2 height width"], neighbours: Float[Tensor, "edge2 2 height width"]
    ) -> Float[Tensor, "edge3 2 height width"]:
        """Flow of the pairs one frame further apart than `wide`, each pair followed by its reverse as in `frame_pairs`:
        forwards i -> i + gap - 1 -> i + gap, backwards i + gap -> i + 1 -> i."""
        count = len(wide) // 2 - 1
        forward, backward = wide[0::2][:count], wide[1::2][1:]
        onward, back = neighbours[0::2][-count:], neighbours[1::2][:count]
        forward = forward + warp(onward, forward)[0]
        backward = backward + warp(back, backward)[0]
        return torch.stack([forward, backward], 1).flatten(0, 1)

    def guided_correspondences(
        self, gaps: tuple[int, ...], state: SceneState, levels: int = 2, others: Int[Tensor, "2 edge"] | None = None
    ) -> Correspondences:
        """Correspondences of the pairs `gaps` apart, started from where the solved scene predicts them (DROID-SLAM's
        outer loop).

        Args:
            gaps: distances of the frames of a pair.
            state: the scene.
            levels: of the pyramid, finest ones.
            others: edges that are matched as well, each followed by its reverse.
        """
        edges = frame_pairs(self.count, gaps, self.device)
        if others is not None:
            edges = torch.cat([edges, others], 1)
        level, parts = min(levels, len(self.pyramid)) - 1, []
        for part in edges.split(_EDGES_AT_ONCE, 1):
            parts.append(self.correspondences(part, self.flow(part, self.predicted_flow(part, state, level), levels)))
        return Correspondences.cat(parts)

    def predicted_flow(
        self, edges: Int[Tensor, "2 edge"], state: SceneState, level: int = 0
    ) -> Float[Tensor, "edge 2 height width"]:
        """Flow of every pixel of a level as the scene predicts it.

        Args:
            edges: source and target frames.
            state: the scene.
            level: of the pyramid; 0: the working size.
        """
        height, width = self.pyramid[level].shape[-2:]
        maps = state.inverse_depth.view(self.count, 1, self.grid.rows, self.grid.columns)
        dense = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False).flatten(1)
        rows, columns = torch.arange(height, device=self.device), torch.arange(width, device=self.device)
        points = self._centred((rows + 0.5) * self.height / height - 0.5, (columns + 0.5) * self.width / width - 0.5)
        predicted = predict_points(SceneState(state.camera_from_world, dense, state.log_focal), points, *edges)
        limit = float(max(self.height, self.width))  # nothing is found that far outside anyway
        motion = (predicted.image - points).clamp(-limit, limit) * torch.tensor(
            [width / self.width, height / self.height], device=self.device
        )
        return motion.mT.unflatten(-1, (height, width))

    def smoothed(self, inverse_depth: Float[Tensor, "frame point"]) -> Float[Tensor, "frame point"]:
        """Inverse depths averaged over neighbouring points.

        Args:
            inverse_depth: on the grid.
        """
        return blur(inverse_depth.view(-1, 1, self.grid.rows, self.grid.columns), 1).flatten(1)

    def resample(self, state: SceneState, grid: PointGrid) -> SceneState:
        """A scene on this graph's points, its focal length in this graph's pixels.

        Args:
            state: solved on another graph of the same frames.
            grid: of that graph.
        """
        maps = state.inverse_depth.view(len(state), 1, grid.rows, grid.columns)
        size = (self.grid.rows, self.grid.columns)
        depth = F.interpolate(maps, size=size, mode="bilinear", align_corners=False).flatten(1)
        return SceneState(state.camera_from_world, depth, state.log_focal + math.log(self.width / grid.width))
