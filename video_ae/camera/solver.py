"""Camera poses and the focal length from frames alone, by matching and dense bundle adjustment."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.camera.base import CameraEncoder
from video_ae.camera.bundle_adjustment import match_costs, normalise_scale
from video_ae.camera.chain import solve_chain
from video_ae.camera.covariance import describe, with_clip_notes
from video_ae.camera.estimates import in_pixels, on_grid, possible, stack, state_of, transfer
from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.global_adjustment import ANCHOR_GAPS, LOOPS, anchor_frames, follow_anchors
from video_ae.camera.initialization import StartSearch
from video_ae.camera.iteration import Rounds
from video_ae.camera.problem import KnownParameters
from video_ae.camera.submaps import common_focal, hold, join_windows, moving_frames, select_frames, window_parts
from video_ae.errors import UserError
from video_ae.geometry.precision import full_precision
from video_ae.types import CameraEstimate

_JOINT_ROUNDS = 2  # over all frames of a clip that was solved in windows
_LOST = 0.2  # mean cost of a match above which a window that was started from the one before is searched anew


class CameraSolver(CameraEncoder):
    """Frames -> camera poses, one focal length, coarse inverse depths; nothing in it is learnt.

    1. Dense matches between near frames; every direction of motion is tried for several focal lengths
       (`motion_search`), the most promising starts are solved by dense bundle adjustment at a small size.
    2. Frames further apart are matched from where each start predicts them; the start that explains them best wins.
    3. The same at the working size, with growing gaps (the outer loop of DROID-SLAM, Teed & Deng 2021).

    size: working size, pixels of the shorter side. search_size: the same for steps 1 and 2.
    levels: of the feature pyramid. point_step: distance of the points that get a depth, in pixels.
    search_gaps, vote_gaps: frame distances of steps 1 and 2. stages: those of each round of step 3.
    focal_starts: focal lengths to try, in units of the longer side.
    candidates: how many starts go into step 2. steps: solver steps per round.
    smoothness: weight that pulls each inverse depth to the mean of its neighbours.
    features: module from frames to feature maps (default: local contrast).
    longest: frames that are solved at once; a longer clip is solved in windows of `window` frames that share `overlap`.
    joint: a clip of at most so many frames is refined as a whole once its windows are joined; of a longer one some
        frames are (`anchors`).
    """

    def __init__(
        self,
        size: int = 64,
        search_size: int = 64,
        levels: int = 4,
        point_step: int = 3,
        search_gaps: tuple[int, ...] = (1, 2, 3),
        vote_gaps: tuple[int, ...] = (1, 2, 4, 6),
        stages: tuple[tuple[int, ...], ...] = ((1, 2, 4, 6), (1, 3, 5, 8)),
        focal_starts: tuple[float, ...] = (0.5, 0.7, 1.0, 1.4),
        candidates: int = 3,
        steps: int = 10,
        smoothness: float = 1.0,
        directions: int = 160,
        features: nn.Module | None = None,
        longest: int = 32,
        window: int = 24,
        overlap: int = 8,
        joint: int = 64,
    ):
        super().__init__()
        self.size, self.search_size = size, search_size
        self.levels, self.point_step = levels, point_step
        self.stages, self.rounds = stages, Rounds(steps, smoothness)
        self.search = StartSearch(self.rounds, search_gaps, vote_gaps, focal_starts, candidates, directions)
        self.features = features or LocalContrast()
        self.longest, self.window, self.overlap, self.joint = longest, window, overlap, joint

    @torch.no_grad()
    @full_precision
    def solve(
        self,
        frames: Float[Tensor, "frame 3 height width"],
        focal_over_width: float | None = None,
        refine_steps: int = 0,
    ) -> CameraEstimate:
        estimate = self(frames[None], focal_over_width)
        return (self.refine(frames[None], estimate, refine_steps, focal_over_width) if refine_steps else estimate)[0]

    @torch.no_grad()
    @full_precision
    def forward(
        self,
        frames: Float[Tensor, "batch frame 3 height width"],
        focal_over_width: float | None = None,
        inverse_depth: Float[Tensor, "batch frame rows columns"] | None = None,
    ) -> CameraEstimate:
        """Poses of all frames; the first frame is the world, the mean inverse depth is 1.

        focal_over_width: the focal length in widths where it is known; else it is found.
        inverse_depth: learnt inverse depths (any scale and size), used as start and prior.
        Raises UserError for fewer than two frames.
        """
        if frames.shape[1] < 2:
            raise UserError(f"{frames.shape[1]} frame was given, at least 2 are needed to find a camera's motion")
        depths = [None] * len(frames) if inverse_depth is None else list(inverse_depth)
        return stack([self._find(c, focal_over_width, d) for c, d in zip(frames, depths, strict=True)])

    @torch.no_grad()
    @full_precision
    def refine(
        self,
        frames: Float[Tensor, "batch frame 3 height width"],
        estimate: CameraEstimate,
        steps: int = 3,
        focal_over_width: float | None = None,
        size: int | None = None,
        gaps: tuple[int, ...] = (1, 3, 6, 10),
    ) -> CameraEstimate:
        """The same at a higher resolution and wider gaps, matching anew in each of `steps` rounds.

        size: working size; by default 128, and 96 for clips that are solved in windows.
        Anytime: a round's result is kept only where it explains that round's matches better than what it began with.
        """
        results = []
        for i, clip in enumerate(frames):
            kept, holder = self._moving(clip)
            clip, start = clip[kept], select_frames(estimate, i, kept)
            parts = self._parts(len(clip))
            side = size or (128 if len(parts) == 1 else 96)
            clips, pieces = [clip[part] for part in parts], [select_frames(start, 0, part) for part in parts]
            focal, rounds = focal_over_width, steps
            if focal is None and len(parts) > 1:  # a last round settles on one focal length
                pieces = [self._polish(c, e, steps - 1, None, side, gaps) for c, e in zip(clips, pieces, strict=True)]
                focal, rounds = common_focal(pieces), 1
            pieces = [self._polish(c, e, rounds, focal, side, gaps) for c, e in zip(clips, pieces, strict=True)]
            whole = join_windows(pieces, parts)
            if len(parts) > 1 and len(clip) <= self.joint:  # windows hold the focal length less well than all of it
                whole = self._polish(clip, whole, _JOINT_ROUNDS, focal_over_width, size or 128, gaps)
            elif len(parts) > 1 and (anchors := anchor_frames(whole)):  # windows drift
                start = select_frames(whole, 0, anchors)
                settled = self._polish(clip[anchors], start, _JOINT_ROUNDS, focal_over_width, side, ANCHOR_GAPS, LOOPS)
                whole = follow_anchors(whole, anchors, settled)
            results.append(with_clip_notes(hold(whole, holder), frames[i]))
        return stack(results)

    def _find(self, clip: Tensor, focal_over_width: float | None, inverse_depth: Tensor | None) -> CameraEstimate:
        kept, holder = self._moving(clip)
        solve = self._solve if len(kept) <= self.longest else self._solve_long
        depth = None if inverse_depth is None else inverse_depth[kept]
        return with_clip_notes(hold(solve(clip[kept], focal_over_width, depth), holder), clip)

    def _moving(self, clip: Tensor) -> tuple[list[int], Tensor]:
        """Frames that are worth solving, and which of them stands for each frame; all of them in a short clip."""
        if len(clip) <= self.longest:
            return list(range(len(clip))), torch.arange(len(clip), device=clip.device)
        return moving_frames(self._graph(clip, self.search_size))

    def _parts(self, frames: int) -> list[slice]:
        return window_parts(frames, frames if frames <= self.longest else self.window, self.overlap)

    def _polish(
        self,
        clip: Tensor,
        estimate: CameraEstimate,
        rounds: int,
        focal_over_width: float | None,
        size: int,
        gaps: tuple[int, ...],
        loops: int = 0,
    ) -> CameraEstimate:
        """An estimate (batch of one) after rounds at `size`, until one explains its matches no better."""
        graph = self._graph(clip, size)
        state = normalise_scale(state_of(estimate, 0, graph))
        turning = bool(state.camera_from_world[:, :3, 3].abs().max() == 0)
        known = KnownParameters(in_pixels(focal_over_width, graph), state.inverse_depth, turning)
        if known.focal:
            state = replace(state, log_focal=torch.tensor(known.focal, device=graph.device).log())
        for _ in range(rounds):
            solved, matches = self.rounds.run(graph, state, gaps, known, loops)
            if match_costs(solved, matches).sum() >= match_costs(state, matches).sum():
                break
            state = solved
        matches = graph.guided_matches(possible(gaps, graph.count), state, loops=loops)
        return describe(state, matches, self.rounds.priors(graph, state, known), graph, clip)

    def _solve_long(self, clip: Tensor, focal_over_width: float | None, inverse_depth: Tensor | None) -> CameraEstimate:
        """Windows one after another, each started from its neighbour; then all again with one focal length."""
        parts = self._parts(len(clip))
        depth = None if inverse_depth is None else inverse_depth[parts[0]]
        pieces = solve_chain(
            clip, parts,
            lambda frames: self._solve(frames, focal_over_width, depth),
            lambda frames, previous, shared: self._continue(frames, previous, shared, focal_over_width),
            self._cost,
        )  # fmt: skip
        focal = focal_over_width or common_focal(pieces)
        settled = [
            self._polish(clip[p], e, 1, focal, self.size, self.stages[-1]) for p, e in zip(parts, pieces, strict=True)
        ]
        return join_windows(settled, parts)

    def _continue(
        self, clip: Tensor, previous: CameraEstimate, shared: int, focal_over_width: float | None
    ) -> CameraEstimate:
        """A window whose first `shared` frames end the previous window; searched only where that start is lost."""
        coarse = self._graph(clip, self.search_size, self.point_step + 1)
        known = KnownParameters(in_pixels(focal_over_width, coarse), None)
        tail = state_of(select_frames(previous, 0, slice(len(previous.cameras) - shared, None)), 0, coarse)
        state, matches = self.search.go_on(coarse, tail, known)
        turning = False
        if match_costs(state, matches).mean() > _LOST or tail.camera_from_world[:, :3, 3].abs().max() == 0:
            state, turning = self.search.run(coarse, known)
        graph = self._graph(clip, self.size)
        state = normalise_scale(transfer(state, coarse, graph))
        known = KnownParameters(in_pixels(focal_over_width, graph), state.inverse_depth, turning)
        state, matches = self.rounds.run(graph, state, self.stages[0], known)
        return describe(state, matches, self.rounds.priors(graph, state, known), graph, clip)

    def _cost(self, clip: Tensor, estimate: CameraEstimate) -> float:
        """Mean cost of the wide matches of a clip, given its estimate (batch of one)."""
        graph = self._graph(clip, self.size)
        state = normalise_scale(state_of(estimate, 0, graph))
        return match_costs(state, graph.guided_matches(possible(self.stages[-1], graph.count), state)).mean().item()

    def _graph(self, clip: Tensor, size: int, step: int | None = None) -> FrameGraph:
        height, width = clip.shape[-2:]
        ratio = size / min(height, width)
        shape = (max(8, round(height * ratio)), max(8, round(width * ratio)))
        small = F.interpolate(clip.float(), size=shape, mode="bilinear", antialias=True, align_corners=False)
        return FrameGraph(small, self.features, self.levels, step or self.point_step)

    def _solve(self, clip: Tensor, focal_over_width: float | None, inverse_depth: Tensor | None) -> CameraEstimate:
        coarse = self._graph(clip, self.search_size, self.point_step + 1)
        known = KnownParameters(in_pixels(focal_over_width, coarse), on_grid(inverse_depth, coarse))
        state, turning = self.search.run(coarse, known)
        graph = self._graph(clip, self.size)
        state = transfer(state, coarse, graph)
        known = KnownParameters(in_pixels(focal_over_width, graph), on_grid(inverse_depth, graph), turning)
        for gaps in self.stages:
            state, matches = self.rounds.run(graph, state, gaps, known)
        return describe(state, matches, self.rounds.priors(graph, state, known), graph, clip)
