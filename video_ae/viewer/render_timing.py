"""What to render next, and how large: coarse while a visitor moves, fine when the view stands still.

Nothing here knows of threads, clocks or web pages: times are given in seconds.
"""

import math
from dataclasses import dataclass, field

from video_ae.viewer.frusta import View

COARSE_SECONDS = 0.10  # that a picture may take while somebody moves
FINE_SECONDS = 0.7  # and when the view stands still: moving again waits for it
STILL_SECONDS = 0.25  # without a move, then a view counts as still
LEAST_SIDE, MOST_SIDE = 48, 432  # shorter side in pixels; codes have 144


@dataclass(frozen=True)
class Order:
    """A picture to render: whose, from where, (width, height), and whether it is the last one of this view."""

    visitor: int
    view: View
    size: tuple[int, int]
    fine: bool


@dataclass
class Pace:
    """How long a pixel takes here, learnt from the pictures that were rendered."""

    seconds_per_pixel: float = 5e-6
    _measured: bool = field(default=False, init=False)

    def took(self, size: tuple[int, int], seconds: float) -> None:
        """A picture of (width, height) took so long."""
        now = seconds / (size[0] * size[1])
        self.seconds_per_pixel = 0.5 * self.seconds_per_pixel + 0.5 * now if self._measured else now
        self._measured = True

    def size(self, aspect: float, seconds: float) -> tuple[int, int]:
        """(width, height), both even, of the largest picture that takes about so many seconds."""
        pixels = seconds / max(self.seconds_per_pixel, 1e-12)
        side = min(max(math.sqrt(pixels / max(aspect, 1 / aspect)), LEAST_SIDE), MOST_SIDE)
        width, height = (side * aspect, side) if aspect >= 1 else (side, side / aspect)
        return 2 * round(width / 2), 2 * round(height / 2)


@dataclass
class _Visitor:
    view: View
    moved: float
    drawn: int = 0  # 0 nothing of this view, 1 coarse, 2 fine


class Schedule:
    """The latest view of each visitor, and which of them gets the next picture.

    Only the latest view counts: what a moving visitor has left behind is never rendered. Coarse pictures come before
    fine ones, and whoever has waited longest comes first.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._visitors: dict[int, _Visitor] = {}

    def look(self, visitor: int, view: View, now: float) -> None:
        """A visitor has moved; a view that is the same as before changes nothing."""
        before = self._visitors.get(visitor)
        if before is None or before.view != view:
            self._visitors[visitor] = _Visitor(view, now)

    def forget(self, visitor: int) -> None:
        """A visitor has left, or wants no more pictures."""
        self._visitors.pop(visitor, None)

    def again(self, now: float) -> None:
        """What there is to see has changed: everybody needs a new picture."""
        for visitor in self._visitors.values():
            visitor.moved, visitor.drawn = now, 0

    def next(self, now: float) -> Order | None:
        """The picture to render now, marked as done; None while there is nothing to do."""
        due = [(v.drawn, v.moved, name) for name, v in self._visitors.items() if self._due(v) <= now]
        if not due:
            return None
        _, _, name = min(due)
        visitor = self._visitors[name]
        coarse, best = (self.pace.size(visitor.view.aspect, limit) for limit in (COARSE_SECONDS, FINE_SECONDS))
        fine = visitor.drawn == 1 or coarse == best
        visitor.drawn = 2 if fine else 1
        return Order(name, visitor.view, best if fine else coarse, fine)

    def wait(self, now: float) -> float | None:
        """Seconds until there is something to do; None: until somebody moves."""
        times = [self._due(v) for v in self._visitors.values()]
        soonest = min(times, default=math.inf)
        return max(0.0, soonest - now) if math.isfinite(soonest) else None

    def _due(self, visitor: _Visitor) -> float:
        return {0: visitor.moved, 1: visitor.moved + STILL_SECONDS}.get(visitor.drawn, math.inf)
