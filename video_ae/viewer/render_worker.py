"""One thread that renders for all visitors, so that the page and its controls never wait for a picture."""

import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from video_ae.viewer.frusta import View
from video_ae.viewer.pacing import Order, Schedule


class RenderWorker:
    """Renders what the schedule says and hands each picture to `deliver`.

    A picture that fails is left out with a note on standard error: the next view is a new try.
    """

    def __init__(
        self, render: Callable[[View, tuple[int, int]], np.ndarray], deliver: Callable[[Order, np.ndarray], None]
    ) -> None:
        self._render, self._deliver = render, deliver
        self._schedule = Schedule()
        self._changed = threading.Condition()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)
        self._thread.start()

    def look(self, visitor: int, view: View) -> None:
        with self._changed:
            self._schedule.look(visitor, view, time.monotonic())
            self._changed.notify()

    def forget(self, visitor: int) -> None:
        with self._changed:
            self._schedule.forget(visitor)

    def again(self) -> None:
        """The scene is another one: everybody gets a new picture."""
        with self._changed:
            self._schedule.again(time.monotonic())
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (order := self._wait()) is not None:
            started = time.monotonic()
            try:
                picture = self._render(order.view, order.size)
                with self._changed:
                    self._schedule.pace.took(order.size, time.monotonic() - started)
                self._deliver(order, picture)
            except Exception as error:
                print(f"video-ae: a view could not be rendered ({type(error).__name__}: {error})", file=sys.stderr)

    def _wait(self) -> Order | None:
        with self._changed:
            while self._running:
                order = self._schedule.next(time.monotonic())
                if order is not None:
                    return order
                self._changed.wait(self._schedule.wait(time.monotonic()))
        return None
