"""Cameras handed to other libraries see a point where we see it."""

import json

import numpy as np
import pytest
import torch

from video_ae.errors import UserError
from video_ae.formats.interop import to_gsplat, to_nerfstudio, to_pycolmap
from video_ae.formats.nerfstudio import read_nerfstudio
from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import se3_exp
from video_ae.types import Cameras

SIZE = (640, 360)
COUNT = 4


def cameras(shared: bool = True) -> Cameras:
    generator = torch.Generator().manual_seed(0)
    pose = se3_exp(0.3 * torch.randn(COUNT, 6, generator=generator, dtype=torch.float64))
    intrinsics = torch.tensor([0.8, 1.3, 0.48, 0.53], dtype=torch.float64).expand(COUNT, 4).clone()
    if not shared:
        intrinsics[:, 0] += 0.1 * torch.arange(COUNT)
    return Cameras(pose, intrinsics)


def in_front(given: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
    """A point of the world for each camera, and where that camera sees it, in pixels."""
    local = torch.tensor([0.4, -0.3, 2.0], dtype=torch.float64).expand(COUNT, 3)
    return transform(given.world_from_camera, local), project(local, given.intrinsics) * torch.tensor(SIZE)


def homogeneous(points: torch.Tensor) -> torch.Tensor:
    return torch.cat([points, torch.ones_like(points[:, :1])], -1)


@pytest.mark.parametrize("shared", [True, False])
def test_gsplat(shared):
    given = cameras(shared)
    points, pixels = in_front(given)
    viewmats, Ks = to_gsplat(given, *SIZE)
    assert (viewmats.dtype, Ks.dtype) == (torch.float32, torch.float32)
    seen = (Ks.double() @ (viewmats.double() @ homogeneous(points)[..., None])[:, :3]).squeeze(-1)
    torch.testing.assert_close(seen[:, :2] / seen[:, 2:], pixels, atol=1e-3, rtol=0)


@pytest.mark.parametrize("shared", [True, False])
def test_nerfstudio(shared, tmp_path):
    given = cameras(shared)
    points, pixels = in_front(given)
    content = to_nerfstudio(given, *SIZE)
    assert ("fl_x" in content) == shared
    for frame, point, pixel in zip(content["frames"], points, pixels, strict=True):
        lens = content if shared else frame
        x, y, z, _ = torch.linalg.inv(torch.tensor(frame["transform_matrix"]).double()) @ homogeneous(point[None])[0]
        u, v = lens["fl_x"] * x / -z + lens["cx"], lens["fl_y"] * -y / -z + lens["cy"]  # OpenGL: y up, z backward
        torch.testing.assert_close(torch.stack([u, v]), pixel, atol=1e-4, rtol=0)
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    poses = read_nerfstudio(tmp_path / "transforms.json").world_from_camera
    torch.testing.assert_close(poses, given.world_from_camera, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shared", [True, False])
def test_pycolmap(shared, tmp_path):
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install -e .[peers]")
    given = cameras(shared)
    points, pixels = in_front(given)
    names = [f"{number}.jpg" for number in range(COUNT)]
    to_pycolmap(given, *SIZE, names).write(str(tmp_path))
    model = pycolmap.Reconstruction(str(tmp_path))
    assert (model.num_reg_images(), model.num_cameras()) == (COUNT, 1 if shared else COUNT)
    for number in range(COUNT):
        image = model.images[number + 1]
        assert image.name == names[number]
        np.testing.assert_allclose(image.project_point(points[number].numpy()), pixels[number].numpy(), atol=1e-6)


def test_without_pycolmap_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycolmap", None)
    with pytest.raises(UserError, match="pycolmap is not installed"):
        to_pycolmap(cameras(), *SIZE, ["a"] * COUNT)
