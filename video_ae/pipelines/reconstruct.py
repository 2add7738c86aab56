"""A video in; cameras, structure and new views out. New views and other programs' formats of an earlier result."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

import video_ae
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.formats.unfinished import resumable_folder
from video_ae.formats.weights import weights_file
from video_ae.models.base import DEFAULT_REFINE_STEPS
from video_ae.models.open import load_video_model
from video_ae.pipelines.inputs import checked_out, refuse_to_replace
from video_ae.pipelines.interpolate import times_between
from video_ae.progress import Stages
from video_ae.renderers.gaussian_rasterizer import fast_device
from video_ae.scene.exporters import chosen_formats
from video_ae.scene.fingerprint import fingerprint
from video_ae.scene.gaussian_refinement import DEFAULT_STEPS
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.novel_path import NOVEL_RATE
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import PartDone, render_chunks, to_bytes
from video_ae.scene.result_files import write_results
from video_ae.scene.source import Video, check_size, result_size
from video_ae.types import Cameras, Progress
from video_ae.videos.writer import write_video


def reconstruct(
    source: Video,
    weights: str | Path | None = None,
    stride: int = 1,
    frames: int | None = None,
    focal: float | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    device: str = "auto",
    decoder: str = "auto",
    progress: Progress | None = None,
    fov_degrees: float | None = None,
    K: Any = None,
    camera: str | Path | Lens | None = None,
) -> Reconstruction:
    """Cameras and structure of a video, as `video-ae reconstruct` finds them, kept in memory.

    Args:
        source: a path of a video or of a folder of images, or frames in memory (`VideoModel.reconstruct`).
        weights: a RUN folder or file of `video-ae train`; None takes the package's own.
        stride: every `stride`-th frame is taken.
        frames: and of those the first so many; None takes all.
        focal: fx / width where it is known; else it is found.
        refine: rounds of test-time refinement of the cameras; 0: feed-forward.
        device: to compute on: "auto", "cpu", "cuda", ...
        decoder: of video files: "auto", "torchcodec", "pyav" or "decord".
        progress: called with what is being done and the part done, from 0 to 1.
        fov_degrees: the horizontal field of view, in place of `focal`.
        K: the calibration matrix [3, 3] in pixels of the video, in place of `focal`.
        camera: a lens, or the file of its calibration, in place of `focal` (`VideoModel.reconstruct`).

    Raises:
        UserError: the video cannot be read, the weights do not load, or a number makes no sense.
    """
    model = load_video_model(weights, choose_device(device))
    made = model.reconstruct(source, stride, frames, focal, fov_degrees, K, refine, decoder, progress, camera)
    asked = {"weights": None if weights is None else str(weights), "device": device}
    return replace(made, source=replace(made.source, settings={**made.source.settings, **asked}))


def reconstruct_video(
    source: Path,
    out: Path,
    weights: Path | None = None,
    stride: int = 1,
    frames: int | None = None,
    focal: float | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    device: str = "auto",
    overwrite: bool = False,
    decoder: str = "auto",
    export: Sequence[str] = ("all",),
    fov: float | None = None,
    camera: Path | None = None,
    size: int | None = None,
) -> Path:
    """Reconstructs a video and writes the results into a folder, which appears when it is complete.

    What is stopped or killed goes on where it stood when it is called again with the same arguments
    (`formats.unfinished`).

    Files: cameras.json, reconstruction.mp4, novel_view.mp4, overview.png, summary.json, scene/ for `render_path` and
    `export_reconstruction`, and the exports (docs/exports.md).

    Args:
        source: a video or a folder of images.
        out: the folder.
        weights, stride, frames, focal, refine, device, decoder: as in `reconstruct`.
        overwrite: whether an earlier result is replaced.
        export: names of `video_ae.scene.exporters.FORMATS`, `all` that the model has something for, or `none`.
        fov: the horizontal field of view in degrees, in place of `focal`.
        camera: the file of a calibration, in place of `focal`, or `pinhole`.
        size: shorter side of novel_view.mp4 in pixels; by default the source's, at most 1080.

    Raises:
        UserError: bad input, weights that do not load, or a folder that is in the way or cannot be written.
    """
    chosen_formats(export)
    check_size(size)
    asked: dict[str, Any] = {"weights": weights, "stride": stride, "frames": frames, "focal": focal, "fov": fov}
    asked |= {"refine": refine, "device": device, "decoder": decoder, "camera": camera}
    with resumable_folder(out, overwrite, _task(source, asked)) as folder, Stages() as stages:
        made = reconstruct(
            source, weights, stride, frames, focal, refine, device, decoder, stages, fov_degrees=fov, camera=camera
        )
        write_results(folder, made, export, stages, size)
    return Path(out)


def _task(source: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """All that a reconstruction depends on, with files as they are now."""
    given, camera = weights_file(asked["weights"]) if asked["weights"] else None, asked["camera"]
    files = [Path(one) for one in (source, given, camera) if one]
    files += sorted(Path(camera).glob("cameras.*")) if camera else []  # of a COLMAP model, which is a folder
    code = max(path.stat().st_mtime_ns for path in Path(video_ae.__file__).parent.rglob("*.py"))
    return {
        "source": str(Path(source).absolute()),
        "files": [fingerprint(file) for file in files if file.exists()],
        "versions": [video_ae.__version__, torch.__version__, code],
        **asked,
    }


def render_path(
    directory: Path,
    path: str = "input",
    out: Path = Path("render.mp4"),
    size: int | None = None,
    frames: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> Path:
    """Writes an mp4 of an earlier reconstruction, seen along a path.

    New paths take their colours from the frames of the video where these see the same point; where the video is gone,
    from the small ones in `reconstruction.mp4`. `input` shows the codes alone, as the frames would show nothing but
    themselves, and so does everything where that file is gone too.

    Args:
        directory: that `reconstruct_video` wrote.
        path: `input` (the found cameras), or `orbit`, `spiral`, `dolly` about what the middle keyframe looks at.
        out: the .mp4 that is written.
        size: shorter side of the images in pixels, at most the source's; by default that of the frames, at most 1080.
        frames: length of the path; `input` takes as long as the video all the same.
        device: to compute on: "auto", "cpu", "cuda", ...
        overwrite: whether an earlier file is replaced.

    Raises:
        UserError: the path is unknown, the folder holds no reconstruction or a damaged one, or `out` is in the way or
            cannot be written.
    """
    if frames is not None and frames < 2:
        raise UserError(f"A path of {frames} frames is out of range: give 2 or more.")
    out = checked_out(out, overwrite)
    check_size(size)
    saved = Reconstruction.load(directory, device)
    refuse_to_replace([saved.source.path] if saved.source.path else [], out)
    with Stages() as stages:
        images = _images_along(saved, path, saved.path(path, frames), size, partial(stages, f"rendering {path}"))
        write_video(out, images, NOVEL_RATE, _times_of_input(saved, frames) if path == "input" else None)
    return out


def _times_of_input(saved: Reconstruction, frames: int | None) -> Float64[Tensor, "view"]:
    """Seconds at which the views of the path `input` are shown."""
    if frames is None:
        return saved.shown_times
    return times_between(saved.shown_times, torch.linspace(0, len(saved) - 1, frames, dtype=torch.float64))


def _images_along(
    saved: Reconstruction, path: str, cameras: Cameras, size: int | None, report: PartDone
) -> Iterator[UInt8[Tensor, "3 height width"]]:
    """The views of a path, one after another."""
    if path != "input":
        with suppress(UserError):
            return ImageBasedRenderer.of(saved, size).images(cameras, progress=report)
    chunks = render_chunks(saved, cameras, result_size(saved.source.image_size, size), report)
    return (image for views in chunks for image in to_bytes(views.rgb))


def export_reconstruction(
    directory: Path,
    names: Sequence[str],
    out: Path | None = None,
    source: Path | None = None,
    steps: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> list[Path]:
    """Writes an earlier reconstruction in the formats of other programs; they appear when all are complete.

    Gaussians, also those of the page, are refined on the frames of the video first: a minute for 25 frames of 576x320
    on a laptop.

    Args:
        directory: that `reconstruct_video` wrote.
        names: of formats (docs/exports.md), or `all` that the scene has something for.
        out: the folder for them, by default `directory`.
        source: the video, where it has moved; nerfstudio and colmap need its images.
        steps: of the refinement of Gaussians; 0 writes them as the structure codes have them, and so does None where
            the video is gone or Numba is missing.
        device: to compute on: "auto", "cpu", "cuda", ...
        overwrite: whether earlier files of these formats are replaced.

    Returns:
        What was written.

    Raises:
        UserError: there is no format of a name, the folder holds no reconstruction, the source is gone or another one,
            steps are given and no format holds Gaussians, or a result is in the way.
    """
    chosen = chosen_formats(names)
    if not chosen:
        raise UserError("No export was named: give one, such as colmap.")
    if steps and not any(one.holds_gaussians for one in chosen.values()):
        raise UserError(
            f"{steps} steps refine Gaussians, which none of these exports holds: name one that does (gaussians, html, "
            "...), or leave them out.",
            argument="steps",
        )
    saved = Reconstruction.load(directory, device, source)
    if steps is None:
        steps = _affordable_steps(saved)
    with Stages() as stages:
        return saved.export(out or directory, names, overwrite, steps, partial(stages, "refining Gaussians"))


def _affordable_steps(saved: Reconstruction) -> int:
    """Steps of the refinement of Gaussians, which needs the video and compiled loops."""
    try:
        saved.source_video()
    except UserError:
        return 0
    return DEFAULT_STEPS if fast_device(saved.scene.camera.confidence.device) else 0
