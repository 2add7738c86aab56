"""The windows of a long video, solved one after another, and those that came out dearer than the next solved again."""

from collections.abc import Callable
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from video_ae.camera.submaps import select_frames
from video_ae.types import CameraEstimate

_DEARER = (
    1.2  # times the next window's cost: a window that came out wrong costs 1.4 times as much, right ones vary by 10 %
)

Solve = Callable[[Tensor], CameraEstimate]
GoOn = Callable[[Tensor, CameraEstimate, int], CameraEstimate]
Cost = Callable[[Tensor, CameraEstimate], float]


def solve_chain(
    clip: Float[Tensor, "frame 3 height width"], parts: list[slice], solve: Solve, go_on: GoOn, cost: Cost
) -> list[CameraEstimate]:
    """An estimate (batch of one) of each window of a clip.

    solve: a window from nothing. go_on: a window whose first frames end the window before (its estimate, their number).
    cost: what a window's matches cost on average, given its estimate.

    A window without a window before it has nothing to lean on, and what is wrong with it is only seen beside the next:
    from the last window to the first, one that is clearly dearer than its successor is solved once more, backwards from
    that one, and the cheaper of the two is kept.
    """
    pieces = [solve(clip[parts[0]])]
    for previous, part in pairwise(parts):
        pieces.append(go_on(clip[part], pieces[-1], previous.stop - part.start))
    costs = [cost(clip[part], piece) for part, piece in zip(parts, pieces, strict=True)]
    for number in range(len(parts) - 2, -1, -1):
        if costs[number] <= _DEARER * costs[number + 1]:
            continue
        frames, shared = clip[parts[number]], parts[number].stop - parts[number + 1].start
        again = backwards(go_on(frames.flip(0), backwards(pieces[number + 1]), shared))
        if (cheaper := cost(frames, again)) < costs[number]:
            pieces[number], costs[number] = again, cheaper
    return pieces


def backwards(estimate: CameraEstimate) -> CameraEstimate:
    """The estimate (batch of one) of the same frames in opposite order; the new first camera is the world.

    Covariances stay those relative to the frame that was first.
    """
    return select_frames(estimate, 0, list(range(len(estimate.cameras) - 1, -1, -1)))
