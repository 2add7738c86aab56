"""Figures that walk through the image: the game's sprites, standing upright in the world and facing the camera."""

import struct

import numpy as np
import torch
from torch.nn.functional import grid_sample

from walkthroughs.engine import LevelView
from walkthroughs.paths import EYE, Path, smooth, wander
from walkthroughs.wad import Lump

SPRITES = [f"PLAY{step}3{step}7" for step in "ABCD"]  # a soldier's steps, seen as he walks to the left
STEP_TIME = 4.0  # frames at 12 frames a second for each of them
TALL = 56.0  # map units: 1.75 m
DISTANCE = 50.0  # map units in front of the camera: 1.6 m
ASIDE, BEFORE = 28.0, 7.0  # how far a figure strays from the middle, and from its distance
PERIODS = (26.0, 60.0)  # frames in which it goes and comes back


def read_sprite(lumps: list[Lump], name: str) -> np.ndarray:
    """A sprite's image, (height, width, 4): RGB and opacity, bytes.

    Args:
        lumps: of a game's WAD.
        name: of the lump.

    Columns of posts: "The Unofficial Doom Specs", M. Fell, 1994, 5-1.
    """
    named = {lump.name: lump.data for lump in lumps}
    palette, data = np.frombuffer(named["PLAYPAL"][:768], np.uint8).reshape(256, 3), named[name]
    width, height = struct.unpack_from("<HH", data)
    image = np.zeros((height, width, 4), np.uint8)
    for column, start in enumerate(struct.unpack_from(f"<{width}I", data, 8)):
        while data[start] != 255:
            top, length = data[start], data[start + 1]
            colours = np.frombuffer(data, np.uint8, length, start + 3)
            image[top : top + length, column] = np.column_stack([palette[colours], np.full(length, 255)])
            start += length + 4
    return image


class People:
    """Figures that walk in front of a camera, one behind the other.

    Args:
        lumps: of the game's WAD.
        path: of the camera, a sample a tic.
        rate: tics for each frame at 12 frames a second.
        number: of figures.
        random: the generator.
    """

    def __init__(self, lumps: list[Lump], path: Path, rate: float, number: int, random: np.random.Generator) -> None:
        self._sprites = [_texture(lumps, name) for name in SPRITES]
        self._rate = rate
        self._feet = smooth(path.eye[:, 2], 3 * rate) - EYE - 4
        ahead = np.radians(smooth(path.yaw, 5 * rate))
        self._figures = []
        for index in range(number):
            aside, before = (_stray(random, len(path.yaw), size, rate) for size in (ASIDE, BEFORE))
            before += DISTANCE * (1 + 0.35 * index)
            x = path.eye[:, 0] + before * np.cos(ahead) + aside * np.sin(ahead)
            y = path.eye[:, 1] + before * np.sin(ahead) - aside * np.cos(ahead)
            self._figures.append((x, y, np.gradient(aside) > 0))

    def paint(
        self, colours: torch.Tensor, rays: np.ndarray, view: LevelView, time: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The image with the figures in it, and how much of each pixel they hide.

        Args:
            colours: (3, height, width), of 255.
            rays: (height, width, 2) of the pixels in the level view: x right and y down at depth 1.
            view: that the image was taken from.
            time: (height,), of each row, in tics.
        """
        hidden = torch.zeros_like(colours[:1])
        for figure in reversed(self._figures):  # the nearest last
            layer = self._layer(figure, rays, view, time)
            colours = colours * (1 - layer[3:]) + layer[:3]
            hidden = hidden + (1 - hidden) * layer[3:]
        return colours, hidden

    def _layer(self, figure: tuple, rays: np.ndarray, view: LevelView, time: np.ndarray) -> torch.Tensor:
        """(4, height, width): the colours of a figure, times its opacity, and that."""
        tics = np.arange(len(self._feet))
        x, y, feet = (np.interp(time, tics, values) for values in (figure[0], figure[1], self._feet))
        middle = int(np.clip(round(float(time.mean())), 0, len(tics) - 1))
        sprite = self._sprites[int(middle / (self._rate * STEP_TIME)) % len(SPRITES)]
        to_the_right = figure[2][middle]
        yaw = np.radians(view.yaw)
        east, north = x - view.eye[0], y - view.eye[1]
        depth, right = east * np.cos(yaw) + north * np.sin(yaw), east * np.sin(yaw) - north * np.cos(yaw)
        depth = np.maximum(depth, 1.0)[:, None]
        high, wide = sprite.shape[1:]
        across = (rays[..., 0] * depth - right[:, None]) / (TALL * wide / high / 2) * (-1 if to_the_right else 1)
        down = (rays[..., 1] * depth - (view.eye[2] - feet - TALL / 2)[:, None]) / (TALL / 2)
        grid = torch.from_numpy(np.stack([across, down], -1).astype(np.float32))
        return grid_sample(sprite[None], grid[None], mode="bilinear", align_corners=False)[0]


def _stray(random: np.random.Generator, tics: int, size: float, rate: float) -> np.ndarray:
    """`wander` that is the same walk at every rate."""
    return wander(random, tics, size, (PERIODS[0] * rate, PERIODS[1] * rate))


def _texture(lumps: list[Lump], name: str) -> torch.Tensor:
    """A sprite as (4, height, width): colours of 255 times opacity, and opacity."""
    image = torch.from_numpy(read_sprite(lumps, name)).float().permute(2, 0, 1)
    opacity = image[3:] / 255
    return torch.cat([image[:3] * opacity, opacity])
