"""The clips of a data set that have true cameras: they are measured, the others are named and counted."""

from collections.abc import Sequence

from video_ae.datasets.base import ClipSource, KnownCameras
from video_ae.errors import UserError
from video_ae.geometry.resize import Fit
from video_ae.types import VideoClip
from video_ae.videos.base import VideoReader

NO_CAMERAS = "It has no true cameras to compare with."


class ClipsWithTruth(ClipSource):
    """The clips of a data set that have true cameras; `skipped` has the others too.

    KITTI's download has poses for half of its sequences, TUM's has validation sequences without any, and of a folder of
    scenes some may have a fisheye: what can be measured is.

    Args:
        source: the data set.

    Raises:
        UserError: when no clip has true cameras.
    """

    def __init__(self, source: ClipSource) -> None:
        self.source = source
        self._numbers = [number for number in range(len(source)) if has_cameras(source, number)]
        self.names = [source.names[number] for number in self._numbers]
        self.skipped = source.skipped | {name: NO_CAMERAS for name in source.names if name not in set(self.names)}
        if not self.names:
            others = f" (nor have {len(source) - 1} others)" if len(source) > 1 else ""
            raise UserError(
                f"clip {source.names[0]!r} has no true cameras to compare with{others}: give a data set with cameras, "
                "for example RealEstate10K's layout: cameras/<clip>.txt beside the frames (docs/data.md has them all)."
            )

    def open(self, number: int) -> VideoReader:
        return self.source.open(self._numbers[number])

    def known_cameras(self, number: int) -> KnownCameras | None:
        return self.source.known_cameras(self._numbers[number])

    def frame_count(self, number: int) -> int:
        return self.source.frame_count(self._numbers[number])

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        return self.source.load(self._numbers[number], indices, size, fit)


def clips_with_truth(source: ClipSource) -> ClipsWithTruth:
    """The clips of a data set that have true cameras.

    Args:
        source: the data set, or what this function made of it.

    Raises:
        UserError: when no clip has true cameras.
    """
    return source if isinstance(source, ClipsWithTruth) else ClipsWithTruth(source)


def has_cameras(source: ClipSource, number: int) -> bool:
    """Whether a clip has true cameras; a frame is read only where a data set has a `load` of its own.

    Args:
        source: the data set.
        number: of the clip.
    """
    known = source.known_cameras(number)
    if known is not None or type(source).load is ClipSource.load:
        return known is not None and known.cameras is not None
    return source.load(number, indices=[0]).cameras is not None
