"""The cameras of one video, shot by shot: files in a folder and a row each."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.shots import find_shots
from video_ae.camera.notes import flag_of
from video_ae.camera.quality_flags import MISFIT, NO_PARALLAX, STANDING
from video_ae.datasets.annotation_files import SCENE
from video_ae.errors import UserError
from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.scene import write_scene
from video_ae.geometry.resize import resize_maps, short_side_size
from video_ae.geometry.se3 import rotation_angle
from video_ae.models.base import DEFAULT_REFINE_STEPS, VideoModel
from video_ae.models.open import load_video_model
from video_ae.preparation.scan import ShotDetector
from video_ae.scene.exporters import FORMATS, write_masks
from video_ae.scene.fingerprint import fingerprint
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.undistort import UndistortedReader
from video_ae.types import CameraEstimate, Cameras
from video_ae.videos.base import ChosenFrames, VideoReader
from video_ae.videos.focal_metadata import focal_in_metadata
from video_ae.videos.open import open_video

CAMERAS = "cameras.json"
DEPTH_SIDE = 24  # shorter side of the inverse depth that is kept for training
WEIGHTS_CHECKSUM = "weights_checksum"  # beside the settings, where weights are given
EXTRAS = ("depth", "masks", "splats")


@dataclass(frozen=True)
class SolverSettings:
    """How videos are annotated; other settings annotate them anew.

    Args:
        weights: a RUN folder or file; None takes the package's own.
        refine: rounds of refinement of the cameras; 0: feed-forward.
        extras: `depth`, `masks` and `splats`, as far as they are wanted beside the cameras.
        decoder: auto, torchcodec, pyav or decord.

    Raises:
        UserError: a value is out of its range.
    """

    weights: str | None = None
    refine: int = DEFAULT_REFINE_STEPS
    extras: tuple[str, ...] = ()
    decoder: str = "auto"

    def __post_init__(self) -> None:
        if self.refine < 0:
            raise UserError(f"{self.refine} refinement steps are too few: give 0 or more.", argument="refine")
        if unknown := set(self.extras) - set(EXTRAS):
            raise UserError(
                f"{sorted(unknown)[0]!r} cannot be written beside cameras: choose from {', '.join(EXTRAS)}."
            )


def settings_from(values: dict[str, Any]) -> SolverSettings:
    """Settings from plain values, as JSON holds them.

    Args:
        values: by name, and `WEIGHTS_CHECKSUM`, which says when videos are annotated anew.
    """
    known = {name: value for name, value in values.items() if name != WEIGHTS_CHECKSUM}
    return SolverSettings(**{**known, "extras": tuple(values.get("extras", ()))})


def ready_to_solve(settings: SolverSettings) -> None:
    """Loads what every video needs.

    Args:
        settings: of all videos.

    Raises:
        UserError: PySceneDetect is not installed, or the weights do not load.
    """
    ShotDetector()
    _model(settings.weights)


def annotate_file(path: Path, name: str, out: Path, settings: SolverSettings) -> list[AnnotationRow]:
    """The rows of the shots of one video, whose files are written.

    Args:
        path: a video file or a folder of images.
        name: of the video in the rows.
        out: an empty folder; the only shot's files go into it, those of several into `shot_000`, `shot_001`, ...
        settings: how it is annotated.

    Raises:
        UserError: the video cannot be read or has one frame, or the weights do not load.
    """
    torch.set_num_threads(1)
    model = _model(settings.weights)
    started = time.perf_counter()
    reader = open_video(path, settings.decoder)
    if len(reader) < 2:
        raise UserError("It has one frame, a video needs at least two.")
    checksum, rows = fingerprint(path), []
    for number, (folder, shot) in enumerate(_folders(out, find_shots(reader))):
        row = AnnotationRow(
            name, number, first_frame=shot.start, frames=len(shot), width=reader.image_size[0],
            height=reader.image_size[1], checksum=checksum,
        )  # fmt: skip
        if len(shot) < 2:
            row = replace(row, reason="The shot has one frame, and cameras need at least two.")
        else:
            made = _reconstruct(model, path, reader, shot, settings)
            row = _described(row, made)
            _write(folder, made, settings.extras)
            row = replace(row, folder=folder.relative_to(out).as_posix())
        now = time.perf_counter()
        rows.append(replace(row, seconds=round(now - started, 3)))
        started = now
    return rows


@lru_cache(1)
def _model(weights: str | None) -> VideoModel:
    return load_video_model(weights, torch.device("cpu"))


def _folders(out: Path, shots: Sequence[range]) -> Iterator[tuple[Path, range]]:
    for number, shot in enumerate(shots):
        yield (out if len(shots) == 1 else out / f"shot_{number:03d}"), shot


def _reconstruct(
    model: VideoModel, path: Path, reader: VideoReader, shot: range, settings: SolverSettings
) -> Reconstruction:
    """The shot's cameras, with the frames' numbers in the whole video."""
    codes = bool({"depth", "splats"} & set(settings.extras))
    asked = partial(model.reconstruct, refine_iterations=settings.refine, structure=codes)
    if len(shot) == len(reader):
        return asked(path, decoder=settings.decoder)
    made = asked(ChosenFrames(reader, shot), expected_focal=focal_in_metadata(path, reader.image_size))
    part = made.scene.clip  # which counts from the shot's first frame
    start = reader.times[shot.start].to(part.times)
    clip = replace(part, indices=part.indices + shot.start, times=part.times + start)
    found = made.source.open()
    whole = UndistortedReader(reader, found.lens) if isinstance(found, UndistortedReader) else reader
    return replace(made, scene=replace(made.scene, clip=clip), source=replace(made.source, open=lambda: whole))


def _described(row: AnnotationRow, made: Reconstruction) -> AnnotationRow:
    cameras, times, reader = made.cameras, made.times, made.source.open()
    length = float(times[-1] - times[0])
    known = length > 0  # not where times are NaN
    notes = made.notes
    lens = reader.lens if isinstance(reader, UndistortedReader) else None
    steps = cameras.centers.diff(dim=0).norm(dim=-1).sum().item()
    static = made.scene.camera.static
    return replace(
        row,
        duration=length if known else None,
        rate=made.frame_rate if known else None,
        focal=made.focal,
        focal_deviation=made.focal_deviation,
        k1=lens.radial[0] if lens and lens.radial else 0.0,
        lens=json.dumps(asdict(lens)) if lens else "",
        readout=made.scene.camera.readout,
        confidence=made.confidence.mean().item(),
        least_confidence=made.confidence.min().item(),
        pure_rotation=any(NO_PARALLAX in note for note in notes),
        standing=any(STANDING in note for note in notes),
        poor_fit=any(MISFIT in note for note in notes),
        flags=", ".join(dict.fromkeys(map(flag_of, notes))),
        notes="\n".join(notes),
        path_length=steps / made.scene_depth,
        rotation=_turned_degrees(cameras),
        moving=0.0 if static is None else (static < 0.5).float().mean().item(),
    )


def _turned_degrees(cameras: Cameras) -> float:
    rotation = cameras.world_from_camera[:, :3, :3]
    return rotation_angle(rotation[:-1].mT @ rotation[1:]).rad2deg().sum().item()


def _write(folder: Path, made: Reconstruction, extras: Sequence[str]) -> None:
    """cameras.json, scene/ (what training reads), and what else is wanted."""
    write_cameras_json(folder / CAMERAS, made.trajectory)
    (folder / SCENE).mkdir()
    small = replace(made.scene, camera=_small(made.scene.camera), keyframes=(), structures=())
    write_scene(folder / SCENE, small, made.source.image_size)
    if "masks" in extras:
        write_masks(folder / "masks", made, [f"{index:06d}" for index in made.trajectory.indices.tolist()])
    if "depth" in extras:
        FORMATS["depth"].write(folder, made)
    if "splats" in extras:
        FORMATS["gaussians"].write(folder, made)


def _small(estimate: CameraEstimate) -> CameraEstimate:
    """The estimate with coarser inverse depth and without the masks: a tenth of the bytes."""
    maps: Float[torch.Tensor, "frame rows columns"] = estimate.inverse_depth
    size = short_side_size((maps.shape[-1], maps.shape[-2]), DEPTH_SIDE)
    return replace(estimate, inverse_depth=resize_maps(maps, size), static=None)
