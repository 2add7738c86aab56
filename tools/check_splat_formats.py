"""What each format of Gaussians does to a scene: `python tools/check_splat_formats.py DIR --modules FOLDER`.

Every file is read by several programs that are not ours, and what they read is written as PLY; an independent renderer
shows that and the original from three cameras of the path. Prints a row a format: bytes a Gaussian, PSNR between the
two images for each program; of glTF two engines that know its extension, and what the Khronos validator says.

Needs `pip install -e '.[splats,browser]'`, Chromium, and in the folder `npm install @playcanvas/splat-transform@3.7.0
@sparkjsdev/spark@2.2.0 three@0.187.0 playcanvas@2.23.3 gltf-validator@2.0.0-dev.3.10`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gsply
import torch
from splat_readers import read_by_playcanvas, read_by_spark, read_by_three, write_layout
from torch import Tensor

from video_ae.geometry.se3 import invert
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import to_image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "formats"))
FORMATS = {
    "gaussians": "gaussians.ply",
    "gaussians-sh3": "gaussians_sh3.ply",
    "compressed-ply": "gaussians.compressed.ply",
    "spz": "gaussians.spz",
    "sog": "gaussians.sog",
}
THEIRS = ("spz", "compressed.ply", "sog")  # what splat-transform makes of gaussians.ply
VALIDATE = """
const validator = require("gltf-validator"), fs = require("fs");
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then((report) => console.log(report.issues.numErrors, "errors,", report.info.totalVertexCount, "vertices"));
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--modules", type=Path, required=True, help="the folder with node_modules")
    parser.add_argument("--images", type=Path, help="a folder for what is seen of each file: the original beside it")
    given = parser.parse_args()
    saved = Reconstruction.load(given.directory, "cpu")
    count = len(saved.gaussians())
    transform = given.modules / "node_modules" / ".bin" / "splat-transform"
    readers: dict[str, Callable[[Path, Path], None]] = {
        "splat-transform": lambda source, target: _convert(transform, source, target),
        "gsply": _read_by_gsply,
        "Spark": lambda source, target: read_by_spark(given.modules, source, target),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        saved.export(folder, [*FORMATS, "gltf"])
        original = _images(saved, folder / "gaussians.ply")
        files = {f"`{name}`": folder / product for name, product in FORMATS.items()}
        for suffix in THEIRS:
            files[f"splat-transform's {suffix}"] = folder / f"theirs.{suffix}"
            _convert(transform, folder / "gaussians.ply", folder / f"theirs.{suffix}")
        print("| file | bytes a Gaussian | " + " | ".join(readers) + " |\n" + "|---" * (2 + len(readers)) + "|")
        for name, file in files.items():
            cells = []
            for program, read in readers.items():
                picture = given.images and given.images / f"{file.name} {program}.png"
                cells.append(_psnr(saved, original, read, file, folder / "back.ply", picture))
            print(f"| {name} | {file.stat().st_size / count:.1f} | {' | '.join(cells)} |", flush=True)
        gltf = folder / "gaussians.glb"
        for name, read in {"PlayCanvas": read_by_playcanvas, "three.js": read_by_three}.items():
            picture = given.images and given.images / f"{gltf.name} {name}.png"
            cell = _psnr(saved, original, partial(read, given.modules), gltf, folder / "back.ply", picture)
            print(f"| `gltf` | {gltf.stat().st_size / count:.1f} | {name}: {cell} |", flush=True)
        said = subprocess.run(["node", "-e", VALIDATE, gltf], cwd=given.modules, capture_output=True, text=True)
        print(f"| `gltf` | the Khronos validator: {said.stdout.strip() or said.stderr} |")


def _psnr(
    saved: Reconstruction,
    original: Tensor,
    read: Callable[[Path, Path], None],
    file: Path,
    target: Path,
    picture: Path | None,
) -> str:
    try:
        read(file, target)
    except Exception as reason:  # whatever a program that is not ours does with a file that it does not know
        print(f"{file.name}: {' '.join(str(reason).split())[:300]}", file=sys.stderr)
        return "refused"
    images = _images(saved, target)
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        to_image(torch.cat([original[1], images[1]], 1).permute(2, 0, 1)).save(picture)
    error = (images - original).square().mean().item()
    return f"{-10 * torch.tensor(error).log10():.1f} dB" if error > 1e-10 else "the same"


def _read_by_gsply(source: Path, target: Path) -> None:
    read = gsply.read_spz(source) if source.suffix == ".spz" else gsply.plyread(source)
    write_layout(target, read.means, read.scales, read.quats, read.opacities, read.sh0)


def _convert(transform: Path, source: Path, target: Path) -> None:
    subprocess.run([transform, "-q", "-w", "-g", "cpu", source, target], check=True)


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
