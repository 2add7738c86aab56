"""The parsers of `fuzz_parsers.py`: for each, a good file to begin with and the function that reads it."""

import importlib
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BEFORE = Path(__file__).parents[1] / "tests" / "golden" / "before"
POSE = "1 0 0 0.1 0 1 0 0.2 0 0 1 0.3"
SEEDS = {
    "tum": "# time tx ty tz qx qy qz qw\n0.5 1 0 0 0 0 0 1\n1.5 0 0 0 0 0 0 1\n",
    "kitti": f"{POSE}\n{POSE}\n",
    "calibration": f"P0: {POSE}\nP2: 7 0 6 0 0 7 2 0 0 0 1 0\n",
    "realestate10k": f"https://example.org/watch\n33 0.9 1.6 0.5 0.5 0 0 {POSE}\n66 0.9 1.6 0.5 0.5 0 0 {POSE}\n",
    "opencv": "%YAML:1.0\n---\nimage_width: 64\nimage_height: 48\ncamera_matrix: !!opencv-matrix\n  rows: 3\n  cols: 3"
    "\n  dt: d\n  data: [60., 0., 32., 0., 60., 24., 0., 0., 1.]"
    "\ndistortion_coefficients:\n  data: [0.1, 0, 0, 0, 0]\n",
    "nerfstudio": '{"fl_x": 60, "w": 64, "h": 48, "k1": 0.1, "frames": [{"file_path": "images/0.png", '
    '"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}]}',
    "cameras.txt": "1 PINHOLE 64 48 60 60 32 24\n2 OPENCV 64 48 60 60 32 24 0 0 0 0\n",
    "images.txt": "1 1 0 0 0 0 0 0 1 a.png\n1 2 -1\n2 1 0 0 0 0 0 1 1 b.png\n\n",
    "rigs.txt": "1 2 CAMERA 1 CAMERA 2 1 1 0 0 0 0 0 0\n",
    "points": "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n0 1 2 3 4 5\n",
    "stamps": "1.5 a.png\n2.5 b.png\n",
    "associations": "1.5 rgb/1.5.png 1.6 depth/1.6.png\n",
}


@dataclass(frozen=True)
class Target:
    """One parser.

    Args:
        file: that is changed, below the folder that is read.
        module, function: of `video_ae`, the parser.
        call: calls the parser with the folder; by default with the file.
        start: content of the file, or the folder of `tests/golden/before` that is copied.
    """

    file: str
    module: str
    function: str
    start: str
    call: Callable[[Callable, Path], object] | None = None

    def load(self) -> Callable:
        """The parser."""
        return getattr(importlib.import_module(f"video_ae.{self.module}"), self.function)

    def write_seed(self, folder: Path) -> Path:
        """Writes good files, and returns the one that is changed.

        Args:
            folder: that exists.
        """
        path = folder / self.file
        if self.start in SEEDS:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SEEDS[self.start])
        elif self.start in WRITTEN:
            WRITTEN[self.start](folder)
        else:
            shutil.copytree(BEFORE / self.start, folder, dirs_exist_ok=True)
        return path

    def try_to_read(self, folder: Path) -> object:
        """What was read, or the sentence; whatever else is raised is a mistake.

        Args:
            folder: of `write_seed`.
        """
        from video_ae.errors import UserError

        try:
            return self.call(self.load(), folder) if self.call else self.load()(folder / self.file)
        except UserError as refusal:
            if "\n" in str(refusal):
                raise ValueError("a sentence of several lines") from refusal
            return str(refusal)


def _write_colmap(folder: Path) -> None:
    from video_ae.formats.cameras_json import read_cameras_json
    from video_ae.formats.colmap import no_points, write_colmap

    trajectory = read_cameras_json(BEFORE / "reconstruction" / "cameras.json")
    write_colmap(folder, trajectory, [f"{number}.png" for number in range(len(trajectory.indices))], no_points())
    for text in folder.glob("*.txt"):
        text.unlink()


def _write_gaussians(folder: Path) -> None:
    import torch

    from video_ae.formats.ply import GaussianCloud, write_gaussians

    one = torch.ones(2, 3)
    cloud = GaussianCloud(one, one / 2, one[:, 0] / 2, one / 9, torch.eye(3).expand(2, 3, 3))
    write_gaussians(folder / "a.ply", cloud)


def _write_rigs(folder: Path) -> None:
    sensors = struct.pack("<iI", 0, 1) + struct.pack("<iIB7d", 0, 2, 1, 1, 0, 0, 0, 0, 0, 0)
    (folder / "rigs.bin").write_bytes(struct.pack("<QII", 1, 1, 2) + sensors)


WRITTEN = {"colmap": _write_colmap, "gaussians": _write_gaussians, "rigs": _write_rigs}


def _first_clip(dataset: Callable, folder: Path) -> object:
    source = dataset(folder)
    return source.load(0, [0]) if len(source) else None


def _stamps(read: Callable, folder: Path) -> object:
    return read(folder, [folder / "a.png", folder / "b.png"])


_of_folder = lambda read, folder: read(folder)  # noqa: E731
_64x48 = lambda read, path: read(path, (64, 48))  # noqa: E731
_scene = lambda read, folder: read(folder / "scene")  # noqa: E731
TARGETS = {
    "tum": Target("t.txt", "formats.tum", "read_tum", "tum"),
    "tum_images": Target("rgb.txt", "formats.tum", "read_tum_images", "stamps"),
    "kitti": Target("t.txt", "formats.kitti", "read_kitti", "kitti"),
    "kitti_projection": Target(
        "calib.txt", "formats.kitti", "read_kitti_projection", "calibration", lambda read, f: read(f / "calib.txt", 2)
    ),
    "realestate10k": Target("t.txt", "formats.realestate10k", "read_realestate10k", "realestate10k"),
    "opencv": Target(
        "c.yaml", "formats.camera_file", "read_camera_file", "opencv", lambda read, f: _64x48(read, f / "c.yaml")
    ),
    "nerfstudio": Target("transforms.json", "formats.nerfstudio", "read_nerfstudio", "nerfstudio"),
    "nerfstudio_lens": Target(
        "transforms.json", "formats.nerfstudio", "read_nerfstudio_lens", "nerfstudio",
        lambda read, f: _64x48(read, f / "transforms.json"),
    ),
    "colmap_cameras": Target("cameras.txt", "formats.colmap", "read_colmap_cameras", "cameras.txt", _of_folder),
    "colmap_images": Target("images.txt", "formats.colmap", "read_colmap_images", "images.txt", _of_folder),
    "colmap_cameras_bin": Target("cameras.bin", "formats.colmap", "read_colmap_cameras", "colmap", _of_folder),
    "colmap_images_bin": Target("images.bin", "formats.colmap", "read_colmap_images", "colmap", _of_folder),
    "colmap_rigs": Target("rigs.txt", "formats.colmap_rigs", "read_colmap_rigs", "rigs.txt", _of_folder),
    "colmap_rigs_bin": Target("rigs.bin", "formats.colmap_rigs", "read_colmap_rigs", "rigs", _of_folder),
    "ply": Target("a.ply", "formats.ply", "read_ply", "points"),
    "gaussians": Target("a.ply", "formats.ply", "read_gaussians", "gaussians"),
    "cameras.json": Target("cameras.json", "formats.cameras_json", "read_cameras_json", "reconstruction"),
    "scene.json": Target("scene/scene.json", "formats.scene", "read_scene", "reconstruction", _scene),
    "weights": Target("weights.safetensors", "formats.weights", "read_weights", "plain"),
    "packed.json": Target("packed.json", "datasets.packed_videos", "PackedVideos", "packed", _first_clip),
    "index.json": Target("index.json", "datasets.packed_videos", "PackedVideos", "packed", _first_clip),
    "segments.npy": Target("segments.npy", "datasets.packed_videos", "PackedVideos", "packed", _first_clip),
    "shard": Target("chunk-0-0.bin", "datasets.packed_videos", "PackedVideos", "packed", _first_clip),
    "time_stamps": Target("rgb.txt", "videos.time_stamps", "time_stamps", "stamps", _stamps),
    "quicktime": Target(
        "small.mp4", "videos.focal_metadata", "focal_in_metadata", "videos",
        lambda read, f: read(f / "small.mp4", (64, 48)),
    ),
}  # fmt: skip
