"""What a client of the page looks at, as this package's cameras and as viser's.

viser's cameras have OpenCV axes too: a rotation as (w, x, y, z), a position, and the *vertical* field of view in
radians. The page is rarely as wide as the video, so the aspect (width / height) of the canvas belongs to a view.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.geometry.se3 import quaternion_from_rotation, rigid, rotation_from_quaternion
from video_ae.types import Cameras

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """A camera as viser describes it.

    Args:
        wxyz: rotation of `world_from_camera`, a unit quaternion.
        position: centre of the camera in the world.
        fov: vertical field of view in radians.
        aspect: width / height of the page.
    """

    wxyz: Quaternion
    position: Vector
    fov: float
    aspect: float


def camera_of_view(view: View) -> Cameras:
    """The camera (one frame, float64) whose image fills the page.

    Args:
        view: what a client looks at.

    >>> quarter = View((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), math.pi / 2, 2.0)
    >>> camera_of_view(quarter).intrinsics[0].round(decimals=6).tolist()
    [0.25, 0.5, 0.5, 0.5]
    """
    w, x, y, z = view.wxyz
    rotation = rotation_from_quaternion(torch.tensor([[x, y, z, w]], dtype=torch.float64))
    pose = rigid(rotation, torch.tensor([view.position], dtype=torch.float64))
    fy = 0.5 / math.tan(view.fov / 2)
    return Cameras(pose, torch.tensor([[fy / view.aspect, fy, 0.5, 0.5]], dtype=torch.float64))


def view_of_camera(cameras: Cameras, frame: int, aspect: float) -> View:
    """The view from a frame's camera that shows its whole image.

    Args:
        cameras: of a clip.
        frame: position in the clip.
        aspect: width / height of the page.
    """
    pose = cameras.world_from_camera[frame].double()
    fx, fy = cameras.intrinsics[frame, :2].tolist()
    x, y, z, w = quaternion_from_rotation(pose[:3, :3]).tolist()
    fov = 2 * math.atan(max(0.5 / fy, 0.5 / fx / aspect))
    return View((w, x, y, z), _vector(pose[:3, 3]), fov, aspect)


def start_view(cameras: Cameras, depth: float) -> tuple[Vector, Vector]:
    """(position, point looked at) from which the path and what it shows are seen: behind and above the first camera.

    Up is the first camera's up, -y.

    Args:
        cameras: the path.
        depth: a typical depth of the scene.
    """
    first, middle = cameras.world_from_camera[0].double(), cameras.world_from_camera[len(cameras) // 2].double()
    back = first[:3, :3] @ torch.tensor([0.08, -0.16, -0.3], dtype=torch.float64) * depth
    ahead = middle[:3, 3] + middle[:3, 2] * depth
    return _vector(first[:3, 3] + back), _vector(ahead)


def view_towards(position: Vector, target: Vector, fov: float, aspect: float) -> View:
    """The view that has a point in its middle, with -y as up.

    Args:
        position: centre of the camera in the world.
        target: the point, not above or below it.
        fov: vertical field of view in radians.
        aspect: width / height.

    >>> view_towards((1.0, 0.0, 0.0), (1.0, 0.0, 5.0), 1.0, 2.0).wxyz
    (1.0, 0.0, 0.0, 0.0)
    """
    forward = torch.nn.functional.normalize(torch.tensor(target).double() - torch.tensor(position).double(), dim=0)
    right = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), forward)
    right = torch.nn.functional.normalize(right, dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], 1)
    x, y, z, w = quaternion_from_rotation(rotation).tolist()
    return View((w, x, y, z), position, fov, aspect)


@dataclass(frozen=True)
class CameraFollow:
    """A client whose view was set to a camera of the path. Earlier positions are still reported until it arrives.

    Args:
        position: of that camera in the world.
        arrived: whether the client has reported that position.
    """

    position: Vector
    arrived: bool = False

    def update(self, reported: Vector, scale: float) -> "CameraFollow | None":
        """The state after the client has reported its position; None once the client has moved away.

        Args:
            reported: position of the client.
            scale: length of the drawn cameras; half of it still counts as the camera's position.
        """
        if math.dist(reported, self.position) <= scale / 2:
            return CameraFollow(self.position, True)
        return None if self.arrived else self


def frame_at(start: int, seconds: float, rate: float, count: int) -> int:
    """The frame that playback shows; after the last frame comes the first.

    Args:
        start: frame at which playback started.
        seconds: time since then.
        rate: frames a second.
        count: number of frames.

    >>> frame_at(8, 0.5, 10.0, 10)
    3
    """
    return (start + math.floor(max(seconds, 0.0) * rate + 1e-6)) % count


def as_array(image: UInt8[Tensor, "3 height width"]) -> np.ndarray:
    """An image as viser takes it: [height, width, 3] in 0 .. 255.

    Args:
        image: RGB in 0 .. 255.
    """
    return np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())


def _vector(tensor: Tensor) -> Vector:
    x, y, z = tensor.tolist()
    return x, y, z
