"""What splat trainers get of a lens that bends: pinhole cameras, and frames in which these show where points are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_scene_model import FakeSceneModel
from PIL import Image
from wave_walk import write_walk

from video_ae.formats.colmap import colmap_poses, read_colmap_cameras, read_colmap_images
from video_ae.formats.lens import Lens
from video_ae.formats.nerfstudio import read_nerfstudio
from video_ae.geometry.se3 import invert
from video_ae.models.base import Options
from video_ae.pipelines.reconstruct import reconstruct_video
from video_ae.types import VideoClip

SIZE, COUNT, RADIUS = (160, 120), 5, 2.0
LENS = Lens(SIZE, (140, 138), (82, 58), (-0.22, 0.03), tangential=(0.002, -0.001))
POINTS = torch.tensor([(x, y, 3.0) for x in (-1.2, -0.4, 0.4, 1.2) for y in (-0.85, 0.0, 0.85)]).double()


def filmed(world_from_camera: torch.Tensor) -> np.ndarray:
    """Bright dots at the points, as the lens shows them: [height, width, 3]."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    image = np.full((SIZE[1], SIZE[0]), 20.0)
    for u, v in LENS.project(seen_from(world_from_camera)).tolist():
        image += 200 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * RADIUS**2))
    return np.repeat(image.clip(0, 255).round().astype(np.uint8)[..., None], 3, -1)


def seen_from(world_from_camera: torch.Tensor) -> torch.Tensor:
    """The points' viewing rays: x and y at z = 1."""
    pose = invert(world_from_camera[None])[0]
    seen = POINTS @ pose[:3, :3].T + pose[:3, 3]
    return seen[:, :2] / seen[:, 2:]


def dot_near(image: Path, pixel: list[float]) -> torch.Tensor:
    """The centre of brightness around a pixel."""
    grey = np.asarray(Image.open(image).convert("L")).astype(float) - 20
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] + 0.5
    weight = grey.clip(10) - 10
    weight[(x - pixel[0]) ** 2 + (y - pixel[1]) ** 2 > (3 * RADIUS) ** 2] = 0
    return torch.tensor([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("lens")
    write_walk(root, 2)  # for its weights
    black = VideoClip(torch.zeros(COUNT, 3, 12, 16), torch.arange(COUNT), torch.zeros(COUNT))
    cameras = FakeSceneModel().find_cameras(black, Options()).cameras
    (root / "frames").mkdir()
    for number, pose in enumerate(cameras.world_from_camera.double()):
        Image.fromarray(filmed(pose)).save(root / "frames" / f"{number}.png")
    lens = dict(zip(("k1", "k2"), LENS.radial, strict=True)) | dict(zip(("p1", "p2"), LENS.tangential, strict=True))
    pinhole = dict(zip(("fl_x", "fl_y", "cx", "cy"), (*LENS.focal, *LENS.centre), strict=True))
    (root / "lens.json").write_text(json.dumps({"w": SIZE[0], "h": SIZE[1], **pinhole, **lens}))
    given = {"refine": 0, "export": ("colmap", "nerfstudio"), "camera": root / "lens.json"}
    return reconstruct_video(root / "frames", root / "out", root / "weights.safetensors", **given)


def compare(images: list[Path], poses: torch.Tensor, calibrations: list[list[float]]) -> None:
    off = []
    for image, pose, (fx, fy, cx, cy) in zip(images, poses, calibrations, strict=True):
        pixels = seen_from(pose) * torch.tensor([fx, fy]) + torch.tensor([cx, cy])
        margin = torch.minimum(pixels, torch.tensor(SIZE) - pixels).amin(-1)
        off += [(dot_near(image, pixel.tolist()) - pixel).norm().item() for pixel in pixels[margin > 3 * RADIUS]]
    assert len(off) > 6 * COUNT
    assert max(off) < 0.2  # of a pixel


def test_colmap_s_cameras_show_the_points_where_its_images_do(exported):
    model = exported / "colmap" / "sparse" / "0"
    images, camera = read_colmap_images(model), read_colmap_cameras(model)[1]
    assert camera.model == "PINHOLE"
    files = [exported / "colmap" / "images" / image.name for image in images]
    compare(files, colmap_poses(images), [list(camera.parameters)] * COUNT)


def test_nerfstudio_s_cameras_show_the_points_where_its_images_do(exported):
    found = read_nerfstudio(exported / "transforms.json")
    lenses = found.lenses(SIZE)
    assert all(not any((*lens.radial, *lens.tangential)) for lens in lenses)
    files = [exported / image for image in found.images]
    compare(files, found.world_from_camera, [[*lens.focal, *lens.centre] for lens in lenses])


def test_the_frames_as_filmed_would_not_agree(exported):
    """The comparison can fail."""
    model = exported / "colmap" / "sparse" / "0"
    images, camera = read_colmap_images(model), read_colmap_cameras(model)[1]
    bent = [exported.parent / "frames" / f"{number}.png" for number in range(COUNT)]
    with pytest.raises(AssertionError):
        compare(bent, colmap_poses(images), [list(camera.parameters)] * COUNT)
