"""`video-ae view`: serves a reconstruction until somebody stops it."""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import viser

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.viewer.contents import load_contents, mark_of
from video_ae.viewer.frusta import View, start_view
from video_ae.viewer.layout import LOOPBACK, close_page, open_page, welcome
from video_ae.viewer.pacing import Order
from video_ae.viewer.visit import Visit
from video_ae.viewer.worker import RenderWorker

DEFAULT_PORT = 8080
TICK_SECONDS = 1 / 30  # of playback
LOOK_SECONDS = 1.0  # between two looks at whether the folder was replaced


class Viewer:
    """A page that shows what `reconstruct_video` wrote into `directory`, to any number of visitors.

    It serves as soon as it exists, and until `close`. When the folder is replaced by a new reconstruction, the page
    shows that one; while it cannot be read, the page keeps the old one. port 0 takes a free one. Raises UserError for a
    folder that holds no reconstruction, a host that is none of this machine's, and a port that is in use.
    """

    def __init__(self, directory: Path, host: str = LOOPBACK, port: int = DEFAULT_PORT, device: str = "auto") -> None:
        self._directory, self._device = Path(directory), choose_device(device)
        self._mark = mark_of(self._directory)
        self._contents = load_contents(self._directory, self._device)
        self._visits: dict[int, Visit] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._page = open_page(host, port, self._contents.name)
        self.host, self.port = host, self._page.get_port()
        self._worker = RenderWorker(self._render, self._deliver)
        self._set_start()
        self._page.on_client_disconnect(self._leave)
        self._page.on_client_connect(self._enter)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._play, self._watch)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self._worker.stop()
        close_page(self._page)

    def reload(self) -> bool:
        """Looks at the folder once; True if a new reconstruction is shown."""
        mark = mark_of(self._directory)
        if mark is None or mark == self._mark:
            return False
        self._mark = mark
        try:
            contents = load_contents(self._directory, self._device)
        except (UserError, OSError) as error:
            print(f"video-ae: the new reconstruction is not shown: {error}", file=sys.stderr)
            return False
        self._contents = contents
        self._set_start()
        with self._lock:
            visits = list(self._visits.values())
        for visit in visits:
            visit.show(contents)
            visit.say("New reconstruction", f"{len(contents)} frames were read.")
        self._worker.again()
        return True

    def _set_start(self) -> None:
        position, ahead = start_view(self._contents.track.cameras, self._contents.depth)
        camera = self._page.initial_camera
        camera.position, camera.look_at, camera.up = position, ahead, (0.0, -1.0, 0.0)  # type: ignore[assignment]

    def _enter(self, client: viser.ClientHandle) -> None:
        visit = Visit(client, self._directory, self._worker)
        with self._lock:
            self._visits[client.client_id] = visit
        visit.begin(self._contents)  # read after this visit stands in the list that `reload` goes through

    def _leave(self, client: viser.ClientHandle) -> None:
        self._worker.forget(client.client_id)
        with self._lock:
            self._visits.pop(client.client_id, None)

    def _render(self, view: View, size: tuple[int, int]) -> np.ndarray:
        return self._contents.render(view, size)

    def _deliver(self, order: Order, picture: np.ndarray) -> None:
        with self._lock:
            visit = self._visits.get(order.visitor)
        if visit is not None:
            visit.draw(picture)

    def _play(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            with self._lock:
                visits = list(self._visits.values())
            for visit in visits:
                visit.tick(time.monotonic())

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.reload()


def view_reconstruction(directory: Path, host: str = LOOPBACK, port: int = DEFAULT_PORT, device: str = "auto") -> None:
    """Serves until Ctrl-C. Raises UserError as `Viewer` does."""
    viewer = Viewer(directory, host, port, device)
    print(welcome(host, viewer.port, f"{directory} is shown"), flush=True)
    try:
        while True:
            time.sleep(3600)
    finally:
        viewer.close()
