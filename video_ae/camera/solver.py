"""Extrinsics and the focal length from frames alone, by optical flow and dense bundle adjustment."""

import math
from copy import copy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from video_ae.camera.base import CameraEncoder, Frames
from video_ae.camera.clip_solving import REFINE_GAPS, REFINE_SIZE, ClipSolving
from video_ae.camera.covariance import (
    SPREAD_OF_LENSES,
    error_covariance,
    focal_deviation,
)
from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_selection import FEWEST_FRAMES, select_frames
from video_ae.camera.initialization import Initialization
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.lens_search import STRONG_RADIAL, search_lens
from video_ae.camera.moving_objects import (
    BETTER,
    MASK_ROUNDS,
    ROUNDS,
    SETTLED,
    UnguidedFlow,
    looks_moving,
    part_kept,
    path_change,
    static_part,
    trimmed_error,
    with_borders,
)
from video_ae.camera.problem import (
    Submap,
)
from video_ae.camera.quality_flags import clip_notes, fit_notes, is_guess, misfits, undecided
from video_ae.camera.registration import register_frames
from video_ae.camera.shutter_search import search_readout, turning_stretch
from video_ae.camera.trajectory_subspace import trajectory_errors
from video_ae.camera.working_images import WorkingImages
from video_ae.camera.zoom_search import FollowedZoom, SolvedClip, between_frames, follow_zoom, zoomed
from video_ae.errors import UserError
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.precision import full_precision
from video_ae.geometry.rolling_shutter import as_global_shutter, image_motion
from video_ae.steps import kept
from video_ae.types import CameraEstimate, Cameras, LensOffset

_LENS_STEP = 3  # of the selected frames, where there are enough: a lens shows in wide motion
_SPREAD_OF_METADATA = 0.15  # of the logarithm of focal lengths around what files say: videos are cropped and stabilised


class CameraSolver(CameraEncoder):
    """Frames -> camera poses, focal lengths, coarse inverse depths; nothing in it is learnt.

    1. Initialization: dense optical flow between near frames; every direction of translation is tried for several
       focal lengths, the most promising hypotheses are solved by dense bundle adjustment at a small size. Frames
       further apart are matched from where each hypothesis predicts them; the one that explains them best wins.
    2. Iteration: the same at the working size, with growing gaps (the outer loop of DROID-SLAM, Teed & Deng 2021).
    3. Submaps: a long clip is solved in windows that are merged by the frames that they share.
    4. Refinement: the same at a higher resolution and over wider gaps. Places that are seen again are recognised, and a
       pose graph closes the loops; at last the keyframes of a long clip are adjusted together, with loop closures. What
       noise alone makes of the focal length is taken off (`focal_bias`).
    5. Rolling shutter: where the matches tell one, the frames are straightened, and refined and registered once more.

    Before step 4 a focal length that changes within the clip is looked for (`zoom_search`). Where it does, steps 1 to 4
    get frames as if nothing had zoomed, and step 5 is left out.
    Where a clip tells its focal length less than twice as well as a prior does, it is solved again with the prior at
    its full weight.
    Solved are the frames that have moved far enough since the one before; the others are registered after step 4.

    Args:
        size: working size, pixels of the shorter side.
        search_size: the same for step 1.
        levels: of the feature pyramid.
        point_step: distance of the points that get a depth, in pixels.
        search_gaps, vote_gaps: frame distances of the first correspondences, and of those that decide.
        stages: frame distances of each round of step 2.
        focal_starts: focal lengths to try, in units of the longer side.
        candidates: how many hypotheses are compared on the frame distances of `vote_gaps`.
        steps: solver steps per round.
        smoothness: weight that pulls each inverse depth to the mean of its neighbours.
        directions: of translation that are tried.
        features: module from frames to feature maps (default: local contrast).
        longest: frames that are solved at once; a longer clip is solved in submaps.
        window, overlap: frames of a submap, and how many of them it shares with the next.
        joint: a clip of at most so many frames is refined as a whole once its submaps are merged; of a longer one the
            keyframes are.
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
    ) -> None:
        super().__init__()
        self.size, self.search_size = size, search_size
        self.levels, self.point_step = levels, point_step
        self.stages, self.outer_loop = stages, OuterLoop(steps, smoothness)
        self.initialization = Initialization(
            self.outer_loop, search_gaps, vote_gaps, focal_starts, candidates, directions
        )
        self.features = features or LocalContrast()
        self.longest, self.window, self.overlap, self.joint = longest, window, overlap, joint

    @torch.no_grad()
    @full_precision
    def solve(
        self,
        frames: Frames,
        focal_over_width: float | None = None,
        refine_steps: int = 0,
        expected_focal: float | None = None,
        constant_focal: bool = False,
    ) -> CameraEstimate:
        if len(frames) < 2:
            raise UserError(f"{len(frames)} frame was given, at least 2 are needed to find a camera's motion")
        estimate = self._solve(frames, focal_over_width, refine_steps, constant_focal)
        focal, spread = self.outer_loop.focal, SPREAD_OF_LENSES
        if expected_focal is not None and _agree(estimate, expected_focal):
            focal, spread = expected_focal * frames.shape[-1] / max(frames.shape[-2:]), _SPREAD_OF_METADATA
        if estimate.focal_deviation is not None and estimate.focal_deviation > spread / 2:
            estimate = self._with_prior(focal, spread)._solve(frames, None, refine_steps, constant_focal)
        return replace(estimate, notes=clip_notes(estimate, frames))

    def _with_prior(self, focal: float, deviation: float) -> "CameraSolver":
        """The same solver with another prior of the focal length (`OuterLoop`), from which the search begins, too."""
        other, start = copy(self), self.initialization
        other.outer_loop = replace(self.outer_loop, focal=focal, focal_deviation=deviation)
        starts = dict.fromkeys((*start.focal_starts, focal))
        other.initialization = replace(start, outer_loop=other.outer_loop, focal_starts=tuple(starts))
        return other

    def _solve(
        self, frames: Frames, focal_over_width: float | None, refine_steps: int, constant_focal: bool
    ) -> CameraEstimate:
        """What `solve` returns, but for the notes on frames."""
        images = WorkingImages(frames, self.features, self.levels)
        selected = kept("selection", lambda: select_frames(images.graph(self.search_size, self.point_step)))
        may_zoom = bool(refine_steps) and focal_over_width is None and not constant_focal
        solving = ClipSolving(self, images.select(selected), focal_over_width, may_zoom)
        solved, readout, static, zoom = solving.feed_forward(), 0.0, None, None
        if refine_steps:
            solving, solved = self._leave_out_moving(solving, solved)
            if may_zoom and solving.images.static is None:  # which can look like a zoom
                images, solving, solved, zoom = self._follow_zoom(images, selected, solving, solved)
            solved = solving.refine(solved, refine_steps)
        whole = self._register(images, selected, solved)
        if solving.images.static is not None:
            matches = UnguidedFlow.of(images.graph(self.search_size, self.point_step))
            for _ in range(MASK_ROUNDS):
                before, errors = whole, matches.errors(whole, fit_depth=True)
                static, images = static_part(errors), images.showing(static_part(with_borders(errors)))
                solved = ClipSolving(self, images.select(selected), focal_over_width).refine(solved, refine_steps)
                whole = self._register(images, selected, solved)
                if path_change(before, whole) < SETTLED:
                    break
        follows = zoom is not None and zoom.solved is not None
        for rounds in (1, refine_steps) if refine_steps and not follows and len(frames) >= FEWEST_FRAMES else ():
            more = kept("readout", partial(self._find_readout, images, whole, focal_over_width, readout != 0))
            if more is None:
                break
            readout += more
            straight = as_global_shutter(frames, image_motion(_estimate(whole, frames)), readout)
            images = WorkingImages(straight, self.features, self.levels, images.static)
            solved = ClipSolving(self, images.select(selected), focal_over_width).refine(solved, rounds)
            whole = self._register(images, selected, solved)
        deviation = None if focal_over_width else focal_deviation(whole)
        estimate = replace(_estimate(whole, frames), readout=readout, static=static, focal_deviation=deviation)
        if static is not None:
            estimate = replace(estimate, confidence=estimate.confidence * part_kept(static))
        if zoom is None:
            return estimate
        return zoomed(estimate, zoom.zoom) if follows else undecided(estimate, zoom.zoom)

    def _follow_zoom(
        self, images: WorkingImages, selected: list[int], solving: ClipSolving, solved: Submap
    ) -> tuple[WorkingImages, ClipSolving, Submap, FollowedZoom | None]:
        """Images, a solution, and the zoom of all frames where there is one or may be."""

        def solve(zoom: Tensor, before: SolvedClip | None) -> SolvedClip:
            shown = images.without_zoom(between_frames(selected, zoom))
            trial = ClipSolving(self, shown.select(selected), None, True)
            whole = trial.refine(before.whole, 1) if before else trial.feed_forward()
            return SolvedClip(whole, trial.latest)

        found = None if is_guess(solved.notes) else follow_zoom(SolvedClip(solved, solving.latest), solve)
        if found is not None:
            found = replace(found, zoom=between_frames(selected, found.zoom))
        if found is None or found.solved is None:
            solving.forget_parts()
            return images, solving, solved, found
        images = images.without_zoom(found.zoom)
        return images, ClipSolving(self, images.select(selected), None), found.solved, found

    def _leave_out_moving(self, solving: ClipSolving, solved: Submap) -> tuple[ClipSolving, Submap]:
        """Solved anew without what moves by itself, where the rest then fits better."""
        matches = self._unguided(solving)
        errors = matches.errors(solved)
        if not looks_moving(errors) or is_guess(solved.notes):
            return solving, solved
        at_once = copy(self)
        at_once.longest = self.joint  # submaps would be led astray one after another
        least = BETTER * trimmed_error(with_borders(matches.errors(solved, fit_depth=True)))
        best, found, errors = (solving, solved), None, matches.averaged_along(trajectory_errors(matches))
        for _ in range(ROUNDS):
            images = solving.images.showing(static_part(with_borders(errors)))
            trial = ClipSolving(at_once, images, solving.focal)
            found = trial.iterate(found) if found else trial.feed_forward()
            errors = matches.errors(found, fit_depth=True)
            if (left := trimmed_error(with_borders(errors))) < least:
                best, least = (ClipSolving(self, images, solving.focal), found), left
        return best

    def _register(self, images: WorkingImages, selected: list[int], solved: Submap) -> Submap:
        """All frames of a clip, some of which are solved."""
        if len(selected) == len(images.frames):
            return solved
        graph = images.graph(min(solved.grid.width, solved.grid.height), self.point_step)
        return register_frames(solved, selected, graph, self.outer_loop)

    def _find_readout(
        self, images: WorkingImages, whole: Submap, focal_over_width: float | None, rolls: bool
    ) -> float | None:
        if is_guess(whole.notes):
            return None
        stretch = turning_stretch(whole.state.camera_from_world)
        graph = images.select(stretch).graph(REFINE_SIZE, self.point_step)
        return search_readout(whole, stretch, graph, self.outer_loop, focal_over_width, rolls)

    @torch.no_grad()
    @full_precision
    def find_lens(self, frames: Frames, focal_over_width: float | None = None) -> LensOffset | None:
        """How the camera differs from a pinhole with a centred principal point, from a stretch in the middle of a clip.

        Args:
            frames: RGB in [0, 1] or bytes in 0 .. 255, in order.
            focal_over_width: the focal length where it is known, as fx / width; else it is found.

        Returns:
            None where a pinhole explains the frames as well, or where they do not tell.
        """
        if len(frames) < FEWEST_FRAMES:
            return None
        images = WorkingImages(frames, self.features, self.levels)
        selected = select_frames(images.graph(self.search_size, self.point_step))
        solving, whole = self._solve_stretch(images.select(selected), focal_over_width)
        if is_guess(whole.notes):
            return None
        solved = solving.polish(solving.parts[0], whole, 1, focal_over_width, REFINE_SIZE, REFINE_GAPS)
        graph, state = solved.graph, solved.state
        priors = self.outer_loop.priors(graph, state, solved.known)
        found = search_lens(state, solved.matches, priors, solved.known.free, (graph.width, graph.height))
        weak = found is not None and found.radial > STRONG_RADIAL and not any(found.centre)
        if weak and looks_moving(self._unguided(solving).errors(whole)):
            return None  # a weak lens explains no such errors, but people can be taken for one
        return found

    def _unguided(self, solving: ClipSolving) -> UnguidedFlow:
        return UnguidedFlow.of(solving.images.graph(self.search_size, self.point_step))

    def _solve_stretch(self, images: WorkingImages, focal_over_width: float | None) -> tuple[ClipSolving, Submap]:
        """A stretch in the middle of a clip; where frames far apart are lost, the frames between are solved instead."""
        tried, count = list[tuple[ClipSolving, Submap]](), len(images.frames)
        for step in dict.fromkeys((max(1, min(_LENS_STEP, count // self.window)), 1)):
            spread = range(0, count, step)
            first = max(0, (len(spread) - self.window) // 2)
            part = ClipSolving(self, images.select(list(spread[first : first + self.window])), focal_over_width)
            tried.append((part, part.feed_forward()))
            if not misfits(tried[-1][1].notes):
                return tried[-1]
        return tried[0]


def _agree(estimate: CameraEstimate, expected_focal: float) -> bool:
    """Whether the focal length that was found and one that was expected lie within two standard deviations."""
    difference = math.log(expected_focal / estimate.cameras.intrinsics[0, 0].item())
    return abs(difference) < 2 * math.hypot(estimate.focal_deviation or 0, _SPREAD_OF_METADATA)


def _estimate(solved: Submap, frames: Frames) -> CameraEstimate:
    """What the solver returns, without the notes on frames."""
    height, width = frames.shape[-2:]
    return CameraEstimate(
        Cameras(
            solved.world_from_camera, pinhole_intrinsics(solved.focal_over_width.expand(len(solved)), width, height)
        ),
        solved.state.inverse_depth.unflatten(1, (solved.grid.rows, solved.grid.columns)),
        solved.confidence,
        error_covariance(solved),
        (*solved.notes, *fit_notes(solved)),
    )
