"""The viewer serves on, whoever comes: visitors by the dozen, messages that are none, addresses outside its folder."""

import http.client
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("viser")

import msgspec.msgpack
import viser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from video_ae.viewer.serve import Viewer

VISITORS = 50
MALFORMED = [b"", b"\xc1", b"\xff" * 1000, b"\x81\xa4type\xa4Nope", msgspec.msgpack.encode([1] * 9), "text", "{"]
CAMERA = {
    "wxyz": [1, 0, 0, 0], "position": [0, 0, 0], "fov": 1.0, "near": 0.01, "far": 1000.0, "look_at": [0, 0, 1],
    "up_direction": [0, -1, 0], "image_height": 48, "image_width": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def viewer(walk):
    viewer = Viewer(walk, port=0)
    yield viewer
    viewer.close()


def visit(viewer: Viewer) -> ClientConnection:
    """A browser tab that has the page open."""
    return connect(
        f"ws://127.0.0.1:{viewer.port}", subprotocols=[f"viser-v{viser.__version__}"], max_size=None, compression=None,
        open_timeout=60, close_timeout=5,
    )  # fmt: skip


def camera_message(**changes: object) -> bytes:
    return msgspec.msgpack.encode({"type": "ViewerCameraMessage", **CAMERA, **changes})


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.05)
    return condition()


def serves(viewer: Viewer) -> bool:
    """Whether a new visitor gets the page and what is in it."""
    known = set(viewer._sessions)
    with visit(viewer) as tab:
        tab.send(camera_message())
        welcomed = wait_for(lambda: bool(set(viewer._sessions) - known))
        return welcomed and len(tab.recv(timeout=60)) > 0 and get(viewer, "/")[0] == 200


def get(viewer: Viewer, address: str) -> tuple[int, bytes]:
    """Status and content; the address is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=30)
    connection.putrequest("GET", address, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_fifty_visitors_come_and_are_gone(viewer):
    assert serves(viewer)
    assert wait_for(lambda: not viewer._sessions)
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for start in range(0, VISITORS, 10):
        tabs = [visit(viewer) for _ in range(10)]
        for number, tab in enumerate(tabs):
            tab.send(camera_message())
            if number % 2:
                tab.socket.close()  # without a word, as when a laptop is shut
            else:
                tab.close()
        assert serves(viewer), f"after {start + 10} visitors"
    assert wait_for(lambda: not viewer._sessions), f"{len(viewer._sessions)} sessions are left"
    assert wait_for(lambda: len(os.listdir("/proc/self/fd")) <= files + 2)
    assert threading.active_count() <= threads + 32, "viser's pool of threads has a largest size"


@pytest.mark.parametrize("message", MALFORMED, ids=range(len(MALFORMED)))
def test_messages_that_are_none_disturb_nobody_else(viewer, message):
    with visit(viewer) as other:
        other.send(camera_message())
        with visit(viewer) as tab:
            tab.send(message)
            time.sleep(0.1)
        assert len(other.recv(timeout=60)) > 0
    assert serves(viewer)


@pytest.mark.parametrize(
    "changes",
    [{"fov": float("nan")}, {"position": [float("inf")] * 3}, {"wxyz": [0, 0, 0, 0]}, {"image_width": 0},
     {"image_height": 0}, {"image_height": 10**9}, {"position": [1]}, {"fov": "wide"}],
    ids=str,
)  # fmt: skip
def test_cameras_that_are_none_disturb_nobody_else(viewer, changes):
    with visit(viewer) as tab:
        tab.send(camera_message(**changes))
        time.sleep(0.3)
    assert viewer._worker._thread.is_alive()  # others still get renderings
    assert serves(viewer)


def listen(tab: ClientConnection) -> None:
    while True:
        tab.recv(timeout=60)


def test_a_message_too_large_ends_only_its_own_visit(viewer):
    with visit(viewer) as tab:
        tab.send(camera_message())
        tab.socket.sendall(b"\x82\xff" + (51 * 2**20).to_bytes(8, "big") + bytes(4))  # its size is said before it comes
        with pytest.raises(ConnectionClosed, match="1009"):
            listen(tab)
    assert serves(viewer)


@pytest.mark.parametrize(
    "address",
    ["/../../../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
     "/..%5c..%5c..%5cetc%5cpasswd", "/assets/../../../../../../etc/passwd", "/etc/passwd", "/cameras.json",
     "/%00", "/summary.json"],
)  # fmt: skip
def test_nothing_outside_its_folder_is_served(viewer, address):
    status, content = get(viewer, address)
    assert status >= 400
    assert b"root:" not in content
    assert Path("/etc/passwd").read_bytes() not in content
    assert serves(viewer)
