"""Held-out frames of any videos, rendered with several weights, side by side; no true cameras are needed.

    python tools/compare_weights.py VIDEO [VIDEO ...] [--weights RUN ...] [--untrained] [--first N ...] [--step N]

From each frame of `--first` on, 25 frames `--step` apart make a clip of 192x144 pixels, whose cameras are solved once,
feed-forward. A frame is then rendered in its own camera from others: its neighbours (`near`), two on each side
(`near4`), those 4 or 8 frames away on both sides, or the one two frames before (`single`). Printed: PSNR (dB) and SSIM,
means over clips and frames. VIDEO is a file or a folder of images. Compared are the package's own weights and, beside
them, those of runs, and the plane sweep before any training (seed 0).
"""

import argparse
from pathlib import Path

import torch

from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import psnr, ssim
from video_ae.models.open import load_model
from video_ae.models.perspective import PerspectiveAutoencoder, Split
from video_ae.structure.plane_sweep import PlaneSweepEncoder
from video_ae.types import CameraEstimate, VideoClip

LENGTH, SIZE = 25, (192, 144)
# name -> where the contexts are, seen from the frame that is rendered; which frames are rendered
VIEWS = {
    "near": ((-1, 1), (6, 16)),
    "near4": ((-2, -1, 1, 2), (6, 16)),
    "4 away": ((-4, 4), (6, 16)),
    "8 away": ((-8, 8), (9, 15)),
    "single": ((-2,), (6, 16)),
}


def read_clips(videos: list[Path], first: list[int], step: int) -> list[VideoClip]:
    clips = []
    for path in videos:
        source = VideoFolder(path)
        for number in range(len(source)):
            for start in first:
                frames = range(start, start + LENGTH * step, step)
                if frames[-1] < source.frame_count(number):
                    clips.append(source.load(number, frames, SIZE, "crop"))
    if not clips:
        raise UserError(f"No video has the frames of a clip, {LENGTH} from {min(first)} on, {step} apart.")
    return clips


def perspective(weights: str | None) -> PerspectiveAutoencoder:
    model = load_model(weights)
    if not isinstance(model, PerspectiveAutoencoder):
        raise UserError(f"{weights!r} holds a {type(model).__name__}: compare weights of the perspective model.")
    return model


@torch.no_grad()
def scores(model: PerspectiveAutoencoder, clips: list[tuple[VideoClip, CameraEstimate]], name: str) -> tuple:
    """Mean PSNR and SSIM of one kind of view."""
    offsets, frames = VIEWS[name]
    found = []
    for clip, estimate in clips:
        for frame in frames:
            split = Split([frame + offset for offset in offsets], frame, [frame])
            output = model.reconstruct_targets(clip.frames[None], estimate[None], split)
            image, true = output.frames[0].clamp(0, 1), clip.frames[[frame]]
            found.append((psnr(image, true).item(), ssim(image, true).item()))
    return tuple(sum(values) / len(values) for values in zip(*found, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--weights", nargs="*", default=[], metavar="RUN", help="further runs or weight files")
    parser.add_argument("--untrained", action="store_true", help="also the plane sweep that training starts from")
    parser.add_argument("--first", type=int, nargs="+", default=[0], metavar="N", help="where clips begin (default: 0)")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="frames between neighbours (default: 1)")
    given = parser.parse_args()
    try:
        models = {"shipped": perspective(None), **{weights: perspective(weights) for weights in given.weights}}
        clips = read_clips(given.videos, given.first, given.step)
    except UserError as error:
        parser.error(str(error))
    if given.untrained:
        torch.manual_seed(0)
        models["untrained"] = perspective(None)
        models["untrained"].structure = PlaneSweepEncoder()
    solved = [(clip, models["shipped"].find_cameras(clip)) for clip in clips]
    print(f"| {len(clips)} clips | " + " | ".join(VIEWS) + " |\n" + "|---" * (len(VIEWS) + 1) + "|")
    for label, model in models.items():
        cells = ("{:.2f}, {:.3f}".format(*scores(model.eval(), solved, name)) for name in VIEWS)
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
