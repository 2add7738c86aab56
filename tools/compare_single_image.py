"""What the guessed depth of one image is worth: `python tools/compare_single_image.py [ROOT]`.

From one frame of a test walk-through the frame `--gap` later is rendered in its true camera; the scale of the scene is
set by the true median depth of the first frame. Compared: the frame itself, the structure network alone, a wall at one
depth, the depth of `video-ae animate`, and the true depth. What is not seen is filled from around.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.evaluation.metrics.images import psnr, ssim
from video_ae.geometry.se3 import invert
from video_ae.models.open import load_video_model
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.scene.filling import fill_unseen
from video_ae.scene.single_image import guess_inverse_depth, image_estimate, image_layers
from video_ae.types import Cameras

ROOT = Path(__file__).parents[1] / "data" / "walkthroughs" / "test"
STARTS = (4, 20, 36)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--gap", type=int, default=4)
    given = parser.parse_args()
    model = load_video_model(None, torch.device("cpu"))
    source = RealEstate10K(given.root)
    depths = sorted((given.root / "depth").glob("*.npz"))
    scores: dict[str, list[tuple[float, float]]] = {}
    for number, file in enumerate(depths):
        for start in STARTS:
            clip = source.load(number, [start, start + given.gap], (192, 144), "stretch")
            for name, image in _views(model, clip, _true_depth(file, start)).items():
                target = clip.frames[1:]
                value = image.clamp(0, 1)[None]
                scores.setdefault(name, []).append((psnr(value, target).item(), ssim(value, target).item()))
    print(f"| {len(depths) * len(STARTS)} pairs, {given.gap} frames apart | PSNR, dB | SSIM |\n|---|---|---|")
    for name, values in scores.items():
        first, second = np.mean(values, 0)
        print(f"| {name} | {first:.2f} | {second:.3f} |")


def _true_depth(file: Path, frame: int) -> torch.Tensor:
    content = np.load(file)
    depth = torch.from_numpy(content["scale"] * content["buffer"][frame].astype(np.float32) + content["offset"])
    return F.interpolate(depth[None, None].clamp_min(0.3), (144, 192), mode="bilinear")[0, 0]


def _views(model, clip, depth: torch.Tensor) -> dict[str, torch.Tensor]:
    """{method: the second frame as the first one's code shows it}."""
    first = clip.frames[0]
    pose = (invert(clip.cameras.world_from_camera[:1]) @ clip.cameras.world_from_camera).float()
    pose[:, :3, 3] /= depth.median()  # the scene's typical depth becomes 1
    cameras = Cameras(pose, clip.cameras.intrinsics.float())
    camera, target = cameras.select([0]), cameras.select([1])
    code = model.encode_structure(first[None, None], image_estimate(camera)[None], [0], camera[None], (192, 144))[0]
    maps = {
        "a wall at the typical depth": torch.ones(144, 192),
        "video-ae animate": guess_inverse_depth(code),
        "true depth": (depth.median() / depth).clamp(0.25, 4.0),
    }
    codes = {"structure network alone": code} | {n: image_layers(first, q, camera) for n, q in maps.items()}
    images = {"the frame itself": first}
    for name, one in codes.items():
        seen = FrustumRenderer()(one[None], target[None], 144, 192)[0]
        images[name] = fill_unseen(seen.rgb, seen.opacity)[0]
    return images


if __name__ == "__main__":
    main()
