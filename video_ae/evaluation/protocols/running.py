"""What all protocols do: go through a data set, hide the truth from a method, run it and count its failures."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.types import Cameras, VideoClip

Answer = TypeVar("Answer")

Row = dict[str, Any]
"""The numbers of one method on one clip, by name."""
Notify = Callable[[str], object] | None
"""Is called with a line of text, such as a clip's name, before it is worked on."""


@dataclass(frozen=True)
class Attempt(Generic[Answer]):
    """What came of running a method.

    Args:
        answer: of the method; None where it failed.
        failure: why it failed, under the key "failure"; empty where it did not.
        cost: the "seconds" and "cpu_seconds" that it took.
    """

    answer: Answer | None
    failure: dict[str, Any]
    cost: dict[str, float]


def attempt(run: Callable[..., Answer], *inputs: Any) -> Attempt[Answer]:
    """Runs a method; a `UserError` or a singular system counts as a failure.

    Args:
        run: the method.
        *inputs: what it is run on.
    """
    start, cpu = time.perf_counter(), cpu_seconds()
    answer, failure = None, {}
    try:
        answer = run(*inputs)
    except (UserError, torch.linalg.LinAlgError) as error:
        failure = {"failure": str(error)}
    return Attempt(answer, failure, {"seconds": time.perf_counter() - start, "cpu_seconds": cpu_seconds() - cpu})


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def named_clips(
    dataset: ClipSource, progress: Notify = None, frames: int | None = None, size: tuple[int, int] | None = None
) -> Iterator[tuple[str, VideoClip]]:
    """The clips of a data set with their names, each loaded when it is asked for.

    A clip that turns out to be damaged is skipped, and `dataset.skipped` says why.

    Args:
        dataset: of the clips.
        progress: called with a clip's name before it is loaded.
        frames: only the first so many of each clip; None takes all.
        size: (width, height) to which the frames are resized; None leaves them as they are.

    Raises:
        UserError: when no clip can be loaded.
    """
    count = 0
    for i, name in enumerate(dataset.names):
        if progress:
            progress(name)
        try:
            chosen = None if frames is None else range(min(frames, dataset.frame_count(i)))
            clip = dataset.load(i, indices=chosen, size=size)
        except UserError as error:
            if count == 0 and i == len(dataset) - 1:
                raise
            dataset.skipped[name] = str(error)
            continue
        count += 1
        yield name, clip


def without_truth(clip: VideoClip, known_focal: bool) -> VideoClip:
    """The clip as a method may see it: without cameras, or with the true intrinsics and identity poses.

    Args:
        clip: with its true cameras, if it has any.
        known_focal: whether the true intrinsics are given away.
    """
    if clip.cameras is None or not known_focal:
        return replace(clip, cameras=None)
    intrinsics = clip.cameras.intrinsics
    poses = torch.eye(4, dtype=intrinsics.dtype).repeat(len(clip), 1, 1)
    return replace(clip, cameras=Cameras(poses, intrinsics))


def true_cameras(clip: VideoClip) -> Cameras:
    """The clip's true cameras, in float64.

    Args:
        clip: of a data set with cameras.

    Raises:
        UserError: its data set has none.
    """
    if clip.cameras is None:
        raise UserError(
            f"clip {clip.name!r} has no true cameras to compare with: give a data set with cameras, for example "
            "RealEstate10K's layout: cameras/<clip>.txt beside the frames (docs/data.md has them all)."
        )
    return clip.cameras.to(torch.float64)
