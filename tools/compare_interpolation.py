"""Held-out frames, made from their neighbours: `python tools/compare_interpolation.py VIDEO [VIDEO ...]`.

Every second frame of the first `--frames` is left out, the rest is reconstructed, and the missing ones are made at half
the time between their neighbours; nobody sees the left-out frames but the measure. Compared: the frame before, the mean
of both neighbours, optical flow by OpenCV (Farneback 2003, DIS: Kroeger et al. 2016; both neighbours drawn half the way
along the flow and averaged), the structure alone, and `video-ae interpolate` (the structure with the colours of the
frames). OpenCV: `pip install -e .[peers]`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from video_ae.evaluation.metrics.images import psnr, ssim
from video_ae.evaluation.peers.flow_interpolation import middle_image, optical_flows
from video_ae.geometry.trajectories import interpolate
from video_ae.models.open import load_video_model
from video_ae.pipelines.inputs import Settings
from video_ae.pipelines.interpolate import render_between
from video_ae.progress import Stages
from video_ae.scene.rendering import render_chunks
from video_ae.scene.source import result_size
from video_ae.videos.load import read_clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=15)
    parser.add_argument("--gap", type=int, default=2, help="every gap-th frame is kept (default: 2)")
    parser.add_argument("--refine", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="write an image: held-out frame, then each method")
    given = parser.parse_args()
    model = load_video_model(None, torch.device("cpu"))
    scores: dict[str, list[tuple[float, float]]] = {}
    for video in given.videos:
        made, held_out = _clip(video, model, given.frames, given.gap, given.refine)
        for name, images in made.items():
            scores.setdefault(name, []).append(_scores(images, held_out))
        if given.sheet is not None:
            _sheet(given.sheet, made, held_out)
    print(f"| {len(given.videos)} clips | PSNR, dB | SSIM |\n|---|---|---|")
    for name, values in scores.items():
        first, second = np.mean(values, 0)
        print(f"| {name} | {first:.2f} | {second:.3f} |")


def _scores(images: torch.Tensor, held_out: torch.Tensor) -> tuple[float, float]:
    return psnr(images, held_out).mean().item(), ssim(images, held_out).mean().item()


def _clip(video: Path, model, frames: int, gap: int, refine: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """({method: images}, held-out frames), all in [0, 1] at the size of the video."""
    settings = Settings(stride=gap, frames=(frames - 1) // gap + 1, refine=refine)
    with Stages() as stages:
        walk = settings.reconstruct(video, model, stages)
        size, reader = result_size(walk.source.image_size, settings.size), walk.source.open()
        kept = walk.scene.clip.indices
        times = torch.arange(len(kept) - 1).double() + 0.5
        numbers = ((kept[:-1] + kept[1:]) // 2).tolist()
        held_out = read_clip(reader, numbers, size).frames
        inputs = read_clip(reader, kept.tolist(), size).frames
        before, after = inputs[:-1], inputs[1:]
        sharp = torch.stack(list(render_between(walk, times, settings.size, stages))).float() / 255
        cameras = interpolate(walk.path("input"), times)
        alone = torch.cat([views.rgb.clamp(0, 1) for views in render_chunks(walk, cameras, size)])
    made = {"frame before": before, "blend of both": (before + after) / 2}
    for name, flow in optical_flows().items():
        made[name] = torch.stack([middle_image(flow, a, b) for a, b in zip(before, after, strict=True)])
    return made | {"structure alone": alone, "video-ae interpolate": sharp}, held_out


def _sheet(path: Path, made: dict[str, torch.Tensor], held_out: torch.Tensor) -> None:
    from PIL import Image

    shown = torch.linspace(0, len(held_out) - 1, min(4, len(held_out))).round().long()
    rows = torch.cat([torch.cat(list(part[shown]), -1) for part in (held_out, *made.values())], -2)
    Image.fromarray((rows.clamp(0, 1) * 255).byte().permute(1, 2, 0).contiguous().numpy()).save(path)


if __name__ == "__main__":
    main()
