"""One HTML file that shows Gaussians in a browser: from disk, without a network, on a phone too.

The page holds its programs (WebGL 2, the files beside this one), the cameras as JSON and the Gaussians as a table,
compressed (gzip) and in letters (base64). 32 bytes a Gaussian, little endian:

* centre: 3 x float32;
* red, green, blue, opacity: a byte each;
* quaternion x, y, z, w: int16 each, times 32767;
* scale: a byte each, 16 (ln s + 10) as in SPZ; one byte of padding;
* from where it was seen: the mean direction of the frames' rays to it (3 x int8, times 127) and the largest angle of
  any of them to the mean (a byte, 255 is half a turn). Beyond that angle the page lets it fade.
"""

import base64
import gzip
import html
import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from video_ae.formats.atomic import write_text_atomically
from video_ae.formats.ply import GaussianCloud
from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert, quaternion_from_rotation
from video_ae.geometry.trajectories import spread_frames
from video_ae.types import Cameras

MOST_CAMERAS = 30  # that are asked what they saw
PROGRAMS = ("camera.js", "splats.js", "page.js")
_ROW = np.dtype([
    ("centre", "<f4", 3), ("rgba", "u1", 4), ("quaternion", "<i2", 4), ("scale", "u1", 4),
    ("direction", "i1", 3), ("angle", "u1"),
])  # fmt: skip


def write_splat_page(path: Path, cloud: GaussianCloud, cameras: Cameras, about: Mapping[str, object]) -> None:
    """Writes the page.

    Args:
        path: the HTML file.
        cloud: in the world of the cameras.
        cameras: one a frame; the page opens at the first and plays along them.
        about: `name` of the clip, `size` (width, height) of its frames in pixels, `rate` in frames a second, `depth` (a
            typical one of the scene), `frustum` (length of the drawn cameras), `sharpness` (width in pixels of the
            images that the Gaussians were made at).
    """
    poses = invert(cameras.world_from_camera)[:, :3, :3].flatten(1).tolist()
    values = zip(poses, cameras.centers.tolist(), cameras.intrinsics.tolist(), strict=True)
    names = ("rotation", "centre", "intrinsics")
    scene = dict(about) | {"cameras": [dict(zip(names, value, strict=True)) for value in values]}
    packed = base64.b64encode(gzip.compress(splat_table(cloud, cameras).tobytes(), 9, mtime=0)).decode()
    parts = {
        "title": html.escape(str(about["name"])),
        "last": str(len(cameras) - 1),
        "scene": json.dumps(scene, allow_nan=False).replace("<", "\\u003c"),
        "splats": packed,
        "program": "\n".join(_text(name) for name in PROGRAMS),
    }
    first, *rest = _text("page.html").split("{{")
    pieces = [part.partition("}}") for part in rest]
    write_text_atomically(path, first + "".join(parts[name] + text for name, _, text in pieces))


def splat_table(cloud: GaussianCloud, cameras: Cameras) -> np.ndarray:
    """The Gaussians as the page reads them: a structured array, one row each.

    Args:
        cloud: in the world of the cameras.
        cameras: that saw it.
    """
    cloud = cloud.to("cpu")
    table = np.zeros(len(cloud), _ROW)
    direction, angle = _seen_from(cloud.centres, cameras.to("cpu", torch.float32))
    table["centre"] = cloud.centres.numpy()
    table["rgba"] = _bytes(torch.cat([cloud.colors, cloud.opacity[:, None]], 1))
    table["quaternion"] = (quaternion_from_rotation(cloud.rotation.double()) * 32767).round().numpy()
    table["scale"][:, :3] = _bytes((cloud.scale.log() + 10) * 16 / 255)
    table["direction"] = (direction * 127).round().numpy()
    table["angle"] = _bytes(angle / math.pi)
    return table


def _seen_from(
    points: Float[Tensor, "point 3"], cameras: Cameras
) -> tuple[Float[Tensor, "point 3"], Float[Tensor, "point"]]:
    """Mean direction of the rays from the cameras whose image holds a point, and their largest angle to it.

    Of a point that is in no image (codes reach a little further than frames) all cameras count.
    """
    views = [_rays(points, cameras.select([number])) for number in spread_frames(len(cameras), MOST_CAMERAS)]
    seen = torch.stack([inside for _, inside in views]).any(0)
    views = [(rays, inside | ~seen) for rays, inside in views]
    total = torch.zeros_like(points)
    for rays, inside in views:
        total += rays * inside[:, None]
    mean = normalize(total, dim=-1)
    cosine = torch.ones(len(points), dtype=points.dtype)
    for rays, inside in views:
        cosine = torch.minimum(cosine, torch.where(inside, (rays * mean).sum(-1), 1.0))
    return mean, cosine.clamp(-1, 1).acos()


def _rays(points: Float[Tensor, "point 3"], camera: Cameras) -> tuple[Float[Tensor, "point 3"], Bool[Tensor, "point"]]:
    """Directions from a camera to points, and whether they are in its image."""
    local = transform(invert(camera.world_from_camera), points)
    uv = project(local, camera.intrinsics.expand(len(points), 4))
    inside = ((uv > 0) & (uv < 1)).all(-1) & (local[:, 2] > 0)
    return normalize(points - camera.centers, dim=-1), inside


def _bytes(values: Tensor) -> np.ndarray:
    """Bytes of values from 0 to 1."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
