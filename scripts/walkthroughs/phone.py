"""A phone as the camera: its lens, its rolling shutter, motion blur, zoom, exposure and noise, and people before it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, grid_sample
from vizdoom import DoomGame

from walkthroughs import engine, images
from walkthroughs.engine import LevelView
from walkthroughs.lenses import NO_DISTORTION, Distortion
from walkthroughs.paths import Path
from walkthroughs.people import People

SAMPLES = 3  # per pixel along each axis: the engine's own images have sharp stairs at edges
BRIGHTEN = 0.75  # exponent: the game is dark
MOMENTS = 24  # views of the engine from one frame to the next
EXPOSURES = 7  # images whose mean is a blurred one
LIGHT = 2.2  # exponent from a byte to light
STEADY = (8, 16)  # frames from one step of the exposure to the next
Colours = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Phone:
    """What a phone does to the images of a walk. By default nothing.

    Args:
        distortion: of the lens.
        field_of_view: horizontal, in degrees; None takes the path's.
        readout: time from the first row's exposure to the last row's over the time from frame to frame; -1 to 1,
            negative from the last row to the first. Poses are those of the middle row.
        blur: time of exposure over the time from frame to frame, 0 to 1.
        zoom: focal length of the last frame over that of the first; it begins and ends gently.
        exposure: stops by which the brightness steps up or down, with colour and contrast along.
        noise: standard deviation, of 255 grey levels.
        people: number of figures that walk in front of the camera.
        shake: standard deviation of the turns of a hand, in degrees (`Path.shaken`).
        steady: True with all of these: the path is a curve, and its height does not tremble from frame to frame. Alone
            it makes the walk without effects to compare with.
    """

    distortion: Distortion = NO_DISTORTION
    field_of_view: float | None = None
    readout: float = 0.0
    blur: float = 0.0
    zoom: float = 1.0
    exposure: float = 0.0
    noise: float = 0.0
    people: int = 0
    shake: float = 0.0
    steady: bool = False

    @property
    def reach(self) -> int:
        """Views before and after the one of a frame's middle row that its other rows may need."""
        return math.ceil(MOMENTS * (abs(self.readout) + self.blur) / 2)


@dataclass(frozen=True)
class Walk:
    """A path through a map whose frames are filmed.

    Args:
        session: a game in the path's map.
        path: one sample a tic, `phone.reach` of them before the first frame and after the last.
        every: tics from one frame to the next.
    """

    session: DoomGame
    path: Path
    every: int


def film(
    walk: Walk, phone: Phone, size: tuple[int, int], people: People | None = None
) -> Iterator[images.Frame | None]:
    """The frames along a path before noise and exposure; None for one that the engine's images do not cover.

    Args:
        walk: the path.
        phone: how it is filmed.
        size: width and height in pixels.
        people: that walk in front of the camera.
    """
    views: dict[int, LevelView] = {}
    last, reach = len(walk.path.yaw) - 1 - phone.reach, phone.reach
    for tic, view in enumerate(engine.fly(walk.session, walk.path, phone.steady)):
        views[tic] = view
        views.pop(tic - 2 * reach - 1, None)
        middle = tic - reach
        if middle >= reach and (middle - reach) % walk.every == 0:
            share = (middle - reach) / max(1, last - reach)
            yield _take(walk.path, views, middle, phone, share, size, people)


def _take(
    path: Path, views: dict[int, LevelView], middle: int, phone: Phone, share: float, size: tuple[int, int],
    people: People | None,
) -> images.Frame | None:  # fmt: skip
    """The frame whose middle row was exposed at a tic, a share of the clip after its beginning."""
    zoomed = phone.zoom ** (share**2 * (3 - 2 * share))
    focal = zoomed * NO_DISTORTION.focal_over_width(phone.field_of_view or path.field_of_view)
    field_of_view = 2 * math.degrees(math.atan(0.5 / focal))
    lens = images.Lens(float(path.pitch[middle]), float(path.roll[middle]), field_of_view, phone.distortion)
    rays = images.pixel_rays(lens, *size, SAMPLES)
    if rays is None:
        return None
    row = (np.arange(len(rays)) + 0.5) / len(rays) - 0.5
    offsets = phone.blur * ((np.arange(EXPOSURES) + 0.5) / EXPOSURES - 0.5) if phone.blur else [0.0]
    taken = [
        _expose(path, views, middle, rays, middle + MOMENTS * (phone.readout * row + offset), people)
        for offset in offsets
    ]
    seen = [one for one in taken if one is not None]
    if len(seen) < len(taken):
        return None
    colours, hidden = (avg_pool2d(torch.stack(parts).mean(0), SAMPLES) for parts in zip(*seen, strict=True))
    image = (255 * (colours.permute(1, 2, 0) / 255) ** BRIGHTEN).round().byte().numpy()
    moving = (hidden[0] > 0.5).numpy() if people else None
    return images.Frame(image, views[middle], lens, images.camera_pose(views[middle], lens), moving)


def _expose(
    path: Path, views: dict[int, LevelView], middle: int, rays: np.ndarray, time: np.ndarray, people: People | None
) -> Colours | None:
    """Colours (3, height, width), and how much of each pixel is a figure's (1, height, width).

    A row is taken from the view nearest in time, turned to exactly the row's own time.
    """
    nearest, tics = np.round(time).astype(int), np.arange(len(path.yaw))
    yaw, pitch, roll = (np.interp(time, tics, values) for values in (path.yaw, path.pitch, path.roll))
    bands = []
    for tic in sorted(set(nearest), key=lambda tic: np.flatnonzero(nearest == tic)[0]):
        rows = np.flatnonzero(nearest == tic)
        left = views[middle].yaw + yaw[rows] - path.yaw[middle] - views[tic].yaw
        level = _turned(rays[rows], left, pitch[rows], roll[rows])
        grid = images.level_grid(level)
        if grid is None:
            return None
        view = torch.from_numpy(views[tic].colours).permute(2, 0, 1)[None].float()
        colours = grid_sample(view, torch.from_numpy(grid)[None], mode="bilinear", align_corners=False)[0]
        hidden = torch.zeros_like(colours[:1])
        bands.append(people.paint(colours, level, views[tic], time[rows]) if people else (colours, hidden))
    return tuple(torch.cat(parts, 1) for parts in zip(*bands, strict=True))  # type: ignore[return-value]


def _turned(rays: np.ndarray, left: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Rays of rows (row, column, 3), each row of a camera turned by its own angles, at depth 1 of the level view."""
    same = len({*zip(left, pitch, roll, strict=True)}) == 1
    turns = np.stack([images.turn_camera(p, r) for p, r in zip(pitch, roll, strict=True)][: 1 if same else None])
    a = np.radians(left[: len(turns)])
    zero, one = np.zeros_like(a), np.ones_like(a)
    about_y = np.stack([np.cos(a), zero, -np.sin(a), zero, one, zero, np.sin(a), zero, np.cos(a)], -1)
    level = rays @ (about_y.reshape(-1, 3, 3) @ turns).swapaxes(1, 2)
    return level[..., :2] / level[..., 2:]


def develop(frames: list[images.Frame], phone: Phone, random: np.random.Generator) -> list[np.ndarray]:
    """The images as the phone writes them: exposed in steps, and noisy.

    Args:
        frames: of a clip.
        phone: its exposure and noise.
        random: the generator.
    """
    steps = np.cumsum(random.integers(*STEADY, len(frames)))
    levels = random.uniform(-1, 1, (len(frames) + 1, 4)) * phone.exposure
    developed = []
    for number, frame in enumerate(frames):
        stops, *colours = levels[np.searchsorted(steps, number, side="right")]
        gain = 2 ** (stops + 0.2 * np.array(colours))
        light = (frame.image / 255) ** LIGHT * gain
        image = 255 * np.minimum(light, 1) ** ((1 - 0.1 * stops) / LIGHT)
        image = image + phone.noise * random.standard_normal(image.shape)
        developed.append(np.clip(image.round(), 0, 255).astype(np.uint8))
    return developed
