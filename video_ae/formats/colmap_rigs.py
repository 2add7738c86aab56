"""The rigs of a COLMAP model (3.12 and newer): which cameras are mounted beside each other.

Layout: https://colmap.github.io/format.html and `src/colmap/scene/reconstruction_io_binary.cc` (`ReadRigsBinary`).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from video_ae.errors import unreadable_as

_COUNT, _RIG, _SENSOR, _POSE = "<Q", "<II", "<iI", "<7d"
_CAMERA = ("CAMERA", "0")  # the type of a sensor, in text and as a number; others are IMUs


def read_colmap_rigs(folder: Path) -> list[set[int]]:
    """The numbers of the cameras of each rig with several; none where a model has no rigs.

    Args:
        folder: of the model; `rigs.bin` goes before `rigs.txt`.

    Raises:
        UserError: when the file is cut off or damaged.
    """
    binary, text = folder / "rigs.bin", folder / "rigs.txt"
    file = binary if binary.is_file() else text
    if not file.is_file():
        return []
    with unreadable_as(f"{str(file)!r} cannot be read as the rigs of a COLMAP model: it is cut off or damaged."):
        rigs = list(_from_bytes(file.read_bytes()) if file is binary else _from_text(file.read_text("utf-8-sig")))
    return [cameras for cameras in rigs if len(cameras) > 1]


def _from_bytes(content: bytes) -> Iterator[set[int]]:
    position = 0

    def take(layout: str) -> tuple[Any, ...]:
        nonlocal position
        position += struct.calcsize(layout)
        return struct.unpack_from(layout, content, position - struct.calcsize(layout))

    for _ in range(*take(_COUNT)):
        _, count = take(_RIG)
        cameras = set()
        for sensor in range(count):
            kind, number = take(_SENSOR)
            if sensor > 0 and take("<B")[0]:  # the first sensor is the rig's origin and has no pose
                take(_POSE)
            if str(kind) in _CAMERA:
                cameras.add(number)
        yield cameras


def _from_text(content: str) -> Iterator[set[int]]:
    for line in content.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        _, count, *words = line.split()
        cameras, position = set(), 0
        for sensor in range(int(count)):
            kind, number = words[position : position + 2]
            has_pose = sensor > 0 and words[position + 2] == "1"
            position += 2 + (sensor > 0) + 7 * has_pose
            if kind in _CAMERA:
                cameras.add(int(number))
        yield cameras
