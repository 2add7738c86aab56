"""What every data set offers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from video_ae.geometry.resize import Fit
from video_ae.types import VideoClip


@runtime_checkable
class ClipSource(Protocol):
    """Some videos, reached by number. What cannot be used is listed in `quarantined` and left out of the numbering."""

    @property
    def names(self) -> Sequence[str]:
        """The name of each video, unique within the source."""

    @property
    def quarantined(self) -> dict[str, str]:
        """Name -> reason, for everything that was found but left out."""

    def __len__(self) -> int:
        """Number of videos."""

    def frame_count(self, number: int) -> int:
        """Frames of one video."""

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        """Frames of one video (all by default, else those of the given numbers, in that order), without batch axis.

        size, fit: as in `video_ae.videos.load.load_clip`; intrinsics follow the crop.
        """
