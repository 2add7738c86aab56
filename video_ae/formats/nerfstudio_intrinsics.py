"""The ways in which programs write intrinsics into a `transforms.json`, brought to nerfstudio's own.

nerfstudio has numbers (fl_x, fl_y, cx, cy, w, h, k1, ...) for the whole file or in a frame. Others have a list with a
number for each frame, or a matrix.
"""

from typing import Any

NUMBERS = ("fl_x", "fl_y", "cx", "cy", "w", "h", "k1", "k2", "k3", "k4", "p1", "p2", "camera_angle_x", "camera_angle_y")
MATRICES = ("intrinsics", "intrinsic_matrix", "intrinsic", "camera_matrix", "K")  # [fx, fy, cx, cy], 3x3 or 4x4


def values_of_frames(content: Any) -> list[dict[str, Any]]:
    """What a file says of each frame, in its own order: by the frame, or else by the file as a whole.

    Args:
        content: of the file; numbers may be lists with an entry for each frame, and so may matrices.

    Raises:
        ValueError: when a list or a matrix has another length.
    """
    frames = content["frames"]
    shared = {key: value for key, value in content.items() if key != "frames"}
    lists = {name: value for name, value in shared.items() if isinstance(value, list)}
    if not lists:
        return [shared | _with_numbers(frame) for frame in frames]
    return [
        _with_numbers(shared | {name: _of_frame(name, value, number, len(frames)) for name, value in lists.items()})
        | _with_numbers(frame)
        for number, frame in enumerate(frames)
    ]


def _of_frame(name: str, value: list[Any], number: int, count: int) -> Any:
    depth = 2 if value and isinstance(value[0], list) else 1
    if name in NUMBERS:
        listed = depth == 1
    elif name in MATRICES:  # a list of matrices, or of [fx, fy, cx, cy], which a matrix of 4x4 is not
        listed = depth == 2 and (isinstance(value[0][0], list) or value[-1][-1] != 1)
    else:
        return value
    if listed and len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries for {count} frames")
    return value[number] if listed else value


def _with_numbers(values: dict[str, Any]) -> dict[str, Any]:
    """The values with a matrix's numbers as fl_x, fl_y, cx, cy; a number of its own goes before them."""
    if values.keys().isdisjoint(MATRICES):
        return values
    found = next((values[name] for name in MATRICES if isinstance(values.get(name), list)), None)
    if found is None:
        return values
    flat = [entry for row in found for entry in (row if isinstance(row, list) else [row])]
    if len(flat) not in (4, 9, 16):
        raise ValueError("a matrix of intrinsics has other than 4, 9 or 16 numbers")
    width = {4: 0, 9: 3, 16: 4}[len(flat)]
    fx, fy, cx, cy = flat if not width else (flat[0], flat[width + 1], flat[2], flat[width + 2])
    return {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy} | values
