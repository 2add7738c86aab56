"""What to render next, and how large: coarse while a client moves, fine when its view stands still.

Nothing here knows of threads, clocks or web pages: times are given in seconds.
"""

import math
from dataclasses import dataclass, field

from video_ae.viewer.views import View

COARSE_SECONDS = 0.10  # for an image while a client moves
FINE_SECONDS = 0.7  # for an image when the view stands still: moving again waits for it
STILL_SECONDS = 0.25  # without a move, after which a view counts as still
LEAST_SIDE, MOST_SIDE = 48, 432  # shorter side in pixels; codes have 144


@dataclass(frozen=True)
class RenderRequest:
    """An image to render.

    Args:
        client: number of the client that gets it.
        view: what the client looks at.
        size: (width, height) in pixels.
        fine: whether it is the last image of this view.
    """

    client: int
    view: View
    size: tuple[int, int]
    fine: bool


@dataclass
class RenderTimeEstimate:
    """The time that rendering a pixel takes on this machine, measured on the images that were rendered.

    Args:
        seconds_per_pixel: assumed until the first measurement.
    """

    seconds_per_pixel: float = 5e-6
    _measured: bool = field(default=False, init=False)

    def update(self, size: tuple[int, int], seconds: float) -> None:
        """Takes a measurement into the moving average.

        Args:
            size: (width, height) of the image that was rendered.
            seconds: that it took.
        """
        now = seconds / (size[0] * size[1])
        self.seconds_per_pixel = 0.5 * self.seconds_per_pixel + 0.5 * now if self._measured else now
        self._measured = True

    def largest_size(self, aspect: float, seconds: float) -> tuple[int, int]:
        """(width, height), both even, of the largest image that can be rendered in a given time.

        Args:
            aspect: width / height.
            seconds: that rendering may take.
        """
        pixels = seconds / max(self.seconds_per_pixel, 1e-12)
        side = min(max(math.sqrt(pixels / max(aspect, 1 / aspect)), LEAST_SIDE), MOST_SIDE)
        width, height = (side * aspect, side) if aspect >= 1 else (side, side / aspect)
        return 2 * round(width / 2), 2 * round(height / 2)


@dataclass
class _ClientState:
    view: View
    moved: float  # time
    rendered: int = 0  # 0 nothing of this view, 1 coarse (or not wanted), 2 fine


class RenderSchedule:
    """The latest view of each client, and which of them gets the next image.

    Only the latest view counts: views that a moving client has left are never rendered. Coarse images come before fine
    ones, and the client that has waited longest comes first.

    Args:
        estimate: of the time that rendering takes; by default one that has measured nothing yet.
    """

    def __init__(self, estimate: RenderTimeEstimate | None = None) -> None:
        self.estimate = estimate or RenderTimeEstimate()
        self._clients: dict[int, _ClientState] = {}

    def set_view(self, client: int, view: View, now: float, at_rest: bool = False) -> None:
        """Notes that a client has moved; a view that is the same as before changes nothing.

        Args:
            client: its number.
            view: what it looks at.
            now: time.
            at_rest: whether it wants no image before the view stands still, since it sees something else meanwhile.
        """
        before = self._clients.get(client)
        if before is None or before.view != view:
            self._clients[client] = _ClientState(view, now, rendered=int(at_rest))

    def remove(self, client: int) -> None:
        """Forgets a client that has left, wants no more images, or is about to see another scene.

        Args:
            client: its number.
        """
        self._clients.pop(client, None)

    def next_request(self, now: float) -> RenderRequest | None:
        """The image to render now, noted as rendered; None while there is nothing to do.

        Args:
            now: time.
        """
        due = [(c.rendered, c.moved, number) for number, c in self._clients.items() if self._due(c) <= now]
        if not due:
            return None
        number = min(due)[-1]
        client = self._clients[number]
        aspect = client.view.aspect
        coarse, best = (self.estimate.largest_size(aspect, limit) for limit in (COARSE_SECONDS, FINE_SECONDS))
        fine = client.rendered == 1 or coarse == best
        client.rendered = 2 if fine else 1
        return RenderRequest(number, client.view, best if fine else coarse, fine)

    def seconds_to_wait(self, now: float) -> float | None:
        """Seconds until there is something to do; None: until a client moves.

        Args:
            now: time.
        """
        times = [self._due(client) for client in self._clients.values()]
        soonest = min(times, default=math.inf)
        return max(0.0, soonest - now) if math.isfinite(soonest) else None

    def _due(self, client: _ClientState) -> float:
        return {0: client.moved, 1: client.moved + STILL_SECONDS}.get(client.rendered, math.inf)
