"""The contract of a data set: videos by number."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from video_ae.geometry.resize import Fit
from video_ae.types import VideoClip


class ClipSource(ABC):
    """Some videos, reached by number. A data set sets both attributes in its constructor.

    Attributes:
        names: the name of each video, unique within the source.
        skipped: name -> reason of everything that was found but cannot be used; it has no number.
    """

    names: Sequence[str]
    skipped: dict[str, str]

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def frame_count(self, number: int) -> int:
        """Frames of one video.

        Args:
            number: of the video, from 0.
        """

    @abstractmethod
    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        """Frames of one video, without batch axis.

        Args:
            number: of the video, from 0.
            indices: numbers of the frames, in the order of the clip; all by default.
            size: None keeps the source's size, a number is the shorter side, (width, height) is exact.
            fit: as in `video_ae.geometry.resize.plan_resizing`; intrinsics follow the crop.

        Raises:
            UserError: when the video cannot be read.
            IndexError: when it has no such frame.
        """
