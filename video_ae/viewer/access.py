"""Who may see the page: whoever knows the token in its address or, where there is none, pages that it served itself."""

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from video_ae.errors import UserError

_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,200}")
_WITHOUT_PORT = re.compile(r":\d+$")
_PATCHED = threading.Lock()
WITHOUT_TOKEN = "This page has a token in its address: open it by the whole address that was printed when it started.\n"
FROM_ELSEWHERE = "Another web site asked for this page: if that is a proxy of yours, serve the page with a token.\n"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there.

    Args:
        host: address that is served on, or the name of a server in a request.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def choose_token(token: str, host: str) -> str:
    """The token of a page, empty for none.

    Args:
        token: "auto" (random, and none on this machine only), "random", "none", or eight or more letters, digits, - and
            _ of one's own.
        host: address that is served on.

    Raises:
        UserError: it is none of them.

    >>> choose_token("auto", "127.0.0.1"), len(choose_token("auto", "0.0.0.0"))
    ('', 22)
    """
    if token == "none" or (token == "auto" and is_loopback(host)):
        return ""
    if token in ("auto", "random"):
        return secrets.token_urlsafe(16)
    if not _TOKEN.fullmatch(token):
        allowed = "auto, random, none, or 8 to 200 letters, digits, - and _"
        raise UserError(f"{token!r} is not possible as a token: give {allowed}.", argument="token")
    return token


def refusal(request: Request, token: str, host: str) -> str | None:
    """Why a request is refused, or None. The token is taken off the path of the request, for viser.

    A web site that somebody looks at in the same browser may open connections to this machine. Without a token, their
    `Origin` must be the page itself, and on loopback its name an address or "localhost", which no web site can make its
    own (DNS rebinding).

    Args:
        request: of a page or of a websocket.
        token: of the page, empty for none.
        host: address that is served on.
    """
    if token:
        path, mark, query = request.path.partition("?")
        given, _, rest = path[1:].partition("/")
        if not secrets.compare_digest(given.encode(errors="surrogateescape"), token.encode()):
            return WITHOUT_TOKEN
        request.path = f"/{rest}{mark}{query}"
        return None
    asked, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    name = _WITHOUT_PORT.sub("", asked).strip("[]")
    rebound = is_loopback(host) and not (name == "localhost" or _is_address(name))
    foreign = origin is not None and origin.partition("://")[2] != asked
    return FROM_ELSEWHERE if rebound or foreign else None


@contextmanager
def guarded_servers(
    token: str, host: str, change: Callable[[Response], Response] = lambda response: response
) -> Iterator[list[Any]]:
    """Servers that viser opens meanwhile refuse requests as `refusal` says: viser itself has no place to ask.

    Args:
        token: of the page, empty for none.
        host: address that is served on.
        change: of each response to a request that is not refused.

    Yields:
        A list of the servers that were opened and guarded.
    """
    serve, opened = websockets.asyncio.server.serve, list[Any]()

    def guarded(*args: Any, process_request: Callable[[ServerConnection, Request], Any], **options: Any) -> Any:
        def process(connection: ServerConnection, request: Request) -> Response | None:
            reason = refusal(request, token, host)
            if reason is not None:
                return connection.respond(HTTPStatus.FORBIDDEN, reason)
            response = process_request(connection, request)
            return None if response is None else change(response)

        opened.append(serve(*args, process_request=process, **options))
        return opened[-1]

    with _PATCHED:
        websockets.asyncio.server.serve = guarded  # type: ignore[assignment, misc]
        try:
            yield opened
        finally:
            websockets.asyncio.server.serve = serve  # type: ignore[misc]


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:  # a name
        return False
