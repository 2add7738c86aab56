"""What each format of Gaussians does to a scene: `python tools/check_splat_formats.py DIR`.

Every file is read by splat-transform and written as PLY again; an independent renderer shows that and the original from
three cameras of the path. Prints a row a format: bytes a Gaussian, PSNR between the two images.

Needs `pip install -e '.[splats]'` and `npm install -g @playcanvas/splat-transform@3.7.0`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from video_ae.geometry.se3 import invert
from video_ae.scene.reconstruction import Reconstruction

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "formats"))
FORMATS = {
    "gaussians": "gaussians.ply",
    "gaussians-sh3": "gaussians_sh3.ply",
    "compressed-ply": "gaussians.compressed.ply",
    "spz": "gaussians.spz",
}
THEIRS = ("spz", "compressed.ply", "sog")  # what splat-transform makes of gaussians.ply


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    saved = Reconstruction.load(parser.parse_args().directory, "cpu")
    count = len(saved.gaussians())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        saved.export(folder, list(FORMATS))
        original = _images(saved, folder / "gaussians.ply")
        files = {f"`{name}`": folder / product for name, product in FORMATS.items()}
        for suffix in THEIRS:
            files[f"splat-transform's {suffix}"] = folder / f"theirs.{suffix}"
            _convert(folder / "gaussians.ply", folder / f"theirs.{suffix}")
        for name, file in files.items():
            _convert(file, folder / "back.ply")
            error = (_images(saved, folder / "back.ply") - original).square().mean().clamp_min(1e-12)
            print(f"| {name} | {file.stat().st_size / count:.1f} | {-10 * error.log10().item():.1f} dB |")


def _convert(source: Path, target: Path) -> None:
    subprocess.run(["splat-transform", "-q", "-w", "-g", "cpu", source, target], check=True)


def _images(saved: Reconstruction, path: Path) -> Tensor:
    from splat_renderer import render_splats

    width, height = saved.image_size
    images = []
    for frame in (0, len(saved) // 2, len(saved) - 1):
        camera = saved.scene.cameras.select([frame])
        intrinsics = (camera.intrinsics[0] * torch.tensor([width, height, width, height])).tolist()
        images.append(render_splats(path, invert(camera.world_from_camera[0].double()), *intrinsics, width, height))
    return torch.stack(images)


if __name__ == "__main__":
    main()
