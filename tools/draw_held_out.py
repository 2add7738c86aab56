"""Pictures of the held-out protocol: `python tools/draw_held_out.py --data ROOT --out FOLDER`.

Of each clip the held-out frame nearest to the middle at its own size, what the methods make of it, and below each its
error, five times brighter: FOLDER/held_out_CLIP.jpg. The means over all held-out frames of each clip are printed.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from video_ae.datasets.open import open_dataset
from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.protocols.base import Prediction
from video_ae.evaluation.protocols.held_out_protocol import MAIN, held_out_methods, run_held_out_protocol
from video_ae.models.base import DEFAULT_REFINE_STEPS, Options
from video_ae.models.open import load_video_model
from video_ae.scene.gaussian_refinement import DEFAULT_STEPS
from video_ae.scene.rendering import to_image
from video_ae.types import VideoClip

SHOWN = ("structure codes", MAIN, "Gaussians", "Gaussians, refined")
ERROR_GAIN = 5.0
CAPTION, GAP = 26, 4  # pixels: height of a caption, and between images


@dataclass
class MiddleFrames:
    """An observer of `run_held_out_protocol`: of each clip the held-out frame nearest to the middle.

    Args:
        images: clip -> method -> image.
        truths: clip -> frame.
    """

    images: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    truths: dict[str, tuple[int, Tensor]] = field(default_factory=dict)

    def __call__(self, label: str, name: str, frame: int, clip: VideoClip, found: Prediction) -> None:
        kept, middle = self.truths.get(name), len(clip) / 2
        if kept is None or abs(frame - middle) < abs(kept[0] - middle):
            kept = self.truths[name] = frame, clip.frames[frame]
        if kept[0] == frame:
            self.images.setdefault(name, {})[label] = found.image


def draw(truth: Float[Tensor, "3 height width"], images: dict[str, Float[Tensor, "3 height width"]]) -> Image.Image:
    """The frame and the images side by side, below each its error, with captions.

    Args:
        truth: RGB in [0, 1].
        images: by caption.
    """
    shown = {f"{name}, {psnr(image[None], truth[None]).item():.1f} dB": image for name, image in images.items()}
    columns = [("frame", truth, torch.ones_like(truth))]
    columns += [(name, image, _error(image, truth)) for name, image in shown.items()]
    height, width = truth.shape[-2:]
    sheet = Image.new("RGB", (len(columns) * (width + GAP) - GAP, CAPTION + 2 * height + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for number, (name, image, error) in enumerate(columns):
        left = number * (width + GAP)
        pen.text((left + 2, 2), name, "black", font)
        sheet.paste(to_image(image), (left, CAPTION))
        sheet.paste(to_image(error), (left, CAPTION + height + GAP))
    pen.text((2, CAPTION + height + GAP + 2), f"error, {ERROR_GAIN:.0f} times brighter", "black", font)
    return sheet


def _error(image: Tensor, truth: Tensor) -> Float[Tensor, "3 height width"]:
    return ((image - truth).abs().mean(0, keepdim=True) * ERROR_GAIN).clamp(0, 1).expand(3, -1, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="a data set, or a folder of videos")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="of the refinement of Gaussians")
    given = parser.parse_args()
    model, kept = load_video_model(None, torch.device("cpu")), MiddleFrames()
    methods = {name: method for name, method in held_out_methods(given.steps).items() if name in SHOWN}
    options = Options(None, DEFAULT_REFINE_STEPS)
    result = run_held_out_protocol(open_dataset(given.data), model, methods, 4, options, observers=[kept])
    given.out.mkdir(parents=True, exist_ok=True)
    for clip, (_, truth) in kept.truths.items():
        images = {name: kept.images[clip][name] for name in SHOWN}
        draw(truth, images).save(given.out / f"held_out_{clip}.jpg", quality=85)
    for name, row in {result.method: result.result, **result.baselines}.items():
        for clip, scores in row.clips.items():
            numbers = f"{scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}, gradients {scores['gradient_energy']:.2f}"
            print(f"{clip}: {name}: {numbers}")


if __name__ == "__main__":
    main()
