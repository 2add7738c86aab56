"""Who sees the page: with a token whoever knows it, without one no other web site."""

import http.client
from contextlib import nullcontext
from http import HTTPStatus

import pytest

pytest.importorskip("viser")

import viser
import websockets.asyncio.server
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.sync.client import connect

from video_ae.cli.main import main
from video_ae.errors import UserError
from video_ae.viewer import access
from video_ae.viewer.access import choose_token, guarded_servers, refusal
from video_ae.viewer.page import close_page, open_page, url, welcome
from video_ae.viewer.serve import Viewer

TOKEN = "a-token_of-16-09"


def opened(token: str):
    page = open_page("127.0.0.1", 0, "secret title", token)
    yield page
    close_page(page)


@pytest.fixture(scope="module")
def locked():
    yield from opened(TOKEN)


@pytest.fixture(scope="module")
def unlocked():
    yield from opened("")


def get(page: viser.ViserServer, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", page.get_port(), timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def enters(page: viser.ViserServer, path: str, **headers: str) -> bool:
    """Whether a websocket is opened and sends what the page shows; otherwise it is forbidden."""
    address = f"ws://127.0.0.1:{page.get_port()}{path}"
    try:
        with connect(address, subprotocols=[f"viser-v{viser.__version__}"], additional_headers=headers) as visit:
            return len(visit.recv(timeout=30)) > 0
    except InvalidStatus as refused:
        return refused.response.status_code != HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "path", ["/", "/index.html", f"/?token={TOKEN}", f"/{TOKEN}x", f"/{TOKEN[:-1]}", f"//{TOKEN}", f"/%2e/{TOKEN}/",
             f"/{TOKEN.upper()}"],
)  # fmt: skip
def test_without_the_token_neither_page_nor_websocket(locked, path):
    assert get(locked, path) == (HTTPStatus.FORBIDDEN, access.WITHOUT_TOKEN.encode())
    assert not enters(locked, path)


@pytest.mark.parametrize("path", ["", "*", "/\udce4", "?", "/" * 99])
def test_what_is_no_path_is_refused(path):
    assert refusal(Request(path, Headers()), TOKEN, "127.0.0.1") == access.WITHOUT_TOKEN


@pytest.mark.parametrize("behind", ["", "/", "/?a=b", "/index.html"])
def test_with_the_token_in_the_address_the_page_as_it_is(locked, unlocked, behind):
    status, said = get(locked, f"/{TOKEN}{behind}")
    assert status == HTTPStatus.OK
    assert said == get(unlocked, behind or "/")[1]
    assert enters(locked, f"/{TOKEN}")


def test_the_token_opens_nothing_outside_the_folder(locked):
    assert get(locked, f"/{TOKEN}/../../../../etc/passwd")[0] == HTTPStatus.NOT_FOUND
    assert get(locked, f"/{TOKEN}/{TOKEN}")[0] == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://elsewhere.example"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "null"},
     {"Origin": "http://elsewhere.example", "Host": "elsewhere.example"}, {"Host": "elsewhere.example:80"},
     {"Origin": "http://[", "Host": "127.0.0.1"}, {"Host": "["}],
    ids=str,
)  # fmt: skip
def test_another_web_site_in_the_same_browser_sees_nothing(unlocked, headers):
    assert get(unlocked, "/", **headers) == (HTTPStatus.FORBIDDEN, access.FROM_ELSEWHERE.encode())
    if "Host" not in headers:  # the client of the test writes that one itself
        assert not enters(unlocked, "/", **headers)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_the_page_itself_is_no_other_web_site(unlocked, name):
    asked = f"{name}:8080"  # as through a tunnel of ssh
    assert get(unlocked, "/", Host=asked, Origin=f"http://{asked}")[0] == HTTPStatus.OK
    assert enters(unlocked, "/", Origin=f"http://127.0.0.1:{unlocked.get_port()}")


def test_a_token_is_made_where_others_can_come():
    assert choose_token("auto", "localhost") == choose_token("none", "0.0.0.0") == ""
    made = {choose_token(how, host) for how, host in [("auto", "0.0.0.0"), ("auto", "::"), ("random", "127.0.0.1")]}
    assert len(made) == 3
    assert all(choose_token(token, "127.0.0.1") == token for token in [*made, TOKEN])
    for bad in ("short", "with/slash", "with space", "x" * 201, ""):
        with pytest.raises(UserError, match="letters, digits"):
            choose_token(bad, "127.0.0.1")


def test_the_address_that_is_printed_opens_the_page(walk, monkeypatch, capsys):
    viewer = Viewer(walk, port=0, token="random")
    try:
        assert viewer.url == url("127.0.0.1", viewer.port, viewer.token)
        assert viewer.url in welcome("127.0.0.1", viewer.port, "walk is shown", viewer.token)
        assert get(viewer._page, f"/{viewer.token}")[0] == HTTPStatus.OK
        assert get(viewer._page, "/")[0] == HTTPStatus.FORBIDDEN
    finally:
        viewer.close()
    assert "refused without the token" in welcome("0.0.0.0", 8081, "walk is shown", TOKEN)
    assert main(["view", str(walk), "--port", "0", "--token", "a b"]) == 2
    assert "(option --token)" in capsys.readouterr().err


def test_a_viser_whose_server_is_not_guarded_is_not_used(monkeypatch):
    monkeypatch.setattr("video_ae.viewer.page.guarded_servers", lambda *_: nullcontext([]))
    with pytest.raises(AssertionError, match="not guarded"):
        open_page("127.0.0.1", 0, "title", TOKEN)


def test_the_guard_is_gone_after_the_page_was_opened():
    serve = websockets.asyncio.server.serve
    with pytest.raises(RuntimeError, match="x"), guarded_servers("", "127.0.0.1"):
        raise RuntimeError("x")
    assert websockets.asyncio.server.serve is serve
