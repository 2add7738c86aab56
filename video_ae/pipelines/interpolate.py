"""New frames between those of a video, rendered through its structure at cameras between the found ones."""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.trajectories import interpolate
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.inputs import Settings, checked_out
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.videos.writer import last_duration

MOST = 64  # new frames for each old one


def interpolate_video(source: Path, out: Path, factor: int = 4, settings: Settings = Settings()) -> Path:
    """Writes a video with more frames a second, as long as the source and with its sound.

    The frames of the source stay as they are (apart from the size); `factor` - 1 new ones follow each but the last.
    Camera centres move on a spline through the found ones, rotations at constant speed.

    Args:
        source: a video or a folder of images.
        out: the .mp4 that is written.
        factor: how many times as many frames a second.
        settings: see `Settings`.

    Raises:
        UserError: the factor is below 2, the source cannot be read, or the result is in the way.
    """
    if not 2 <= factor <= MOST:
        raise UserError(f"The factor {factor} is out of range: give 2 to {MOST}, such as 4.")
    out = checked_out(out, settings.overwrite, read=[Path(source)])
    model = settings.load_model()
    with Stages() as stages:
        video = settings.reconstruct(source, model, stages)
        # The last frame is shown as long as in the source.
        positions = torch.arange(len(video) * factor, dtype=torch.float64) / factor
        images = render_between(video, positions.clamp_max(len(video) - 1), settings.size, stages)
        write_video_with_sound(out, images, times_between(video.shown_times, positions), Path(source))
    return out


def times_between(
    times: Float64[Tensor, "frame"], positions: Float64[Tensor, "position"]
) -> Float64[Tensor, "position"]:
    """Seconds at which fractional positions in a clip are shown.

    Args:
        times: of the clip's frames, in seconds.
        positions: from 0 to the clip's length; those beyond the last frame lie in the time that it is shown.

    >>> times_between(torch.tensor([0.0, 0.5, 2.0]).double(), torch.tensor([0.5, 1.5, 2.5]).double()).tolist()
    [0.25, 1.25, 2.25]
    """
    ends = torch.cat([times, times[-1:] + last_duration(times)])
    before = positions.floor().long().clamp_max(len(times) - 1)
    return ends[before] + (positions - before) * (ends[before + 1] - ends[before])


def render_between(
    video: Reconstruction, times: Float[Tensor, "time"], size: int | None, stages: Stages
) -> Iterator[UInt8[Tensor, "3 height width"]]:
    """Images at fractional positions in a clip, one after another; whole numbers give the frames themselves.

    Each new image takes its colours from the frames before and after it, the nearer one more, where they see what the
    structure shows.

    Args:
        video: reconstructed.
        times: positions in the clip.
        size: shorter side of the images, as in `result_size`.
        stages: called with what is being done.
    """
    renderer = ImageBasedRenderer.of(video, size)
    new = (times != times.round()).nonzero()[:, 0]
    before = times[new].floor().long().clamp(0, len(video) - 2)
    shares = (times[new] - before).tolist()
    neighbours = [{left: 1 - share, left + 1: share} for left, share in zip(before.tolist(), shares, strict=True)]
    cameras = interpolate(video.path("input"), times[new])
    rendered = renderer.images(cameras, neighbours, lambda done: stages("rendering new frames", done))
    for time in times.tolist():
        yield renderer.frame(int(time)) if time.is_integer() else next(rendered)
