"""Cameras and points in viser's scene."""

from collections.abc import Callable, Sequence
from functools import partial

import viser
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.types import Cameras
from video_ae.viewer.views import as_array, view_of_camera

_FIRST, _OTHERS = (27, 138, 58), (23, 105, 170)
POINT_SIZE = 0.004  # of the typical depth


def draw_cameras(
    scene: viser.SceneApi,
    cameras: Cameras,
    frames: UInt8[Tensor, "frame 3 height width"],
    numbers: Sequence[int],
    scale: float,
    clicked: Callable[[int], None] | None = None,
) -> viser.FrameHandle:
    """Draws cameras as frusta with their frames in them; the first one is green.

    Args:
        scene: of a page or of one of its clients.
        cameras: of all frames of a clip.
        frames: all frames of the clip, RGB in 0 .. 255.
        numbers: positions in the clip of the cameras to draw.
        scale: length of a frustum, in the cameras' scale.
        clicked: called with the position of a camera whose frustum was clicked.

    Returns:
        The handle of `/cameras`, which shows or hides all of them.
    """
    parent = scene.add_frame("/cameras", show_axes=False)
    height, width = frames.shape[-2:]
    for number in numbers:
        view = view_of_camera(cameras, number, width / height)
        handle = scene.add_camera_frustum(
            f"/cameras/{number}", view.fov, view.aspect, scale=scale, wxyz=view.wxyz, position=view.position,
            color=_FIRST if number == numbers[0] else _OTHERS, thickness=1.5, thickness_units="screen",
            image=as_array(frames[number]), format="jpeg", jpeg_quality=85, cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        if clicked is not None:
            handle.on_click(partial(_call, clicked, number))
    return parent


def _call(clicked: Callable[[int], None], number: int, event: object) -> None:
    clicked(number)


def draw_points(
    scene: viser.SceneApi,
    points: Float[Tensor, "point 3"],
    colours: UInt8[Tensor, "point 3"],
    size: float,
    visible: bool = True,
) -> viser.PointCloudHandle:
    """Draws a point cloud at `/points`.

    Args:
        scene: of a page or of one of its clients.
        points: in the world.
        colours: RGB in 0 .. 255.
        size: of a point, in the cameras' scale.
        visible: whether it is shown.

    Returns:
        Its handle.
    """
    return scene.add_point_cloud(
        "/points", points.numpy(), colours.numpy(), point_size=size, visible=visible, point_shape="rounded",
        point_shading="flat", precision="float32",
    )  # fmt: skip
