"""Shutters that roll: each row is read a little later than the one above, so a moving camera bends the image.

A row at the height v, from 0 to 1, is read (v - 1/2) readout times after the middle one, and shows points where their
motion has taken them in that time. How points move follows from the cameras and depths of a clip.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.geometry.pinhole import pixel_centres, sample
from video_ae.geometry.resize import resize_maps
from video_ae.geometry.se3 import invert, se3_log
from video_ae.types import CameraEstimate

_SLOWEST = 0.5  # share of a row's time that remains where points move along with the shutter


def motion_field(
    points: Float[Tensor, "*batch point 2"],
    inverse_depth: Float[Tensor, "*batch point"],
    twist: Float[Tensor, "*batch 6"],
) -> Float[Tensor, "*batch point 2"]:
    """The velocity of image points of a still scene (Longuet-Higgins and Prazdny 1980).

    Args:
        points: x / z and y / z of the viewing rays.
        inverse_depth: 1 / z.
        twist: velocity of the scene in the camera's axes: the left twist of camera_from_world, rotation first.

    Returns:
        The velocity of x / z and y / z, in the twist's unit of time.

    >>> motion_field(torch.zeros(1, 2), torch.tensor([0.5]), torch.tensor([0.0, 0.25, 0.0, 0.5, 0.0, 0.0])).tolist()
    [[0.5, 0.0]]
    """
    x, y = points.unbind(-1)
    turn_x, turn_y, turn_z, move_x, move_y, move_z = twist[..., None].unbind(-2)
    along_x = turn_y * (1 + x * x) - turn_x * x * y - turn_z * y + inverse_depth * (move_x - x * move_z)
    along_y = -turn_x * (1 + y * y) + turn_y * x * y + turn_z * x + inverse_depth * (move_y - y * move_z)
    return torch.stack([along_x, along_y], -1)


def camera_motion(camera_from_world: Float[Tensor, "frame 4 4"]) -> Float[Tensor, "order frame 6"]:
    """Velocity and acceleration of each camera of a clip, as left twists, in frame intervals.

    Differences over five frames, since a hand shakes within ten; before the first frame and after the last one the
    motion goes on.

    Args:
        camera_from_world: poses of at least two frames, in order.
    """
    first, second, *_ = poses = list(camera_from_world)
    before, after = first @ invert(second), poses[-1] @ invert(poses[-2])
    whole = torch.stack([before @ before @ first, before @ first, *poses, after @ poses[-1], after @ after @ poses[-1]])
    count, middle = len(poses), invert(camera_from_world)
    two_ago, ago, onward, two_on = (se3_log(whole[k : k + count] @ middle) for k in (0, 1, 3, 4))
    return torch.stack([(8 * (onward - ago) - (two_on - two_ago)) / 12, onward + ago])


def image_motion(camera: CameraEstimate) -> Float[Tensor, "frame order 2 rows columns"]:
    """Velocity and acceleration of what a clip shows in each of its frames, in parts of the image's width and height
    and frame intervals.

    Args:
        camera: what was found of the clip.
    """
    rows, columns = camera.inverse_depth.shape[-2:]
    focal, centre = camera.cameras.intrinsics[:, None, :2], camera.cameras.intrinsics[:, None, 2:]
    rays = (pixel_centres(rows, columns).flatten(0, 1).to(focal) - centre) / focal
    twists, inverse_depth = camera_motion(camera.cameras.camera_from_world), camera.inverse_depth.flatten(1)
    moving = torch.stack([focal * motion_field(rays, inverse_depth, twist) for twist in twists], 1)
    return moving.mT.unflatten(-1, (rows, columns))


def as_global_shutter(
    frames: Float[Tensor, "frame 3 height width"] | UInt8[Tensor, "frame 3 height width"],
    motion: Float[Tensor, "frame order 2 rows columns"],
    readout: float,
) -> Float[Tensor, "frame 3 height width"] | UInt8[Tensor, "frame 3 height width"]:
    """Frames as they would have been at the time of their middle rows.

    What was not seen at the border continues what was.

    Args:
        frames: of a shutter that rolls, floats or bytes.
        motion: of what they show, as of `image_motion`.
        readout: time from the first row to the last, in frame intervals; negative where the last row is read first.
    """
    height, width = frames.shape[-2:]
    grid, straight = pixel_centres(height, width).to(motion), torch.empty_like(frames)
    for own, frame, moving in zip(straight, frames, motion, strict=True):
        velocity, acceleration = resize_maps(moving, (width, height)).permute(0, 2, 3, 1)
        # A point that moves along the columns is shown by another row, which is read at another time.
        late = readout * (grid[..., 1:] - 0.5) / (1 - readout * velocity[..., 1:]).clamp_min(_SLOWEST)
        uv = grid + late * velocity + late.square() / 2 * acceleration
        value = sample(frame[None].to(uv), uv[None], "border")[0]
        own.copy_(value if frames.is_floating_point() else value.round())
    return straight
