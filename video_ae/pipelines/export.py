"""Exports of an earlier reconstruction."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.atomic import MARK
from video_ae.formats.scene import SavedScene, load_scene, move
from video_ae.formats.trajectory import trajectory_of
from video_ae.pipelines.reconstruct import SCENE_FOLDER, WEIGHTS_FILE
from video_ae.scene.exporters import (
    PRODUCTS,
    SHARED,
    ExportJob,
    chosen_exports,
    possible_exports,
    write_exports,
)
from video_ae.scene.rendering import load_scene_model
from video_ae.types import Cameras
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video


def export_reconstruction(
    directory: Path,
    names: Sequence[str],
    out: Path | None = None,
    source: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> list[Path]:
    """Writes formats (names of `EXPORTS`, or `all`) of what `reconstruct_video` wrote into `directory`.

    out: the folder for them (default: `directory`). source: the video, where it has moved; nerfstudio and colmap need
    its pictures. Files and folders appear when all are complete. Returns what was written. Raises UserError for unknown
    names, a folder that holds no reconstruction, a source that is gone or another one, and results that are in the way.
    """
    directory = Path(directory)
    folder = directory if out is None else Path(out)
    chosen = chosen_exports(names)
    saved = load_scene(directory / SCENE_FOLDER)
    if "all" in names:
        chosen = possible_exports(saved.scene)
    if not chosen:
        raise UserError("No export was named: give one, such as --to colmap.")
    _check_free(folder, chosen, overwrite)
    job = _job(directory, saved, source, device)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".export-"))
    except OSError as error:
        raise UserError(
            f"The folder {str(folder)!r} cannot be written ({error.strerror}): choose one that you may write to."
        ) from error
    try:
        write_exports(temporary, chosen, job)
        return [_put(temporary / name, folder / name, own) for name, own in _products(temporary, chosen)]
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_free(folder: Path, chosen: Sequence[str], overwrite: bool) -> None:
    for name in chosen:
        path = folder / PRODUCTS[name]
        if path.exists() and not overwrite:
            raise UserError(f"{str(path)!r} exists: choose another --out or add --overwrite.")


def _job(directory: Path, saved: SavedScene, source: Path | None, device: str) -> ExportJob:
    place = choose_device(device)
    model, _ = load_scene_model(directory / SCENE_FOLDER / WEIGHTS_FILE, place)
    scene = saved.scene
    cameras = scene.camera.cameras
    path = Cameras(cameras.world_from_camera[0], cameras.intrinsics[0])
    track = trajectory_of(path, scene.clip, scene.camera.confidence[0], saved.source_size)

    @cache
    def reader() -> VideoReader:
        return _open_source(directory, source, saved)

    return ExportJob(model, move(scene, place), track, scene.clip.image_size, reader)


def _open_source(directory: Path, source: Path | None, saved: SavedScene) -> VideoReader:
    """The video that a reconstruction was made from."""
    path, decoder = source, "auto"
    if path is None:
        try:
            settings = json.loads((directory / MARK).read_text())["settings"]
            path, decoder = Path(settings["source"]), settings["decoder"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{str(directory)!r} does not say which video it was made from: name it with --source."
            ) from error
        if not path.exists():
            raise UserError(f"The video {str(path)!r} of this reconstruction is gone: say with --source where it is.")
    reader = open_video(path, decoder)
    if reader.image_size != saved.source_size or len(reader) <= int(saved.scene.clip.indices.max()):
        raise UserError(
            f"{str(path)!r} is not the video of this reconstruction ({reader.image_size[0]}x{reader.image_size[1]}, "
            f"{len(reader)} frames): name the right one with --source."
        )
    return reader


def _products(temporary: Path, chosen: Sequence[str]) -> list[tuple[str, bool]]:
    """(name, whether it was asked for) of everything that was written."""
    own = {PRODUCTS[name] for name in chosen}
    return [(name, True) for name in sorted(own)] + [
        (name, False) for name in SHARED if name not in own and (temporary / name).exists()
    ]


def _put(new: Path, place: Path, own: bool) -> Path:
    """Moves a result to its place. What formats share and is there already (pictures, points) is completed only."""
    if place.exists() and not own:
        if place.is_dir():
            for file in new.iterdir():
                file.replace(place / file.name)
        return place
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    new.replace(place)
    return place
