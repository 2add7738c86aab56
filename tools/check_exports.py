"""What the exports of a reconstruction are worth: `python tools/check_exports.py DIR [--volumes]`.

Needs `pycolmap` (`pip install -e .[peers]`), and the video that DIR was made from.
"""

import argparse
import sys
from pathlib import Path

import torch

from video_ae.geometry.se3 import invert
from video_ae.renderers.pytorch3d.resampling import resample_frustum, resampling_psnr
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import to_bytes
from video_ae.videos.load import read_clip

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "formats"))
RESOLUTIONS = ((64, 48, 64), (128, 96, 128), (192, 144, 192))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--volumes", action="store_true", help="also the error of PyTorch3D's grid")
    parser.add_argument("--sheet", type=Path, help="write an image: input, model, splats")
    given = parser.parse_args()
    saved = Reconstruction.load(given.directory, "cpu")
    _colmap(given.directory)
    _gaussians(given.directory, saved, given.sheet)
    if given.volumes:
        _volumes(saved)


def _colmap(directory: Path) -> None:
    import pycolmap

    model = pycolmap.Reconstruction(str(directory / "colmap" / "sparse" / "0"))
    model.update_point_3d_errors()
    print(
        f"| {directory.name} | {model.num_reg_images()} | {model.num_points3D()} | "
        f"{model.compute_mean_track_length():.1f} | {model.compute_mean_reprojection_error():.2f} px |"
    )


@torch.no_grad()
def _gaussians(directory: Path, saved: Reconstruction, sheet: Path | None) -> None:
    from PIL import Image
    from splat_renderer import render_splats

    width, height = saved.image_size
    chosen = torch.linspace(0, len(saved) - 1, 5).round().long()
    input = read_clip(saved.source.open(), saved.scene.clip.indices[chosen].tolist(), (width, height)).frames
    cameras = saved.scene.cameras.select(chosen)
    rendered = saved.model.render(saved.scene, cameras, (width, height)).rgb.clamp(0, 1)
    path, size = directory / "gaussians.ply", torch.tensor([width, height, width, height])
    splats = torch.stack(
        [
            render_splats(path, invert(pose.double()), *(intrinsics * size).tolist(), width, height)
            for pose, intrinsics in zip(cameras.world_from_camera, cameras.intrinsics, strict=True)
        ]
    )
    splats = splats.permute(0, 3, 1, 2).float()
    grey = input.mean((2, 3), keepdim=True)
    count = int(path.read_bytes()[:200].split(b"element vertex ")[1].split()[0])
    numbers = [psnr(splats, input), psnr(splats, rendered), psnr(grey, input)]
    print(
        f"| {directory.name} | {count} | {path.stat().st_size / 1e6:.1f} MB | "
        + " | ".join(f"{number:.1f} dB" for number in numbers)
        + " |"
    )
    if sheet is not None:
        rows = torch.cat([torch.cat(list(part), -1) for part in (input, rendered, splats)], -2)
        Image.fromarray(to_bytes(rows[None])[0].permute(1, 2, 0).contiguous().numpy()).save(sheet)


def _volumes(saved: Reconstruction) -> None:
    structure = saved.scene.volume(0)[None]
    whole = 1 / structure.inverse_depth.min().item()
    for resolution in RESOLUTIONS:
        errors = [resampling_psnr(structure, resample_frustum(structure, resolution, far)) for far in (None, whole)]
        print(f"| {' x '.join(map(str, resolution))} | " + " | ".join(f"{error:.1f} dB" for error in errors) + " |")


def psnr(images: torch.Tensor, targets: torch.Tensor) -> float:
    """Mean over images, in decibels."""
    return -10 * (images - targets).square().mean((1, 2, 3)).log10().mean().item()


if __name__ == "__main__":
    main()
