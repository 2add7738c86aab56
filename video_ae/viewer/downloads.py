"""Files that a client can download, made by the same exporters as `video-ae export`."""

import io
import tempfile
import zipfile
from pathlib import Path

from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.ply import write_ply
from video_ae.viewer.contents import Contents

DOWNLOADS = ("points.ply", "cameras.json", "colmap.zip")


def download(name: str, contents: Contents) -> bytes:
    """The bytes of a file. `colmap.zip` needs the video, unless the folder has a colmap model already.

    Args:
        name: one of `DOWNLOADS`.
        contents: of the page.

    Raises:
        UserError: the video is needed and gone.
    """
    reconstruction = contents.reconstruction
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / name
        if name == "points.ply":
            write_ply(target, contents.points)
        elif name == "cameras.json":
            write_cameras_json(target, reconstruction.trajectory)
        else:
            folder = reconstruction.folder
            if folder is None or not (folder / "colmap").is_dir():
                reconstruction.export(temporary, ["colmap"])
                folder = Path(temporary)
            return zipped(folder / "colmap")
        return target.read_bytes()


def zipped(folder: Path) -> bytes:
    """A ZIP archive of a folder with all files in it, under its own name.

    Args:
        folder: its path.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, Path(folder.name) / path.relative_to(folder))
    return buffer.getvalue()
