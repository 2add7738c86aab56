"""Headers that promise more than there is, and nesting without end: one sentence at once, and no memory."""

import io
import json
import resource
import shutil
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from video_ae.datasets.packed_videos import PackedVideos
from video_ae.errors import UserError
from video_ae.evaluation.true_depth import load_true_depth
from video_ae.evaluation.true_masks import load_true_masks
from video_ae.formats.camera_file import read_camera_file
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.depth_maps import read_depth
from video_ae.formats.nerfstudio import read_nerfstudio
from video_ae.formats.ply import read_gaussians, read_ply
from video_ae.formats.scene import read_scene
from video_ae.formats.weights import read_weights

MANY = 10**12


def array_header() -> bytes:
    """A .npy file of so many numbers, of which it holds none."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (MANY,)})
    return buffer.getvalue()


def archive(path: Path, *names: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(f"{name}.npy", array_header())


def bomb(path: Path, *names: str) -> None:
    """An archive of a megabyte that unfolds to 300 of zeros."""
    path.parent.mkdir(exist_ok=True)
    head, block = array_header(), bytes(1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name in names:
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                entry.write(head)
                for _ in range(300 // len(names)):
                    entry.write(block)


def nested_scene(folder: Path) -> None:
    (folder / "scene.json").write_text(NESTED)
    (folder / "scene.safetensors").write_bytes(b"")


def many_weights(folder: Path) -> None:
    header = f'{{"a": {{"dtype": "F32", "shape": [{MANY}], "data_offsets": [0, {4 * MANY}]}}}}'.encode()
    (folder / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


def long_header(folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(struct.pack("<Q", MANY) + b"{}")


def many_points(folder: Path) -> None:
    columns = "".join(f"property float {name}\n" for name in "xyz")
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {MANY}\n{columns}end_header\n"
    (folder / "a.ply").write_text(head)


def climbing_shard(folder: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "golden" / "before" / "packed", folder, dirs_exist_ok=True)
    index = json.loads((folder / "index.json").read_text())
    index["chunks"][0]["filename"] = "../../elsewhere.bin"
    (folder / "index.json").write_text(json.dumps(index))


def damaged_metadata(folder: Path) -> None:
    save_file({"a": torch.zeros(1)}, folder / "w.safetensors", {"video_ae_model": NESTED[:-1]})


def camera_nowhere(folder: Path) -> None:
    text = (Path(__file__).parents[1] / "golden" / "before" / "reconstruction" / "cameras.json").read_text()
    (folder / "c.json").write_text(text.replace("0.0", "NaN"))


def depth_folder(folder: Path) -> None:
    archive(folder / "depth.npz", "depth", "frames")
    (folder / "depth.json").write_text("{}")


NESTED = "[" * 10**5 + "]" * 10**5
CASES: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "cameras.json": (lambda f: (f / "c.json").write_text(NESTED), lambda f: read_cameras_json(f / "c.json")),
    "NaN": (camera_nowhere, lambda f: read_cameras_json(f / "c.json")),
    "transforms.json": (lambda f: (f / "t.json").write_text(NESTED), lambda f: read_nerfstudio(f / "t.json")),
    "camera.yaml": (lambda f: (f / "c.yaml").write_text(NESTED), lambda f: read_camera_file(f / "c.yaml", (64, 48))),
    "tag": (
        lambda f: (f / "c.yaml").write_text("!!python/tuple [1, 2]"),
        lambda f: read_camera_file(f / "c.yaml", (64, 48)),
    ),
    "scene": (nested_scene, read_scene),
    "weights": (many_weights, lambda f: read_weights(f / "w.safetensors")),
    "metadata": (damaged_metadata, lambda f: read_weights(f / "w.safetensors")),
    "shard": (climbing_shard, lambda f: PackedVideos(f).load(0, [0])),
    "header": (long_header, lambda f: read_weights(f / "w.safetensors")),
    "points": (many_points, lambda f: read_ply(f / "a.ply")),
    "gaussians": (many_points, lambda f: read_gaussians(f / "a.ply")),
    "depth": (depth_folder, read_depth),
    "depth that unfolds": (lambda f: bomb(f / "depth.npz", "depth", "index"), read_depth),
    "masks that unfold": (lambda f: bomb(f / "masks" / "a.npz", "moving"), lambda f: load_true_masks(f, "a")),
    "true depth": (
        lambda f: archive(f / "depth" / "a.npz", "buffer", "scale", "offset"),
        lambda f: load_true_depth(f, "a"),
    ),
    "true masks": (lambda f: archive(f / "masks" / "a.npz", "moving"), lambda f: load_true_masks(f, "a")),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_in_one_sentence_at_once(tmp_path: Path, name: str) -> None:
    write, read = CASES[name]
    write(tmp_path)
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as raised:
        read(tmp_path)
    assert "\n" not in str(raised.value)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
