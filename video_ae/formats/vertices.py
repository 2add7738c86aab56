"""Tables of vertices in PLY files, binary little endian: what `points.ply` and `gaussians.ply` have in common."""

from pathlib import Path

import numpy as np

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically

_TYPES = {"<f4": "float", "|u1": "uchar"}


def write_vertices(path: Path, vertices: np.ndarray) -> None:
    """Writes a structured array of little-endian float32 and bytes, a property for each of its fields."""
    content = _header(vertices.dtype, len(vertices)) + vertices.tobytes()
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def read_vertices(path: str | Path, layout: np.dtype, kind: str) -> np.ndarray:
    """The vertices of a file that `write_vertices` wrote, of exactly this layout.

    Raises UserError for a missing, cut-off or differently laid out file: it "cannot be read as `kind`".
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        start = content.index(b"end_header\n") + len(b"end_header\n")
        count = int(content[:start].split(b"element vertex ")[1].split()[0])
        if content[:start] != _header(layout, count):
            raise ValueError("another layout")
        return np.frombuffer(content, layout, count, start)
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{str(path)!r} cannot be read as {kind} that `video-ae` wrote.") from error


def _header(layout: np.dtype, count: int) -> bytes:
    properties = "".join(f"property {_TYPES[layout[name].str]} {name}\n" for name in layout.names or ())
    return f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{properties}end_header\n".encode()
