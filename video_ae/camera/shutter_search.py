"""Whether the shutter of a clip rolls (`geometry.rolling_shutter`), and how long it takes.

How points move in an image follows from the cameras and depths that were solved, so the readout time is a correction of
the matches (`correction_fit`). It is believed where they cost clearly less: where every row is read at once the cost
falls by less than 0.1 %.
"""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.correction_fit import CorrectionFit
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.kernels.adjustment_kernel import NEAREST
from video_ae.camera.problem import (
    Correspondences,
    FreeParameters,
    KnownParameters,
    Priors,
    SceneState,
    Submap,
    focal_in_pixels,
)
from video_ae.camera.reprojection import match_costs, predict_points
from video_ae.geometry.rolling_shutter import camera_motion, motion_field
from video_ae.threads import mean_of_all

ROLLING = 0.98  # part of the cost that a readout time leaves at most
_WORTH = 0.01  # of the cost: less than this, predicted by one step, is not tried
LONGEST_READOUT = 1.0  # frame intervals, either way: then the next frame begins
STRETCH, _STEP, _GAPS = 24, 3, (1, 3, 6)  # frames that are matched, at most so far apart, and gaps between them
_LONGEST_STEP, _DIFFERENCE = 0.3, 0.02


def turning_stretch(camera_from_world: Float[Tensor, "frame 4 4"]) -> list[int]:
    """Positions of the frames of a clip that tell most about its shutter: where the camera turns fastest.

    Args:
        camera_from_world: poses of all frames, in order.
    """
    count = len(camera_from_world)
    step = max(1, min(_STEP, count // STRETCH))
    length = min(count, step * STRETCH)
    speed = camera_motion(camera_from_world)[0, :, :3].norm(dim=1)
    first = int(speed.unfold(0, length, 1).mean(1).argmax())
    return list(range(first, first + length, step))


def search_readout(
    solved: Submap, frames: list[int], graph: FrameGraph, outer_loop: OuterLoop, focal: float | None, rolls: bool
) -> float | None:
    """The readout time that explains a stretch of a solved clip clearly better than a global shutter does.

    Args:
        solved: the whole clip.
        frames: positions of the stretch's frames, rising.
        graph: of the stretch.
        outer_loop: how it is solved.
        focal: fx / width, where it is known.
        rolls: whether it is known already that the shutter rolls, so that any difference is believed.

    Returns:
        From the first row to the last, in frame intervals; negative where the last row is read first. None where a
        global shutter explains the matches as well.
    """
    state = graph.resample(solved.state.select(frames), solved.grid).relative_to_first()
    velocity = camera_motion(solved.state.camera_from_world)[0][frames]
    velocity[:, 3:] *= mean_of_all(state.inverse_depth)
    state, known = state.normalized(), KnownParameters(focal_in_pixels(focal, graph.grid))
    matches = outer_loop.match(graph, state, _GAPS)
    priors = outer_loop.priors(graph, state, known)
    state, _ = minimise(state, matches, priors, outer_loop.steps, known.free)
    return fit_readout(state, matches, priors, known.free, velocity, graph.height, rolls)


def fit_readout(
    state: SceneState,
    matches: Correspondences,
    priors: Priors,
    free: FreeParameters,
    velocity: Float[Tensor, "frame 6"],
    height: int,
    rolls: bool = False,
) -> float | None:
    """The same from matches.

    Args:
        state: the solved scene.
        matches: that it was solved on.
        priors: that it was solved with.
        free: what may move.
        velocity: left twist of each frame's camera in a frame interval.
        height: of the frames that were matched, in pixels.
        rolls: as for `search_readout`, whose result it has.
    """
    displacement = _displacement(state, matches, velocity, height)

    def straightened(readout: Float[Tensor, "1"]) -> Correspondences:
        return replace(matches, matched=matches.matched - readout * displacement)

    fit = CorrectionFit(state, straightened, priors, free, (_LONGEST_STEP,), (_DIFFERENCE,))
    cost = match_costs(state, matches).sum().item()
    if not (rolls or fit.predicted_gain((0,)) > _WORTH * cost):
        return None
    (readout,), _, left = fit.run((0,))
    believed = rolls or left < ROLLING * cost
    return float(readout) if believed and abs(readout) <= LONGEST_READOUT else None


def _displacement(
    state: SceneState, matches: Correspondences, velocity: Tensor, height: int
) -> Float[Tensor, "edge point 2"]:
    """By how many pixels matches are off for each frame interval of readout: by what moves the matched point until its
    row is read, less what moved the source point."""
    focal = state.log_focal.exp()
    seen = predict_points(state, matches.points, matches.source, matches.target)
    depth = state.inverse_depth[matches.source] / seen.points[..., 2].clamp_min(NEAREST)
    here = matches.points.expand(len(state), -1, -1) / focal
    source = focal * motion_field(here, state.inverse_depth, velocity)
    target = focal * motion_field(matches.matched / focal, depth, velocity[matches.target])
    return (matches.matched[..., 1:] / height) * target - (matches.points[:, 1:] / height) * source[matches.source]
