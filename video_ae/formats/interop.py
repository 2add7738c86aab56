"""Cameras for other libraries, without files: pycolmap, gsplat, nerfstudio.

All of these count pixels as we do, (0.5, 0.5) at the centre of the top-left one. COLMAP and gsplat have OpenCV's axes
(x right, y down, z forward) and store camera_from_world; nerfstudio has OpenGL's (y up, z backward) and stores
world_from_camera.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from video_ae.errors import unreadable_as
from video_ae.types import Cameras

OPENCV_FROM_OPENGL = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)  # factors of a pose's columns, both ways


def to_gsplat(
    cameras: Cameras, width: int, height: int
) -> tuple[Float32[Tensor, "frame 4 4"], Float32[Tensor, "frame 3 3"]]:
    """What `gsplat.rasterization` calls `viewmats` and `Ks`.

    Args:
        cameras: without batch axis.
        width, height: of the images, in pixels.
    """
    return cameras.camera_from_world.float(), cameras.K(width, height).float()


def to_pycolmap(cameras: Cameras, width: int, height: int, names: Sequence[str]) -> Any:
    """A `pycolmap.Reconstruction` (3.12 or newer) of posed images without points.

    Image and camera numbers count from 1; images share one PINHOLE camera where their intrinsics are the same.

    Args:
        cameras: without batch axis.
        width, height: of the images, in pixels.
        names: of the image files, one a camera.

    Raises:
        UserError: pycolmap is not installed.
    """
    with unreadable_as("pycolmap is not installed: pip install 'video-ae[peers]'.", None, ImportError):
        import pycolmap
    model = pycolmap.Reconstruction()
    shared = cameras.share_intrinsics
    poses = cameras.camera_from_world.double().cpu()[:, :3].numpy()
    for number, (name, pose, values) in enumerate(zip(names, poses, _pixels(cameras, width, height), strict=True), 1):
        lens = 1 if shared else number
        if lens == number:
            camera = pycolmap.Camera(model="PINHOLE", width=width, height=height, params=values, camera_id=lens)
            model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=name, camera_id=lens, image_id=number)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    return model


def to_nerfstudio(cameras: Cameras, width: int, height: int, names: Sequence[str] | None = None) -> dict[str, Any]:
    """What nerfstudio's `transforms.json` holds, as plain values.

    Args:
        cameras: without batch axis.
        width, height: of the images, in pixels.
        names: the images' files, one a camera; by default images/000000.jpg and so on.
    """
    files = names or [f"images/{number:06d}.jpg" for number in range(len(cameras))]
    poses = (cameras.world_from_camera.double().cpu() * OPENCV_FROM_OPENGL).tolist()
    lenses = [{"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy} for fx, fy, cx, cy in _pixels(cameras, width, height)]
    shared = cameras.share_intrinsics
    frames = [
        {"file_path": file, "transform_matrix": pose, **({} if shared else lens)}
        for file, pose, lens in zip(files, poses, lenses, strict=True)
    ]
    return {"camera_model": "OPENCV", "w": width, "h": height, **(lenses[0] if shared else {}), "frames": frames}


def _pixels(cameras: Cameras, width: int, height: int) -> list[list[float]]:
    """fx, fy, cx, cy in pixels."""
    return (cameras.intrinsics.double().cpu() * torch.tensor([width, height, width, height])).tolist()
