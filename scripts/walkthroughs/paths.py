"""Camera paths like a hand-held walk: smooth, in all six degrees of freedom, through the free space of a map."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from walkthroughs.wad import NO_SIDE, SOLID, DoomMap

STEP = 24  # map units that a Doom player climbs
HEADROOM = 72
EYE = 41.0  # above the floor
CLEARANCE = 44.0  # from walls, in map units (1.4 m)
SHAKE_PERIODS = (6, 16)  # frames: of a hand


@dataclass(frozen=True)
class Path:
    """Wanted cameras of one clip; every array has an entry a frame.

    Args:
        eye: (frame, 3), in map units.
        yaw: degrees counter-clockwise from east.
        pitch: degrees upwards.
        roll: degrees clockwise as the image is seen by the camera (right side down).
        field_of_view: horizontal, in degrees.
    """

    eye: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    field_of_view: float

    def resampled(self, factor: float, smooth: bool = False) -> "Path":
        """The same walk in so many times as many frames.

        Args:
            factor: frames for each of those of before.
            smooth: on a curve through them (Catmull-Rom), which moves steadily within a frame, not on straight lines.
        """
        frames = len(self.yaw)
        new = np.arange(round((frames - 1) * factor) + 1) / factor
        return self._map(lambda values: _curve(values, new) if smooth else np.interp(new, np.arange(frames), values))

    def padded(self, frames: int) -> "Path":
        """With frames before the first and after the last, as if the motion went on.

        Args:
            frames: how many at each end.
        """
        return self._map(lambda values: np.pad(values, frames, mode="reflect", reflect_type="odd"))

    def shaken(self, random: np.random.Generator, degrees: float) -> "Path":
        """With the turns of a hand besides: up to two a second at 12 frames a second.

        Args:
            random: the generator.
            degrees: standard deviation of the yaw; the pitch has 0.7 and the roll 0.4 of it.
        """
        frames = len(self.yaw)
        yaw, pitch, roll = (wander(random, frames, degrees * part, SHAKE_PERIODS) for part in (1.0, 0.7, 0.4))
        return Path(self.eye, self.yaw + yaw, self.pitch + pitch, self.roll + roll, self.field_of_view)

    def _map(self, change: Callable[[np.ndarray], np.ndarray]) -> "Path":
        eye = np.stack([change(axis) for axis in self.eye.T], 1)
        return Path(eye, change(self.yaw), change(self.pitch), change(self.roll), self.field_of_view)


def _curve(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A curve through evenly spaced values, with a continuous slope, at some positions."""
    slope, left = np.gradient(values), np.clip(at.astype(int), 0, len(values) - 2)
    t, right = at - left, left + 1
    rise = (values[right] - values[left]) * t**2 * (3 - 2 * t)
    return values[left] + rise + slope[left] * t * (1 - t) ** 2 - slope[right] * t**2 * (1 - t)


class FreeSpace:
    """Where one can stand in a map: distance to walls, floor and ceiling heights.

    Args:
        doom_map: the geometry.
    """

    def __init__(self, doom_map: DoomMap) -> None:
        self.map = doom_map
        self.start = doom_map.vertices[doom_map.lines["start"]]
        self.end = doom_map.vertices[doom_map.lines["end"]]
        self.wall = self._walls()

    def _walls(self) -> np.ndarray:
        lines, sides, sectors = self.map.lines, self.map.sides, self.map.sectors
        two_sided = lines["back"] != NO_SIDE
        front = sectors[sides["sector"][lines["front"]]]
        back = sectors[sides["sector"][np.where(two_sided, lines["back"], lines["front"])]]
        step = np.abs(front["floor"].astype(int) - back["floor"])
        opening = np.minimum(front["ceiling"], back["ceiling"]) - np.maximum(front["floor"], back["floor"]).astype(int)
        return ~two_sided | (lines["flags"] & SOLID > 0) | (step > STEP) | (opening < HEADROOM)

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """Distance from each point to the nearest wall, in map units.

        Args:
            points: (number, 2), in map units.
        """
        start, along = self.start[self.wall], (self.end - self.start)[self.wall]
        offset = points[:, None] - start
        share = (offset * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-9)
        nearest = offset - np.clip(share, 0, 1)[..., None] * along
        return np.sqrt((nearest**2).sum(-1).min(-1))

    def sectors(self, points: np.ndarray) -> np.ndarray:
        """Sector number of each point, -1 outside the map: the side of the next line to the north.

        Args:
            points: (number, 2), in map units.
        """
        x = points[:, None, 0]
        crosses = (self.start[:, 0] > x) != (self.end[:, 0] > x)
        along = self.end - self.start
        slope = along[:, 1] / np.where(along[:, 0] == 0, 1, along[:, 0])
        height = self.start[:, 1] + (x - self.start[:, 0]) * slope - points[:, None, 1]
        height = np.where(crosses & (height > 0), height, np.inf)
        line = height.argmin(1)
        # Below a line that runs east its right-hand side, the front, faces the point.
        runs_east = along[line, 0] > 0
        side = np.where(runs_east, self.map.lines["front"][line], self.map.lines["back"][line])
        inside = np.isfinite(height.min(1)) & (side != NO_SIDE)
        return np.where(inside, self.map.sides["sector"][np.where(inside, side, 0)].astype(int), -1)


def wander(random: np.random.Generator, frames: int, size: float, periods: tuple[float, float]) -> np.ndarray:
    """A smooth random function of the frame number, (frames,): the sum of four sinusoids.

    Args:
        random: the generator.
        frames: how many.
        size: about the standard deviation.
        periods: of the sinusoids, from and to, in frames.
    """
    period = random.uniform(*periods, (4, 1))
    phase = random.uniform(0, 2 * np.pi, (4, 1))
    weight = random.uniform(0.4, 1.0, (4, 1))
    waves = weight * np.sin(2 * np.pi * np.arange(frames) / period + phase)
    return size * waves.sum(0) / np.sqrt((weight**2).sum() / 2)


def smooth(values: np.ndarray, width: float = 3.0) -> np.ndarray:
    """Gaussian average over frames, for stairs that a walker's eye takes gradually.

    Args:
        values: (frame,).
        width: standard deviation of the Gaussian, in frames.
    """
    reach = math.ceil(3 * width)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), taps / taps.sum(), mode="valid")


def propose_path(random: np.random.Generator, space: FreeSpace, frames: int) -> Path | None:
    """One random path, or None where it would leave the free space.

    Args:
        random: the generator.
        space: the map.
        frames: how many.
    """
    things = space.map.things
    seed_thing = things[random.integers(len(things))]
    start = np.array([seed_thing["x"], seed_thing["y"]], float) + random.uniform(-48, 48, 2)
    heading = random.uniform(0, 360) + wander(random, frames, random.uniform(8, 35), (40, 110))
    speed = random.uniform(2.0, 5.0) * (1 + wander(random, frames, 0.12, (20, 60)))
    velocity = speed[:, None] * np.stack([np.cos(np.radians(heading)), np.sin(np.radians(heading))], 1)
    ground = start + np.cumsum(velocity, 0) - velocity[:1]
    if space.clearance(ground[:: max(1, frames // 8)]).min() < CLEARANCE or space.clearance(ground).min() < CLEARANCE:
        return None
    sectors = space.sectors(ground)
    if sectors.min() < 0:
        return None
    floor = space.map.sectors["floor"][sectors].astype(float)
    ceiling = space.map.sectors["ceiling"][sectors].astype(float)
    stride = np.arange(frames) * random.uniform(0.85, 1.1) + random.uniform(0, 6)
    bob = random.uniform(0.4, 1.3) * np.sin(stride)
    height = smooth(floor) + EYE + random.uniform(2, 8) + bob + wander(random, frames, random.uniform(0.5, 4), (30, 80))
    if (height - floor).min() < 30 or (ceiling - height).min() < 20:
        return None
    looks = random.choice([0, 0, 0, 40, -40, 90, -90, 180])  # mostly ahead, else sideways or walking backwards
    yaw = (
        heading + looks + wander(random, frames, random.uniform(6, 16), (28, 70)) + wander(random, frames, 0.25, (5, 9))
    )
    pitch = random.uniform(-7, 4) + wander(random, frames, random.uniform(1.0, 3.0), (18, 50))
    pitch += wander(random, frames, 0.2, (5, 9))
    roll = random.uniform(-2, 2) + wander(random, frames, random.uniform(0.8, 2.0), (18, 50))
    path = Path(np.concatenate([ground, height[:, None]], 1), yaw, pitch, roll, float(random.uniform(55, 85)))
    return path if _lively(path) else None


def _lively(path: Path, gap: int = 5) -> bool:
    """Whether the camera turns 4 to 12 degrees per five frames as a rule, and never more than 20."""
    if len(path.yaw) <= gap:
        return True
    turn = np.hypot(path.yaw[gap:] - path.yaw[:-gap], path.pitch[gap:] - path.pitch[:-gap])
    return bool(4 <= np.median(turn) <= 12 and turn.max() < 20 and np.abs(path.pitch).max() < 13)
