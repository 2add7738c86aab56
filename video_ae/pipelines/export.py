"""Exports of an earlier reconstruction."""

from collections.abc import Sequence
from pathlib import Path

from video_ae.errors import UserError
from video_ae.scene.exporters import chosen_formats
from video_ae.scene.reconstruction import Reconstruction


def export_reconstruction(
    directory: Path,
    names: Sequence[str],
    out: Path | None = None,
    source: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> list[Path]:
    """Writes an earlier reconstruction in the formats of other programs; they appear when all are complete.

    Args:
        directory: that `reconstruct_video` wrote.
        names: of formats (docs/exports.md), or `all` that the scene has something for.
        out: the folder for them, by default `directory`.
        source: the video, where it has moved; nerfstudio and colmap need its images.
        device: to compute on: "auto", "cpu", "cuda", ...
        overwrite: whether earlier files of these formats are replaced.

    Returns:
        What was written.

    Raises:
        UserError: there is no format of a name, the folder holds no reconstruction, the source is gone or another one,
            or a result is in the way.
    """
    if not chosen_formats(names):
        raise UserError("No export was named: give one, such as colmap.")
    saved = Reconstruction.load(directory, device, source)
    return saved.export(directory if out is None else out, names, overwrite)
