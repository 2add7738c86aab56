"""Cameras and points in viser's scene."""

from collections.abc import Callable, Sequence
from functools import partial

import viser
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.types import Cameras
from video_ae.viewer.frusta import view_of_camera

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
    """The cameras `numbers` as frusta with their pictures below `/cameras`, whose handle (show, hide) is returned.

    The first one is green. clicked: called with the number of a frustum that somebody clicks.
    """
    parent = scene.add_frame("/cameras", show_axes=False)
    height, width = frames.shape[-2:]
    for number in numbers:
        view = view_of_camera(cameras, number, width / height)
        handle = scene.add_camera_frustum(
            f"/cameras/{number}",
            view.fov,
            view.aspect,
            scale=scale,
            thickness=1.5,
            thickness_units="screen",
            color=_FIRST if number == numbers[0] else _OTHERS,
            image=frames[number].permute(1, 2, 0).numpy(),
            format="jpeg",
            jpeg_quality=85,
            wxyz=view.wxyz,
            position=view.position,
            cast_shadow=False,
            receive_shadow=False,
        )
        if clicked is not None:
            handle.on_click(_without_event(partial(clicked, number)))
    return parent


def _without_event(call: Callable[[], None]) -> Callable[[object], None]:
    return lambda _: call()


def draw_points(
    scene: viser.SceneApi,
    points: Float[Tensor, "point 3"],
    colours: UInt8[Tensor, "point 3"],
    size: float,
    visible: bool = True,
) -> viser.PointCloudHandle:
    """A cloud at `/points`; size: of a point, in the scene's unit."""
    return scene.add_point_cloud(
        "/points",
        points.numpy(),
        colours.numpy(),
        point_size=size,
        point_shape="rounded",
        point_shading="flat",
        precision="float32",
        visible=visible,
    )
