"""`video-ae view`: serves a reconstruction until somebody stops it."""

import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import viser

from video_ae.errors import UserError
from video_ae.viewer.access import choose_token
from video_ae.viewer.client_session import ClientSession
from video_ae.viewer.contents import folder_version, load_contents
from video_ae.viewer.page import DEFAULT_PORT, LOOPBACK, close_page, open_page, set_start, url, welcome
from video_ae.viewer.render_timing import RenderRequest
from video_ae.viewer.render_worker import RenderWorker

PLAYBACK_SECONDS = 1 / 30  # between two updates of playback
NOBODY = -1  # the number of no client
WATCH_SECONDS = 1.0  # between two checks whether the folder was replaced


class Viewer:
    """A page that shows what `video-ae reconstruct` wrote, to any number of clients.

    It serves as soon as it exists, and until `close`. When the folder is replaced by a new reconstruction, the page
    shows that one; while the new one cannot be read, the page keeps the old one.

    Args:
        directory: what `video-ae reconstruct` wrote.
        host: address to serve on; "127.0.0.1" can be reached from this machine only.
        port: number of the port; 0 takes a free one.
        device: on which the page's images are rendered: "auto", or a name that torch knows.
        token: in the address, without which nobody sees the page: "auto" (random, and none on this machine only),
            "random", "none", or a text of one's own.

    Raises:
        UserError: the folder holds no reconstruction, the host is none of this machine's, the port is in use, or the
            token is not possible.
    """

    def __init__(
        self, directory: Path, host: str = LOOPBACK, port: int = DEFAULT_PORT, device: str = "auto", token: str = "auto"
    ) -> None:
        self.token = choose_token(token, host)
        self._directory, self._device = Path(directory), device
        self._version = folder_version(self._directory)
        self._contents = load_contents(self._directory, self._device)
        self._sessions: dict[int, ClientSession] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._page = open_page(host, port, self._contents.reconstruction.name, self.token)
        self.host, self.port = host, self._page.get_port()
        self._worker = RenderWorker(lambda view, size: self._contents.render(view, size), self._deliver)
        self._set_start()
        self._page.on_client_disconnect(self._leave)
        self._page.on_client_connect(self._enter)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._play, self._watch)]
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        return url(self.host, self.port, self.token)

    def close(self) -> None:
        """Ends serving and all threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self._worker.stop()
        close_page(self._page)

    def reload(self) -> bool:
        """Checks the folder once, and returns whether a new reconstruction is shown."""
        version = folder_version(self._directory)
        if version is None or version == self._version:
            return False
        self._version = version
        try:
            contents = load_contents(self._directory, self._device)
        except (UserError, OSError) as error:
            print(f"video-ae: the new reconstruction is not shown: {error}", file=sys.stderr)
            return False
        self._contents = contents
        self._set_start()
        for session in self._all_sessions():
            session.show(contents)
            session.notify("New reconstruction", f"{len(contents)} frames were read.")
        return True

    def _set_start(self) -> None:
        shown = self._contents.reconstruction
        start = set_start(self._page, shown.cameras, shown.scene_depth)
        self._worker.remove(NOBODY)  # so that the same view of another scene is rendered anew
        self._worker.set_view(NOBODY, start)

    def _all_sessions(self) -> list[ClientSession]:
        with self._lock:
            return list(self._sessions.values())

    def _enter(self, client: viser.ClientHandle) -> None:
        session = ClientSession(client, self._worker)
        with self._lock:
            self._sessions[client.client_id] = session
        session.start(self._contents)  # read after this session stands in the list that `reload` goes through

    def _leave(self, client: viser.ClientHandle) -> None:
        self._worker.remove(client.client_id)
        with self._lock:
            session = self._sessions.pop(client.client_id, None)
        if session is not None:
            session.leave()

    def _deliver(self, request: RenderRequest, image: np.ndarray) -> None:
        if request.client == NOBODY:
            self._page.first_image.set(image)
            return
        with self._lock:
            session = self._sessions.get(request.client)
        if session is not None:
            session.show_rendering(request, image)

    def _play(self) -> None:
        while not self._stopped.wait(PLAYBACK_SECONDS):
            for session in self._all_sessions():
                session.advance_playback(time.monotonic())

    def _watch(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            self.reload()


def view_reconstruction(
    directory: Path, host: str = LOOPBACK, port: int = DEFAULT_PORT, device: str = "auto", token: str = "auto"
) -> None:
    """Serves until Ctrl-C.

    Args:
        directory, host, port, device, token: as for `Viewer`.

    Raises:
        UserError: as `Viewer` does.
    """
    with closing(Viewer(directory, host, port, device, token)) as viewer:
        print(welcome(host, viewer.port, f"{directory} is shown", viewer.token), flush=True)
        while True:
            time.sleep(3600)
