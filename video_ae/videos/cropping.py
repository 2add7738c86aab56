"""What a container says about the part of a frame that is to be seen."""

import re
import threading
from dataclasses import dataclass
from typing import Any

_LOGGING = threading.Lock()  # FFmpeg has one level of logging for all threads


@dataclass(frozen=True)
class Crop:
    """Pixels that are to be cut off a decoded frame (`PixelCrop` in Matroska, `clap` in QuickTime and MP4).

    Args:
        left, right, top, bottom: columns and rows.
    """

    left: int
    right: int
    top: int
    bottom: int

    def of(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of what is left.

        Args:
            size: (width, height) of a decoded frame.
        """
        return size[0] - self.left - self.right, size[1] - self.top - self.bottom


def container_crop(stream: Any) -> Crop | None:
    """The crop that the container asks for, besides what the codec itself cuts off; FFmpeg 7.1 and later tell it.

    PyAV 18.1 gives it in FFmpeg's description of the file only, which goes to the log.

    Args:
        stream: of PyAV, in an open container.
    """
    import av

    with _LOGGING:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            described = stream.container.dumps_format()
        finally:
            av.logging.set_level(level)
    (_, *streams) = re.split(r"^  Stream #0:(?=\d+)", described, flags=re.MULTILINE)
    own = next((text for text in streams if re.match(rf"{stream.index}\b", text)), "")
    found = re.search(r"^ +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", own, re.MULTILINE)
    return Crop(*map(int, found.groups())) if found else None
