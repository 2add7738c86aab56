"""The folder of a reconstruction: how its files are written and read again."""

import filecmp
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch

import video_ae
from video_ae.errors import UserError, unreadable_as
from video_ae.formats.atomic import MARK, check_writable, claim_folder, write_json_atomically
from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.lens import Lens
from video_ae.formats.scene import read_scene, write_scene
from video_ae.formats.weights import write_weights
from video_ae.progress import Stages
from video_ae.scene.annotations import Reconstruction
from video_ae.scene.exporters import SHARED, Formats, chosen_formats
from video_ae.scene.fingerprint import fingerprint
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.novel_path import NOVEL_RATE
from video_ae.scene.rendering import PartDone, unreported
from video_ae.scene.source import FrameReader, Source
from video_ae.scene.undistort import UndistortedReader
from video_ae.types import Scene, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

log = logging.getLogger(__name__)
INPUT_VIDEO = "reconstruction.mp4"  # input beside rendering
_FRAMES_KEPT = 48  # since neighbouring views share them
SCENE = "scene"
WEIGHTS = f"{SCENE}/weights.safetensors"


def write_results(
    folder: Path, reconstruction: Reconstruction, export: Formats, stages: Stages, size: int | None = None
) -> None:
    """Writes all files of a reconstruction: cameras.json, reconstruction.mp4, novel_view.mp4, overview.png,
    summary.json, the folder scene/, and exports.

    Args:
        folder: exists and is empty.
        reconstruction: what is written.
        export: names of formats, as in `chosen_formats`.
        stages: called with what is being done; its times are written into summary.json.
        size: shorter side of novel_view.mp4 in pixels, as in `result_size`.

    Raises:
        UserError: there is no format of a name, or the scene has nothing for it.
    """
    formats = chosen_formats(export, reconstruction.scene)
    write_cameras_json(folder / "cameras.json", reconstruction.trajectory)
    stages("rendering the input path", 0)
    rendered = reconstruction.render_frames(None, lambda done: stages("rendering the input path", done))
    frame = reconstruction.need_frame_reader()
    pairs = (torch.cat([frame(number), shown], -1) for number, shown in enumerate(rendered.rgb))
    write_video(folder / INPUT_VIDEO, pairs, times=reconstruction.shown_times)
    renderer = replace(ImageBasedRenderer.of(reconstruction, size), inverse_depth=rendered.inverse_depth)
    novel = renderer.images(reconstruction.novel_path, progress=lambda done: stages("rendering new views", done))
    write_video(folder / "novel_view.mp4", novel, NOVEL_RATE)
    stages("exports", 0)
    for number, one in enumerate(formats.values(), 1):
        one.write(folder, reconstruction)
        stages("exports", number / len(formats))
    stages("writing", 0)
    (folder / SCENE).mkdir()
    write_scene(folder / SCENE, reconstruction.scene, reconstruction.source.image_size)
    write_weights(folder / WEIGHTS, reconstruction.model.settings, reconstruction.model.state_dict())
    missing = _draw_overview(folder / "overview.png", reconstruction)
    stages("writing", 1)
    stages.flush_timer()
    summary = _summary(reconstruction, list(formats), stages.seconds)
    write_json_atomically(folder / MARK, {**summary, "notes": [*summary["notes"], *missing]})


def _draw_overview(path: Path, reconstruction: Reconstruction) -> list[str]:
    """Draws it, and returns what to note: whatever goes wrong with a image, minutes of work are not lost for it."""
    from video_ae.scene.overview import write_overview  # brings matplotlib

    try:
        write_overview(path, reconstruction)
    except Exception as error:
        path.unlink(missing_ok=True)
        return [f"{path.name} could not be drawn ({type(error).__name__}: {' '.join(str(error).split())})"]
    return []


def _summary(reconstruction: Reconstruction, export: list[str], seconds: dict[str, float]) -> dict[str, Any]:
    trajectory, model = reconstruction.trajectory, type(reconstruction.model)
    return {
        "command": sys.argv,
        "versions": {
            "video_ae": video_ae.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "model": f"{model.__module__}.{model.__qualname__}",
        "settings": {**reconstruction.source.settings, "export": export},
        "frames": len(reconstruction),
        "image_size": list(trajectory.image_size),
        "working_size": list(reconstruction.image_size),
        "focal_over_width": reconstruction.focal,
        "focal_deviation": reconstruction.focal_deviation,
        "confidence": {"mean": trajectory.confidence.mean().item(), "least": trajectory.confidence.min().item()},
        "scene_depth": reconstruction.scene_depth,
        "keyframes": [int(trajectory.indices[i]) for i in reconstruction.keyframes],
        "points": len(reconstruction.points()),
        "notes": list(reconstruction.notes),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }


def read_results(folder: Path, video: Path | None = None) -> tuple[Scene, Source]:
    """What `write_results` wrote, beside the model: the scene on the CPU, its clip black, and the video.

    Args:
        folder: of the reconstruction.
        video: that it was made from, where it has moved.

    Raises:
        UserError: the folder holds no reconstruction, or a damaged one.
    """
    scene, image_size = read_scene(folder / SCENE)
    settings = _settings(folder)
    known = settings.get("source")
    path = video if video is not None else None if known is None else Path(known)
    lens = _lens(settings.get("camera"))

    @cache
    def open_again() -> VideoReader:
        decoder = "auto" if video is not None else settings.get("decoder")
        if path is None or not isinstance(decoder, str):
            raise UserError(f"{str(folder)!r} does not say which video it was made from: name it.", argument="source")
        if video is None and not path.exists():
            message = f"The video {str(path)!r} of this reconstruction is gone: say where it is."
            raise UserError(message, argument="source")
        reader = open_video(path, decoder)
        if reader.image_size != image_size or len(reader) <= int(scene.clip.indices.max()):
            raise UserError(
                f"{str(path)!r} is not the video of this reconstruction ({reader.image_size[0]}x"
                f"{reader.image_size[1]}, {len(reader)} frames): name the right one.",
                argument="source",
            )
        if settings.get("fingerprint") not in (None, fingerprint(path)):
            _refuse_other_bytes(path, named=video is not None)
        return reader if lens is None else UndistortedReader(reader, lens)

    return scene, Source(scene.clip.name, image_size, open_again, path, settings, float(settings.get("start", 0.0)))


def _refuse_other_bytes(path: Path, named: bool) -> None:
    """Refuses another video of the same name, size and length; where a person named it, a warning has to do."""
    if not named:
        raise UserError(
            f"{str(path)!r} is not the video that was reconstructed (its bytes differ): say where that is.",
            argument="source",
        )
    log.warning("%s has other bytes than the video that was reconstructed; it is taken, since it was named", path)


def _settings(folder: Path) -> dict[str, Any]:
    """What a reconstruction was asked for; nothing where its summary is gone or damaged."""
    try:
        settings = json.loads((folder / MARK).read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _lens(values: Any) -> Lens | None:
    """The lens that a reconstruction was given."""
    if not isinstance(values, dict):
        return None
    with unreadable_as("The camera in summary.json is damaged: reconstruct the video again."):
        return Lens(**{name: tuple(value) for name, value in values.items()})


def recorded_frames(folder: Path, clip: VideoClip) -> FrameReader | None:
    """A function that reads a frame of a reconstruction's clip from the left half of `reconstruction.mp4`.

    Args:
        folder: of the reconstruction.
        clip: of its scene, whose size and number of frames count.

    Returns:
        RGB by the frame's position; None where the video is missing or another one.
    """
    try:
        reader = open_video(folder / INPUT_VIDEO)
    except UserError:
        return None
    width, height = clip.image_size
    if len(reader) != len(clip) or reader.image_size != (2 * width, height):
        return None
    return lru_cache(_FRAMES_KEPT)(lambda position: reader.read([position])[0, :, :, :width])


def export_into(
    folder: Path,
    reconstruction: Reconstruction,
    names: Formats,
    overwrite: bool,
    refine_steps: int = 0,
    progress: PartDone = unreported,
) -> list[Path]:
    """Writes formats into a folder that may hold other files; they appear when all are complete.

    Args:
        folder: is made where it is missing.
        reconstruction: what is written.
        names: of formats, as in `chosen_formats`.
        overwrite: whether earlier files of these formats are replaced, and those of other content that formats share
            (images, masks, points).
        refine_steps: of the Gaussians on the frames of the video, before they are written.
        progress: called with the part of the refinement that is done, from 0 to 1.

    Returns:
        What was written.

    Raises:
        UserError: there is no format of a name, or the scene has nothing for it; the video is gone and its images are
            needed; a file is in the way, or the folder cannot be written.
    """
    chosen = chosen_formats(names, reconstruction.scene)
    if not chosen:
        raise UserError("No export was named: give one, such as colmap.")
    products = [one.product for one in chosen.values() if one.product]
    _check_free(folder, products, overwrite)
    check_writable(folder / MARK)
    if refine_steps and any(one.holds_gaussians for one in chosen.values()):
        reconstruction.refine_gaussians(refine_steps, progress)
    claim_folder(folder, overwrite=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-", ignore_cleanup_errors=True) as temporary:
        new = Path(temporary)
        for one in chosen.values():
            one.write(new, reconstruction)
        written = sorted(path.name for path in new.iterdir())
        shared = [name for name in SHARED if name in written and name not in products]
        own = [name for name in written if name not in shared]
        _check_free(folder, own, overwrite)  # once more: a user's own format says only now what it writes
        at_home = reconstruction.folder is not None and folder.resolve() == reconstruction.folder.resolve()
        _check_free(folder, [] if at_home else _other_content(new, folder, shared), overwrite)
        for name in own:
            _replace(new / name, folder / name)
        for name in shared:
            _complete(new / name, folder / name, overwrite and not at_home)
    return [folder / name for name in [*own, *shared]]


def _check_free(folder: Path, names: list[str], overwrite: bool) -> None:
    for path in (folder / name for name in names):
        if os.path.lexists(path) and not overwrite:
            raise UserError(
                f"{str(path)!r} exists: choose another folder, or allow it to be replaced.", argument="overwrite"
            )


def _replace(new: Path, old: Path) -> None:
    """What a link leads to stays as it is: it may be a person's own."""
    if old.is_symlink():
        old.unlink()
    elif old.is_dir():
        shutil.rmtree(old)
    new.replace(old)


def _other_content(new: Path, folder: Path, shared: list[str]) -> list[str]:
    """Files that the new ones would take the place of: of another reconstruction, or somebody's own images."""
    files = [file for name in shared for file in (new / name, *(new / name).glob("*")) if file.is_file()]
    names = [file.relative_to(new).as_posix() for file in files]
    return [
        name for name in names if (folder / name).exists() and not filecmp.cmp(new / name, folder / name, shallow=False)
    ]


def _complete(new: Path, old: Path, overwrite: bool) -> None:
    """Moves what formats share (images, points) unless it is there; a folder that is there gets the new files."""
    if not old.exists() or (overwrite and new.is_file()):
        _replace(new, old)
    elif old.is_dir():
        for file in new.iterdir():
            shutil.move(file, old / file.name)  # a link may lead to another disk
