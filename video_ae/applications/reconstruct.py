"""A user's video in; cameras, structure and new views out."""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import video_ae
from video_ae.applications.exports import (
    ExportJob,
    chosen_exports,
    known_inverse_depth,
    possible_exports,
    write_exports,
)
from video_ae.applications.output_folder import MARK, output_folder
from video_ae.applications.overview import SHOWN, Findings, write_overview
from video_ae.applications.progress import Stages
from video_ae.applications.scene_io import frame_rate, save_scene
from video_ae.applications.views import (
    SceneModel,
    even_size,
    load_scene_model,
    render_chunks,
    render_pictures,
    to_bytes,
)
from video_ae.checkpoints import save_weights
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.export.cameras_json import write_track_json
from video_ae.export.tracks import CameraTrack, track_of
from video_ae.files import write_atomically
from video_ae.geometry.trajectories import novel, scene_depth
from video_ae.models.base import DEFAULT_REFINE_STEPS, Autoencoder
from video_ae.types import Cameras, Scene, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.load import load_clip
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

SHORTER_SIDE = 192  # of the frames that the model gets and that are rendered
NOVEL_RATE = 24.0  # frames a second of novel_view.mp4
SCENE_FOLDER = "scene"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class _Job:
    """What the writers of single files share."""

    model: SceneModel
    scene: Scene
    track: CameraTrack
    size: tuple[int, int]
    depth: float
    stages: Stages


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
) -> Path:
    """Takes every `stride`-th frame of a video or a folder of images, of those the first `frames`, and writes `out`.

    weights: a RUN folder or file of `video-ae train`; None: the package's own. focal: known fx / width. refine: steps
    of test-time refinement, 0 for feed-forward only. export: names of `applications.exports.EXPORTS`, `all` that the
    model has something for, or `none`. Files: cameras.json, reconstruction.mp4, novel_view.mp4, overview.png,
    summary.json, scene/ for `render_path` and `export_reconstruction`, and the exports (docs/exports.md).

    The folder appears when it is complete. Raises UserError for bad input, an output folder that is in the way (an
    earlier result is replaced with `overwrite`) or cannot be written, and weights that do not load.
    """
    _check_numbers(stride, frames, focal, refine)
    names = chosen_exports(export)
    settings = {
        "source": str(source),
        "weights": None if weights is None else str(weights),
        "stride": stride,
        "frames": frames,
        "focal": focal,
        "refine": refine,
        "device": device,
        "decoder": decoder,
        "export": list(names),
    }
    with output_folder(out, overwrite) as folder:
        reader = open_video(source, decoder)
        if len(range(0, len(reader), stride)[:frames]) < 2:
            raise UserError(
                f"{str(source)!r} leaves one frame ({len(reader)} in all, stride {stride}), and at least two are "
                "needed: give a longer video or a smaller stride."
            )
        place = choose_device(device)
        model, module = load_scene_model(weights, place)
        with Stages() as stages:
            stages("reading the video", 0)
            clip = load_clip(reader, stride, frames, even_size(reader.image_size, SHORTER_SIDE))
            stages("reading the video", 1)
            scene = model.reconstruct(clip.to(place), focal, refine, stages)
            track = track_of(_one(scene), clip, scene.camera.confidence[0], reader.image_size)
            depth = scene_depth(scene.camera.inverse_depth)
            job = _Job(model, scene, track, clip.image_size, depth, stages)
            if "all" in export:
                names = possible_exports(scene)
            points = _write_results(folder, job, clip, names, reader)
            _write_scene(folder / SCENE_FOLDER, scene, module, reader.image_size)
            stages("writing", 1)
        summary = _summary(job, settings, points)
        text = json.dumps(summary, indent=1, allow_nan=False)
        write_atomically(folder / MARK, lambda temporary: temporary.write_text(text))
    return Path(out)


def _check_numbers(stride: int, frames: int | None, focal: float | None, refine: int) -> None:
    if stride < 1:
        raise UserError(f"The stride {stride} is not possible: give 1 or more.")
    if frames is not None and frames < 2:
        raise UserError(f"{frames} frames are too few to find a motion: give 2 or more.")
    if focal is not None and not 0.1 <= focal <= 20:
        raise UserError(f"The focal length {focal} is not possible: give fx / width, such as 0.9 (from 0.1 to 20).")
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.")


def _one(scene: Scene) -> Cameras:
    """The cameras of a scene without batch axis, float64 on the CPU."""
    cameras = scene.camera.cameras
    return Cameras(cameras.world_from_camera[0], cameras.intrinsics[0]).to("cpu", torch.float64)


def _write_results(folder: Path, job: _Job, clip: VideoClip, names: Sequence[str], reader: VideoReader) -> int:
    """All files but the scene and the summary; returns the number of points."""
    write_track_json(folder / "cameras.json", job.track)
    shown = sorted({round(i) for i in torch.linspace(0, len(clip) - 1, SHOWN).tolist()})
    pictures, rendered = _render_input(folder / "reconstruction.mp4", job, clip, shown)
    path = novel(_one(job.scene), job.depth, min(max(48, 2 * len(clip)), 240))
    report = lambda done: job.stages("rendering new views", done)  # noqa: E731
    report(0)
    write_video(folder / "novel_view.mp4", render_pictures(job.model, job.scene, path, job.size, report), NOVEL_RATE)
    job.stages("writing", 0)
    exports = ExportJob(job.model, job.scene, job.track, job.size, lambda: reader, rendered)
    findings = Findings(
        name=clip.name,
        track=job.track,
        shown=shown,
        inputs=to_bytes(clip.frames[shown]),
        renderings=pictures,
        disparity=rendered[shown].nan_to_num(0.0),
        cloud=exports.cloud,
        novel=path.world_from_camera,
        notes=_notes(job.scene),
        depth=job.depth,
    )
    write_overview(folder / "overview.png", findings)
    job.stages("exports", 0)
    write_exports(folder, names, exports)
    job.stages("exports", 1)
    return len(exports.cloud)


def _render_input(path: Path, job: _Job, clip: VideoClip, shown: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Writes input beside rendering; returns renderings (bytes) of the frames `shown` and 1 / z of all frames."""
    stage = "rendering the input path"
    job.stages(stage, 0)
    pairs, pictures, inverse_depth = [], [], []
    cameras = _one(job.scene)
    for start, views in render_chunks(job.model, job.scene, cameras, job.size, lambda done: job.stages(stage, done)):
        rendered = to_bytes(views.frames[0])
        pairs.append(torch.cat([to_bytes(clip.frames[start : start + len(rendered)]), rendered], -1))
        inverse_depth.append(known_inverse_depth(views.disparity[0], views.opacity[0]))
        pictures += [rendered[frame - start] for frame in shown if start <= frame < start + len(rendered)]
    write_video(path, torch.cat(pairs), frame_rate(clip.times))
    return torch.stack(pictures), torch.cat(inverse_depth)


def _write_scene(folder: Path, scene: Scene, model: Autoencoder, source_size: tuple[int, int]) -> None:
    folder.mkdir()
    save_scene(folder, scene, source_size)
    save_weights(model, folder / WEIGHTS_FILE)


def _notes(scene: Scene) -> tuple[str, ...]:
    return scene.camera.notes[0] if scene.camera.notes else ()


def _summary(job: _Job, settings: dict[str, Any], points: int) -> dict[str, Any]:
    confidence = job.track.confidence
    return {
        "command": sys.argv,
        "versions": {
            "video_ae": video_ae.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "model": f"{type(job.model).__module__}.{type(job.model).__qualname__}",
        "settings": settings,
        "frames": len(job.track.cameras),
        "image_size": list(job.track.image_size),
        "working_size": list(job.size),
        "focal_over_width": job.track.cameras.intrinsics[0, 0].item(),
        "confidence": {"mean": confidence.mean().item(), "least": confidence.min().item()},
        "scene_depth": job.depth,
        "keyframes": [int(job.track.indices[i]) for i in job.scene.keyframes],
        "points": points,
        "notes": list(_notes(job.scene)),
        "seconds": {name: round(value, 3) for name, value in job.stages.seconds.items()},
    }
