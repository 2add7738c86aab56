"""Files that a visitor takes along, made by the same exporters as `video-ae export`."""

import io
import tempfile
import zipfile
from pathlib import Path

from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.ply import write_ply
from video_ae.pipelines.export import export_reconstruction
from video_ae.viewer.contents import Contents

DOWNLOADS = ("points.ply", "cameras.json", "colmap.zip")


def download(name: str, directory: Path, contents: Contents) -> bytes:
    """The bytes of one of `DOWNLOADS`. `colmap.zip` needs the video, unless the folder has a colmap model already.

    Raises UserError where that video is gone.
    """
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / name
        if name == "points.ply":
            write_ply(target, contents.cloud)
        elif name == "cameras.json":
            write_cameras_json(target, contents.track)
        else:
            model = Path(directory) / "colmap"
            if not model.is_dir():
                export_reconstruction(directory, ["colmap"], Path(temporary))
                model = Path(temporary) / "colmap"
            return zipped(model)
        return target.read_bytes()


def zipped(folder: Path) -> bytes:
    """A folder with all files in it, under its own name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, Path(folder.name) / path.relative_to(folder))
    return buffer.getvalue()
