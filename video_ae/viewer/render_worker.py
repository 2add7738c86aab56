"""One thread that renders for all clients, so that the page and its controls never wait for an image."""

import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from video_ae.viewer.render_timing import RenderRequest, RenderSchedule
from video_ae.viewer.views import View

Render = Callable[[View, tuple[int, int]], np.ndarray]
Deliver = Callable[[RenderRequest, np.ndarray], None]


class RenderWorker:
    """Renders what the schedule asks for.

    An image that fails is left out with a note on standard error: the next view is a new try.

    Args:
        render: (view, (width, height)) -> image [height, width, 3] in 0 .. 255.
        deliver: called with each request and its image.
    """

    def __init__(self, render: Render, deliver: Deliver) -> None:
        self._render, self._deliver = render, deliver
        self._schedule = RenderSchedule()
        self._changed = threading.Condition()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)
        self._thread.start()

    def set_view(self, client: int, view: View, at_rest: bool = False) -> None:
        """Asks for images of what a client looks at.

        Args:
            client: its number.
            view: what it looks at.
            at_rest: whether none is wanted before the view stands still.
        """
        with self._changed:
            self._schedule.set_view(client, view, time.monotonic(), at_rest)
            self._changed.notify()

    def remove(self, client: int) -> None:
        """Asks for no more images for a client.

        Args:
            client: its number.
        """
        with self._changed:
            self._schedule.remove(client)

    def stop(self) -> None:
        """Ends the thread after the image that it is rendering."""
        with self._changed:
            self._running = False
            self._changed.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (request := self._wait()) is not None:
            started = time.monotonic()
            try:
                image = self._render(request.view, request.size)
                with self._changed:
                    self._schedule.estimate.update(request.size, time.monotonic() - started)
                self._deliver(request, image)
            except Exception as error:
                print(f"video-ae: a view could not be rendered ({type(error).__name__}: {error})", file=sys.stderr)

    def _wait(self) -> RenderRequest | None:
        with self._changed:
            while self._running:
                request = self._schedule.next_request(time.monotonic())
                if request is not None:
                    return request
                self._changed.wait(self._schedule.seconds_to_wait(time.monotonic()))
        return None
