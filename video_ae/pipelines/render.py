"""Views of an earlier reconstruction along a path, without its video."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.scene import frame_rate, load_scene, move
from video_ae.geometry.trajectories import PATHS, scene_depth
from video_ae.pipelines.inputs import SHORTER_SIDE
from video_ae.pipelines.reconstruct import INPUT_VIDEO, NOVEL_RATE, SCENE_FOLDER, WEIGHTS_FILE
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.rendering import even_size, load_scene_model, render_pictures
from video_ae.types import Cameras, Scene
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

DEFAULT_FRAMES = 96  # of a new path: four seconds


def render_path(
    directory: Path,
    path: str = "input",
    out: Path = Path("render.mp4"),
    size: int | None = None,
    frames: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> Path:
    """Writes an mp4 of the reconstruction in `directory` (made by `reconstruct_video`), seen along a path.

    path: `input` (the found cameras), or `orbit`, `spiral`, `dolly` about what the middle keyframe looks at. New paths
    take their colours from the frames in `reconstruction.mp4` where these see the same point; `input` shows the codes
    alone, as the frames would show nothing but themselves, and so does everything where that file is gone.
    size: shorter side of the picture in pixels, at most the source's; frames: length of the path.
    Raises UserError for an unknown path, a folder that holds no reconstruction or a damaged one, and an `out` that is
    in the way or cannot be written.
    """
    out = _checked(out, path, size, frames, overwrite)
    saved = load_scene(Path(directory) / SCENE_FOLDER)
    place = choose_device(device)
    model, _ = load_scene_model(Path(directory) / SCENE_FOLDER / WEIGHTS_FILE, place)
    scene = move(saved.scene, place)
    cameras, rate = path_cameras(saved.scene, path, frames)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"rendering {path}", total=1.0)
        report = lambda done: progress.update(task, completed=done)  # noqa: E731
        picture_size = even_size(saved.source_size, size or SHORTER_SIDE)
        frame = None if path == "input" else input_frames(Path(directory), scene)
        if frame is None:
            pictures = render_pictures(model, scene, cameras, picture_size, report)
        else:
            pictures = ImageBasedRenderer(model, scene, frame, picture_size).pictures(cameras, progress=report)
    write_video(out, pictures, rate)
    return out


def input_frames(directory: Path, scene: Scene) -> Callable[[int], Float[Tensor, "3 height width"]] | None:
    """Reads frames of a reconstruction's clip, RGB in [0, 1], from the left half of `reconstruction.mp4`; None where
    that is missing or of another video."""
    try:
        reader = open_video(directory / INPUT_VIDEO)
    except UserError:
        return None
    width, height = scene.clip.image_size
    if len(reader) != len(scene.clip) or reader.image_size != (2 * width, height):
        return None

    @lru_cache(maxsize=8)
    def frame(position: int) -> Tensor:
        return reader.read([position])[0, :, :, :width].float() / 255

    return frame


def _checked(out: Path, path: str, size: int | None, frames: int | None, overwrite: bool) -> Path:
    if path not in PATHS:
        raise UserError(f"There is no path {path!r}: choose one of {', '.join(PATHS)}.")
    if size is not None and size < 16:
        raise UserError(f"A size of {size} pixels is not possible: give 16 or more.")
    if frames is not None and frames < 2:
        raise UserError(f"A path of {frames} frames is not possible: give 2 or more.")
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise UserError(f"{str(out)!r} does not end in .mp4: give a name such as {out.stem or 'render'}.mp4.")
    if out.is_dir() or (out.exists() and not overwrite):
        raise UserError(f"{str(out)!r} exists: choose another name or add --overwrite.")
    return out


def path_cameras(scene: Scene, path: str, frames: int | None) -> tuple[Cameras, float]:
    """The cameras of a path (a name of `PATHS`; float64, CPU, no batch axis) and its frames a second."""
    found = scene.camera.cameras
    cameras = Cameras(found.world_from_camera[0], found.intrinsics[0]).to("cpu", torch.float64)
    if path == "input":
        return PATHS[path](cameras, 1.0, frames, 0), frame_rate(scene.clip.times)
    reference = scene.keyframes[len(scene.keyframes) // 2]
    depth = scene_depth(scene.camera.inverse_depth[0, reference])
    return PATHS[path](cameras, depth, frames or DEFAULT_FRAMES, reference), NOVEL_RATE
