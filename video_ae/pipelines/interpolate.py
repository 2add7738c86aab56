"""New frames between those of a video, rendered through its structure at cameras between the found ones."""

from pathlib import Path

import torch

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.geometry.trajectories import interpolate
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.take_apart import Settings, TakenApart, checked_out, take_apart
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.rendering import SceneModel, load_scene_model, to_bytes
from video_ae.videos.load import read_clip

MOST = 64  # new frames for each old one


def interpolate_video(source: Path, out: Path, factor: int = 4, settings: Settings | None = None) -> Path:
    """Writes a video with `factor` times as many frames a second, as long as the source and with its sound.

    The frames of the source stay as they are (`size` apart); `factor` - 1 new ones follow each but the last. Centres
    move on a spline through the found ones, rotations at constant speed. Raises UserError for a factor below 2, bad
    settings or sources, and a result that is in the way.
    """
    settings = settings or Settings()
    if not 2 <= factor <= MOST:
        raise UserError(f"The factor {factor} is not possible: give 2 to {MOST}, such as 4.")
    out = checked_out(out, settings.overwrite)
    place = choose_device(settings.device)
    model, _ = load_scene_model(settings.weights, place)
    with Stages() as stages:
        taken = take_apart(source, model, settings, place, stages)
        times = torch.arange((len(taken.clip) - 1) * factor + 1, dtype=torch.float64) / factor
        pictures = between(taken, model, times, taken.output_size(settings.size), stages)
        # The last frame is shown as long as every other one of the source.
        pictures = torch.cat([pictures, pictures[-1:].expand(factor - 1, -1, -1, -1)])
        write_video_with_sound(out, pictures, taken.rate * factor, Path(source))
    return out


def between(
    taken: TakenApart, model: SceneModel, times: torch.Tensor, size: tuple[int, int], stages: Stages
) -> torch.Tensor:
    """Pictures (bytes) at fractional frame numbers; whole numbers give the frames themselves.

    Each new picture takes its colours from the frames before and after it, the nearer one more, where they see what
    the structure shows.
    """
    frame = frame_reader(taken, size)
    views = ImageBasedRenderer(model, taken.scene, frame, size)
    last = len(taken.clip) - 1
    new = (times != times.round()).nonzero()[:, 0]
    before = times[new].floor().long().clamp(0, last - 1)
    shares = (times[new] - before).tolist()
    sources = [{left: 1 - share, left + 1: share} for left, share in zip(before.tolist(), shares, strict=True)]
    stage = "rendering new frames"
    stages(stage, 0)
    rendered = views.pictures(interpolate(taken.cameras, times[new]), sources, lambda done: stages(stage, done))
    pictures = torch.empty(len(times), 3, size[1], size[0], dtype=torch.uint8)
    pictures[new] = rendered
    for number in (times == times.round()).nonzero()[:, 0].tolist():
        pictures[number] = to_bytes(frame(int(times[number]))[None])[0]
    return pictures


def frame_reader(taken: TakenApart, size: tuple[int, int]):
    """Reads single frames of the clip in the size of the result; keeps the latest few."""
    kept: dict[int, torch.Tensor] = {}

    def frame(position: int) -> torch.Tensor:
        if position not in kept:
            if len(kept) >= 8:
                kept.pop(next(iter(kept)))
            kept[position] = read_clip(taken.reader, [int(taken.clip.indices[position])], size).frames[0]
        return kept[position]

    return frame
