"""How well a view beside the path is rendered: codes with more contexts and with the depth found with the cameras.

    python tools/compare_view_codes.py VIDEO [--frames N] [--step N] [--away D ...]

The cameras of the first `--frames` frames, `--step` apart, are solved once, feed-forward, from all of them. Every
eighth frame is then rendered in its own camera from those frames alone that see the scene differently by more than D
image widths (the mean shift of far, typical and near surfaces). Printed: PSNR (dB) and SSIM, means over
frames, of the code alone, black where its frames see nothing. VIDEO is a file or a folder of images.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn

from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import psnr, ssim
from video_ae.models.open import load_model
from video_ae.models.perspective import FEWEST_NEAREST, PerspectiveAutoencoder
from video_ae.scene.image_based_rendering import view_distances
from video_ae.types import CameraEstimate, MultiplaneVolume, Scene, VideoClip
from video_ae.videos.open import open_video


class WithoutDepth(nn.Module):
    """A structure encoder that does not see the depth found with the cameras."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, *arguments: Any, **depth: torch.Tensor) -> MultiplaneVolume:
        return self.encoder(*arguments)


def read_clip(video: Path, count: int, step: int) -> VideoClip:
    reader = open_video(video)
    indices = list(range(0, count * step, step))
    if indices[-1] >= len(reader):
        raise UserError(f"{video} has {len(reader)} frames; {count}, {step} apart, need {indices[-1] + 1}.")
    return VideoClip(reader.read(indices).float() / 255, torch.tensor(indices), torch.tensor(indices).double())


@torch.no_grad()
def score(model: PerspectiveAutoencoder, clip: VideoClip, estimate: CameraEstimate, away: float) -> list[float]:
    cameras, scores = estimate.cameras, []
    for target in range(4, len(clip), 8):
        view = cameras.select([target])
        distances = view_distances(Scene(clip, estimate, (), ()), view)[0]
        kept = (distances > away).nonzero()[:, 0].tolist()
        if len(kept) < 2:
            raise UserError(f"Fewer than two frames are {away} image widths from frame {target}: a smaller --away.")
        part = clip.select(kept)
        scene = Scene(part, estimate.select(kept), (), ())
        image = model.render_from_frames(scene, part.frames.__getitem__, view).rgb.clamp(0, 1)
        scores.append([metric(image, clip.frames[[target]]).item() for metric in (psnr, ssim)])
    return torch.tensor(scores).mean(0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--step", type=int, default=3)
    parser.add_argument("--away", type=float, nargs="+", default=[0.0, 0.06, 0.12])
    given = parser.parse_args()
    clip, model = read_clip(given.video, given.frames, given.step), load_model()
    assert isinstance(model, PerspectiveAutoencoder)
    estimate = model.find_cameras(clip)
    print(f"| code | {' | '.join(f'more than {away} away' for away in given.away)} |")
    print(f"|---|{'---|' * len(given.away)}")
    whole, encoder = model.scene_contexts, model.structure
    for name, most, structure in (
        ("four nearest", FEWEST_NEAREST, WithoutDepth(encoder)),
        ("all about as near", whole, WithoutDepth(encoder)),
        ("and the depth of the cameras", whole, encoder),
    ):
        model.scene_contexts, model.structure = most, structure
        cells = ["{:.2f}, {:.3f}".format(*score(model, clip, estimate, away)) for away in given.away]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"compare_view_codes: {error}") from error
