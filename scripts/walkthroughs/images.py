"""From the engine's level wide images to pitched and rolled images with square pixels, and to files."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from walkthroughs import engine
from walkthroughs.depth import cast
from walkthroughs.engine import LevelView
from walkthroughs.lenses import NO_DISTORTION, Distortion
from walkthroughs.paths import FreeSpace
from walkthroughs.paths import Path as CameraPath

UNITS_PER_METRE = 32.0
DEPTH_STEP = 0.1  # metres for each step of the depth files
DEPTH_START = 0.5


@dataclass(frozen=True)
class Lens:
    """How the image of one frame is taken.

    Args:
        pitch: degrees upwards.
        roll: degrees, right side down.
        field_of_view: horizontal, in degrees.
        distortion: of the lens.
    """

    pitch: float
    roll: float
    field_of_view: float
    distortion: Distortion = NO_DISTORTION

    @classmethod
    def of(cls, path: CameraPath, index: int) -> "Lens":
        """A lens that does not bend at one frame of a path.

        Args:
            path: the cameras of a clip.
            index: number of the frame.
        """
        return cls(float(path.pitch[index]), float(path.roll[index]), path.field_of_view)

    @property
    def focal_over_width(self) -> float:
        """Focal length divided by the image's width."""
        return self.distortion.focal_over_width(self.field_of_view)


@dataclass(frozen=True)
class Frame:
    """An image and its camera.

    Args:
        image: (height, width, 3) of bytes.
        view, lens: what it was taken from, and how, when its middle row was read.
        camera_from_world: (4, 4) of that moment; OpenCV axes, metres, world y down.
        moving: (height, width): pixels of what moves; None where nothing does.
    """

    image: np.ndarray
    view: LevelView
    lens: Lens
    camera_from_world: np.ndarray
    moving: np.ndarray | None = None


def turn_camera(pitch: float, roll: float) -> np.ndarray:
    """Rotation (3, 3) from a camera that looks up by `pitch` and leans to the right by `roll` degrees to a level one.

    Args:
        pitch: degrees upwards.
        roll: degrees, right side down.

    OpenCV axes. A camera pitched up by 90 degrees looks along -y, which is up:

    >>> turn_camera(90, 0)[:, 2].round(6).tolist()
    [0.0, -1.0, 0.0]

    One that leans to the right by 90 degrees has its right side down:

    >>> turn_camera(0, 90)[:, 0].round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    p, r = np.radians([pitch, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_x @ about_z


def level_pose(eye: np.ndarray, yaw: float) -> np.ndarray:
    """`world_from_camera` (4, 4) of a level camera; world axes: x east, y down, z north, in metres.

    Args:
        eye: (3,), in map units, z up.
        yaw: degrees counter-clockwise from east.

    >>> level_pose(np.array([32.0, 64.0, 96.0]), 90.0)[:3].round(6).tolist()
    [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, -3.0], [-0.0, 0.0, 1.0, 2.0]]
    """
    a = np.radians(yaw)
    pose = np.eye(4)
    pose[:3, 0] = np.sin(a), 0, -np.cos(a)
    pose[:3, 2] = np.cos(a), 0, np.sin(a)
    pose[:3, 3] = np.array([eye[0], -eye[2], eye[1]]) / UNITS_PER_METRE
    return pose


def level_grid(rays: np.ndarray) -> np.ndarray | None:
    """Where the engine's image shows rays, from -1 to 1 (`grid_sample`); None where it does not cover them.

    Args:
        rays: (height, width, 2): x right and y down at depth 1 of the level camera.
    """
    # Half the image is the edge; grid_sample counts it as 1.
    grid = (rays * [engine.FOCAL_X / (engine.WIDTH / 2), engine.FOCAL_Y / (engine.HEIGHT / 2)]).astype(np.float32)
    return None if np.abs(grid).max() > 1 else grid


def camera_pose(view: LevelView, lens: Lens) -> np.ndarray:
    """`camera_from_world` (4, 4) of the camera that a lens turns.

    Args:
        view: the engine's image.
        lens: what is taken of it.
    """
    world_from_camera = level_pose(view.eye, view.yaw)
    world_from_camera[:3, :3] @= turn_camera(lens.pitch, lens.roll)
    return np.linalg.inv(world_from_camera)


def depth_map(space: FreeSpace, eye: np.ndarray, yaw: float, lens: Lens, width: int, height: int) -> np.ndarray:
    """Depth (height, width) in metres along the rotated camera's axis; infinite for the sky.

    Args:
        space: the map.
        eye: (3,), in map units.
        yaw: degrees counter-clockwise from east.
        lens: rotation and field of view.
        width, height: of the depth map, in pixels.
    """
    rays = pixel_rays(lens, width, height, 1)
    assert rays is not None, f"the lens {lens} does not fill the image"
    rays = rays @ turn_camera(lens.pitch, lens.roll).T
    return cast(space, eye, yaw, rays[..., :2] / rays[..., 2:]) / rays[..., 2] / UNITS_PER_METRE


def pixel_rays(lens: Lens, width: int, height: int, samples: int) -> np.ndarray | None:
    """Rays of pixels in the camera's own axes, (height, width, 3) with depth 1; None where the lens shows none.

    Args:
        lens: its field of view and distortion count.
        width, height: of the image, in pixels.
        samples: for each pixel along each axis.
    """
    focal = lens.focal_over_width
    u = ((np.arange(width * samples) + 0.5) / samples - width / 2) / (focal * width)
    v = ((np.arange(height * samples) + 0.5) / samples - height / 2) / (focal * width)
    rays = np.stack([*np.meshgrid(u, v), np.ones((len(v), len(u)))], -1)
    if lens.distortion != NO_DISTORTION:
        radius = np.hypot(rays[..., 0], rays[..., 1])
        tangent = lens.distortion.straighten(radius)
        if tangent is None:
            return None
        rays[..., :2] *= (tangent / np.maximum(radius, 1e-9))[..., None]
    return rays


def write_video(file: Path, images: list[np.ndarray], rate: int, quality: int) -> None:
    """Writes H.264 with a closed group of 12 images, so that every decoder seeks to the same frame.

    Args:
        file: `.mp4`.
        images: (height, width, 3) of bytes each.
        rate: frames a second.
        quality: x264's constant rate factor.
    """
    height, width, _ = images[0].shape
    # With x264's macroblock tree the bytes differ from run to run.
    groups = "keyint=12:min-keyint=12:scenecut=0:open-gop=0:threads=1:mbtree=0"
    options = {"crf": str(quality), "preset": "veryslow", "x264-params": groups}
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def write_cameras(file: Path, source: str, frames: list[Frame], rate: int) -> None:
    """Writes RealEstate10K's text: `timestamp_us fx fy cx cy 0 0` and the 3x4 camera-from-world matrix by rows.

    Args:
        file: `.txt`.
        source: the first line.
        frames: of one clip.
        rate: frames a second.
    """
    height, width, _ = frames[0].image.shape
    lines = [source]
    for index, frame in enumerate(frames):
        focal = frame.lens.focal_over_width
        numbers = [focal, focal * width / height, 0.5, 0.5, 0, 0, *frame.camera_from_world[:3].ravel()]
        lines.append(" ".join([str(round(index * 1e6 / rate)), *(f"{number:.9f}" for number in numbers)]))
    file.write_text("\n".join(lines) + "\n")


def write_masks(file: Path, frames: list[Frame]) -> None:
    """Writes `moving` (frame, height, width / 8) of bytes, eight pixels each (`np.packbits`): 1 is what moves.

    Args:
        file: `.npz`.
        frames: of one clip, with what moves.
    """
    np.savez_compressed(file, moving=np.packbits(np.stack([frame.moving for frame in frames]), axis=-1))


def write_depth(file: Path, space: FreeSpace, frames: list[Frame]) -> None:
    """Writes `buffer` (frame, height / 2, width / 2) of bytes: metres = scale * buffer + offset; 255: farther or sky.

    Args:
        file: `.npz`.
        space: the map.
        frames: of one clip.
    """
    height, width, _ = frames[0].image.shape
    depth = [depth_map(space, f.view.eye, f.view.yaw, f.lens, width // 2, height // 2) for f in frames]
    steps = np.clip(np.round((np.stack(depth) - DEPTH_START) / DEPTH_STEP), 0, 255).astype(np.uint8)
    np.savez_compressed(file, buffer=steps, scale=np.float32(DEPTH_STEP), offset=np.float32(DEPTH_START))


def write_sheet(file: Path, images: list[np.ndarray], shown: int = 12) -> None:
    """Writes a contact sheet of evenly spread frames, four a row.

    Args:
        file: `.png`.
        images: of one clip, (height, width, 3) of bytes each.
        shown: how many of them; a multiple of four.
    """
    chosen = [images[i] for i in np.linspace(0, len(images) - 1, shown).round().astype(int)]
    rows = [np.concatenate(chosen[i : i + 4], 1) for i in range(0, shown, 4)]
    Image.fromarray(np.concatenate(rows, 0)).save(file)
