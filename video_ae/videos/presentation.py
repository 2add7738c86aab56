"""How a container says that decoded frames are to be shown."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_ae.errors import UserError
from video_ae.videos.cropping import Crop, container_crop
from video_ae.videos.dynamic_range import TRANSFERS, Transfer

_LEAST_STRETCH = 0.01  # of pixels that are not square
_RECTILINEAR = 4  # FFmpeg's number of the projection that is none (libavutil/spherical.h): phones say it, too
_TWO_VIEWS = range(1, 8)  # FFmpeg's numbers of packings of both views into one frame or after another (stereo3d.h)
_NOT_STRAIGHT = 0.02  # sine of the angle by which a display matrix may differ from quarter turns


@dataclass(frozen=True)
class Presentation:
    """How the frames of one video are to be shown.

    Args:
        coded_size: (width, height) of a decoded frame, before rotation and whatever the shape of its pixels.
        square_size: of what is shown of it, with square pixels.
        mirrored: whether left and right are exchanged, before the rotation.
        quarter_turns: counter-clockwise quarter turns that then put a frame upright (0 to 3).
        transfer: how light is coded, where the dynamic range is high.
        interlaced: whether every other row of a frame was seen at another time.
        crop: what the container cuts off a decoded frame; None: nothing.
    """

    coded_size: tuple[int, int]
    square_size: tuple[int, int]
    mirrored: bool = False
    quarter_turns: int = 0
    transfer: Transfer | None = None
    interlaced: bool = False
    crop: Crop | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) as shown."""
        return self.turned(self.square_size)

    @property
    def cropped_size(self) -> tuple[int, int]:
        """(width, height) of what is shown of a decoded frame, before rotation and whatever the shape of its pixels."""
        return self.coded_size if self.crop is None else self.crop.of(self.coded_size)

    def turned(self, size: tuple[int, int]) -> tuple[int, int]:
        """A size (width, height) after the rotation, of one before it; or the other way round.

        Args:
            size: in pixels.
        """
        return size if self.quarter_turns % 2 == 0 else size[::-1]

    @property
    def filtered(self) -> bool:
        """Whether FFmpeg's filters have to work on decoded frames, whatever the size at which they are read."""
        return self.transfer is not None or self.interlaced or self.crop is not None

    @property
    def obstacle(self) -> str | None:
        """What must be done to decoded frames besides rotation, which only the decoder pyav does; None: nothing."""
        obstacles = {
            "a high dynamic range": self.transfer is not None,
            "pixels that are not square": self.square_size != self.cropped_size,
            "interlaced frames": self.interlaced,
            "frames that are to be cropped": self.crop is not None,
            "mirrored frames": self.mirrored,
        }
        return next(filter(obstacles.get, obstacles), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people: what was changed besides the orientation."""
        (width, height), (square, _) = self.cropped_size, self.square_size
        notes = []
        if self.transfer is not None:
            notes += [f"dynamic range: colours of {self.transfer.upper()} were brought to the standard range"]
        if self.crop is not None:
            coded = "{}x{}".format(*self.coded_size)
            notes += [f"cropping: {width}x{height} pixels of each frame of {coded} are shown, as the file asks"]
        if square != width:
            notes += [f"pixels: they are not square, so frames of {width}x{height} were resampled to {square}x{height}"]
        if self.interlaced:
            notes += ["interlaced: frames show the first of their two fields, with the rows between interpolated"]
        return tuple(notes)

    def oriented(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image [height, width, 3] as it is to be seen.

        Args:
            pixels: as decoded.
        """
        turned = np.rot90(pixels[:, ::-1] if self.mirrored else pixels, self.quarter_turns)
        return np.ascontiguousarray(turned)


def presentation_of(frame: Any, stream: Any, path: Path) -> Presentation:
    """How a video is to be shown.

    Args:
        frame: its first, of PyAV.
        stream: of PyAV.
        path: of the file, for messages.

    Raises:
        UserError: the file turns frames by other angles than quarter turns, or its frames are no view of one camera:
            they show all around, or two views for two eyes.
    """
    _check_view(frame, path)
    mirrored, turns = _orientation(frame, path)
    crop = container_crop(stream)
    width, height = coded = frame.width, frame.height
    if crop is not None:
        width, height = crop.of(coded)
    if min(width, height) < 1:
        raise UserError(f"{str(path)!r} cuts all pixels off its frames, so there is nothing to see: convert it first.")
    return Presentation(
        coded,
        (_square_width(width, stream.sample_aspect_ratio), height),
        mirrored,
        turns,
        TRANSFERS.get(int(getattr(frame, "color_trc", 0))),  # older PyAV does not tell
        frame.interlaced_frame,
        crop,
    )


def _check_view(frame: Any, path: Path) -> None:
    if _first_number(frame, "SPHERICAL") not in (None, _RECTILINEAR):
        raise UserError(
            f"{str(path)!r} is a 360-degree video, and only views of ordinary cameras are read: cut one out first, for "
            "example with `ffmpeg -i in.mp4 -vf v360=e:flat:h_fov=90:v_fov=60 out.mp4`."
        )
    if _first_number(frame, "STEREO3D") in _TWO_VIEWS:
        raise UserError(
            f"{str(path)!r} holds two views for two eyes (stereo 3D): cut one out first, for example with "
            "`ffmpeg -i in.mp4 -vf stereo3d=sbsl:ml,sidedata=delete out.mp4`."
        )


def _first_number(frame: Any, kind: str) -> int | None:
    side_data = _side_data(frame, kind)
    return None if side_data is None else int(np.frombuffer(bytes(side_data), np.int32)[0])


def _side_data(frame: Any, kind: str) -> Any:
    """None where there is none of a kind."""
    try:
        return frame.side_data.get(kind)
    except ValueError:  # PyAV 18 lists none where a frame has one that it does not know, such as a photo's EXIF
        return None


def _square_width(width: int, pixel_aspect: Fraction | None) -> int:
    """The width in square pixels; rounding of the aspect in the file (853 as 854 pixels) is no stretch.

    >>> _square_width(1440, Fraction(4, 3)), _square_width(854, Fraction(1280, 1281))
    (1920, 854)
    """
    stretch = float(pixel_aspect or 1)
    return width if abs(stretch - 1) < _LEAST_STRETCH else max(2, 2 * round(width * stretch / 2))


def _orientation(frame: Any, path: Path) -> tuple[bool, int]:
    """(whether the frame is mirrored, counter-clockwise quarter turns after that) by its display matrix, if it has one.

    The matrix is ISO 14496-12's: it takes a pixel (x, y) to (a x + c y, b x + d y), with y pointing down.
    """
    side_data = _side_data(frame, "DISPLAYMATRIX")
    if side_data is None:
        return False, 0
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].tolist()
    mirrored = a * d - b * c < 0
    if mirrored:  # what is left is the rotation after an exchange of left and right
        a, b = -a, -b
    angle = math.atan2(-b, a)
    turns = round(angle / (math.pi / 2))
    if abs(math.sin(angle - turns * math.pi / 2)) > _NOT_STRAIGHT:
        raise UserError(
            f"{str(path)!r} is to be shown turned by {math.degrees(angle):.0f} degrees, and only quarter turns are "
            "read: turn it first, for example with `ffmpeg -i in.mp4 out.mp4`."
        )
    return mirrored, turns % 4
