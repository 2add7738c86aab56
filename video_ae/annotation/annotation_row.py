"""One row of the table of annotations: what was found in one shot of one video."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from video_ae.datasets.annotation_files import CAMERAS_VERSION

Number = float | None


@dataclass(frozen=True)
class AnnotationRow:
    """What is known of one shot; a video of which nothing can be used has one row, with the reason and no cameras.

    Args:
        video: its name.
        segment: number of the shot in the video, from 0.
        folder: of its files, below that of all results; "" where there are none.
        source: path or address of the video.
        reason: why nothing was found, else "".
        first_frame: number of the shot's first frame in the video.
        frames: how many the shot has.
        duration: of the shot in seconds; None for videos without times.
        rate: frames a second; None for videos without times.
        width, height: of the video in pixels.
        focal: fx / width of the frames without distortion; of the first one, where it changes.
        focal_deviation: standard deviation of its logarithm (0.1 is about 10 %).
        k1: radial distortion of the lens; 0 for a pinhole.
        lens: the lens as JSON (the arguments of `formats.lens.Lens`); "" for a pinhole.
        readout: of a rolling shutter, in frame intervals.
        confidence, least_confidence: mean and least of all frames, 0 (a guess) to 1.
        pure_rotation: whether the camera only turns, so that there is no depth.
        standing: whether it does not even turn.
        poor_fit: whether no still scene explains the images.
        flags: what the notes are about, such as "no parallax, blur".
        notes: sentences for people, a line each.
        path_length: of the camera, in typical depths of the scene.
        rotation: sum of the angles between frames in degrees.
        moving: part of the images that moves by itself, 0 to 1.
        seconds: how long it took.
        version: `CAMERAS_VERSION` at the time.
        checksum: of the video (`scene.fingerprint`).
    """

    video: str
    segment: int = 0
    folder: str = ""
    source: str = ""
    reason: str = ""
    first_frame: int = 0
    frames: int = 0
    duration: Number = None
    rate: Number = None
    width: int = 0
    height: int = 0
    focal: Number = None
    focal_deviation: Number = None
    k1: Number = None
    lens: str = ""
    readout: Number = None
    confidence: Number = None
    least_confidence: Number = None
    pure_rotation: bool = False
    standing: bool = False
    poor_fit: bool = False
    flags: str = ""
    notes: str = ""
    path_length: Number = None
    rotation: Number = None
    moving: Number = None
    seconds: float = 0.0
    version: int = CAMERAS_VERSION
    checksum: str = ""


def as_columns(rows: Sequence[AnnotationRow]) -> dict[str, list[Any]]:
    """Rows as columns, by name.

    Args:
        rows: any number of them.
    """
    dicts = [asdict(row) for row in rows]
    return {one.name: [values[one.name] for values in dicts] for one in fields(AnnotationRow)}


def row_from(values: dict[str, Any]) -> AnnotationRow:
    """A row from its values by name.

    Args:
        values: as `dataclasses.asdict` made them, perhaps by another version.

    Raises:
        TypeError: the columns are those of another version.
    """
    return AnnotationRow(**values)
