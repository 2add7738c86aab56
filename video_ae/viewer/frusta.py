"""Where a visitor of the page stands, as this project's cameras and as viser's.

viser's cameras have OpenCV axes too: a rotation as (w, x, y, z), a position, and the *vertical* field of view in
radians. The page is rarely as wide as the video, so the aspect (width / height) of the canvas belongs to a view.
"""

import math
from dataclasses import dataclass

import torch

from video_ae.geometry.se3 import quaternion_from_rotation, rigid, rotation_from_quaternion
from video_ae.types import Cameras

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """A look into the world: wxyz and position as `world_from_camera`, fov vertical in radians, aspect of the page."""

    wxyz: Quaternion
    position: Vector
    fov: float
    aspect: float


def camera_of_view(view: View) -> Cameras:
    """One camera (no batch axis, float64) whose picture fills the page.

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
    """The view from a frame's camera that shows all of its picture on a page of this aspect."""
    pose = cameras.world_from_camera[frame].double()
    fx, fy = cameras.intrinsics[frame, :2].tolist()
    x, y, z, w = quaternion_from_rotation(pose[:3, :3]).tolist()
    fov = 2 * math.atan(max(0.5 / fy, 0.5 / fx / aspect))
    px, py, pz = pose[:3, 3].tolist()
    return View((w, x, y, z), (px, py, pz), fov, aspect)


def start_view(cameras: Cameras, depth: float) -> tuple[Vector, Vector]:
    """(position, point looked at) from which the path and what it shows are seen: behind and above the first camera.

    depth: a typical depth of the scene. Up is the first camera's up, -y.
    """
    first, middle = cameras.world_from_camera[0].double(), cameras.world_from_camera[len(cameras) // 2].double()
    back = first[:3, :3] @ torch.tensor([0.08, -0.16, -0.3], dtype=torch.float64) * depth
    ahead = middle[:3, 3] + middle[:3, 2] * depth
    return _vector(first[:3, 3] + back), _vector(ahead)


def frustum_scale(cameras: Cameras, depth: float) -> float:
    """How long the drawn cameras are: small beside the scene, and beside the path where there is one."""
    centres = cameras.world_from_camera[:, :3, 3]
    extent = (centres - centres[:1]).norm(dim=-1).max().item()
    return min(max(0.25 * extent, 0.04 * depth), 0.07 * depth)


@dataclass(frozen=True)
class Ride:
    """A visitor who was put at a camera of the path (`place`). Old positions still come in until they `arrived`."""

    place: Vector
    arrived: bool = False

    def seen_at(self, position: Vector, scale: float) -> "Ride | None":
        """The ride after the page has reported a position; None when the visitor has moved away on their own."""
        if math.dist(position, self.place) <= scale / 2:
            return Ride(self.place, True)
        return None if self.arrived else self


def frame_at(start: int, seconds: float, rate: float, count: int) -> int:
    """Which frame playback shows so many seconds after it started at `start`; after the last comes the first.

    >>> frame_at(8, 0.5, 10.0, 10)
    3
    """
    return (start + math.floor(max(seconds, 0.0) * rate + 1e-6)) % count


def spread(count: int, most: int) -> list[int]:
    """Numbers of at most `most` of `count` frames, evenly spread, the first and last among them."""
    chosen = torch.linspace(0, count - 1, min(count, most)).round().long().tolist()
    return sorted(set(chosen))


def _vector(tensor: torch.Tensor) -> Vector:
    x, y, z = tensor.tolist()
    return x, y, z
