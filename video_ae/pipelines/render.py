"""Views of an earlier reconstruction along a path, without its video."""

from functools import partial
from pathlib import Path

from video_ae.errors import UserError
from video_ae.pipelines.inputs import checked_out
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.result_files import NOVEL_RATE
from video_ae.videos.writer import write_video


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

    New paths take their colours from the frames in `reconstruction.mp4` where these see the same point; `input` shows
    the codes alone, as the frames would show nothing but themselves, and so does everything where that file is gone.

    Args:
        directory: that `reconstruct_video` wrote.
        path: `input` (the found cameras), or `orbit`, `spiral`, `dolly` about what the middle keyframe looks at.
        out: the .mp4 that is written.
        size: shorter side of the images in pixels, at most the source's; by default 192.
        frames: length of the path.
        device: to compute on: "auto", "cpu", "cuda", ...
        overwrite: whether an earlier file is replaced.

    Raises:
        UserError: the path is unknown, the folder holds no reconstruction or a damaged one, or `out` is in the way or
            cannot be written.
    """
    if frames is not None and frames < 2:
        raise UserError(f"A path of {frames} frames is out of range: give 2 or more.")
    out = checked_out(out, overwrite)
    saved = Reconstruction.load(directory, device)
    cameras = saved.path(path, frames)
    frame = None if path == "input" else saved.frame_reader()
    with Stages() as stages:
        report = partial(stages, f"rendering {path}")
        if frame is None:
            images = saved.render_path(cameras, size=size, progress=report)
        else:
            renderer = ImageBasedRenderer(saved.model, saved.scene, frame, saved.size_of(size))
            images = renderer.images(cameras, progress=report)
    write_video(out, images, saved.frame_rate if path == "input" else NOVEL_RATE)
    return out
