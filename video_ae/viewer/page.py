"""The web server underneath: viser, kept to this machine and to itself."""

import contextlib
import getpass
import io
import ipaddress
import socket
from collections.abc import Iterator

import viser

from video_ae.errors import UserError

LOOPBACK = "127.0.0.1"


class Page(viser.ViserServer):
    """viser's server, without its button that would publish the page through somebody else's computer."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None


def open_page(host: str, port: int, title: str) -> Page:
    """Starts to serve; port 0 takes a free one. Raises UserError for a port or host that cannot be had."""
    if not 0 <= port <= 65535:
        raise UserError(f"The port {port} is not possible: give a number from 1 to 65535.")
    _check_free(host, port)
    with quiet():
        page = Page(host=host, port=port, label=title, verbose=False)
    if port and page.get_port() != port:  # viser went on to the next one: somebody was faster
        close_page(page)
        raise UserError(f"The port {port} is in use: choose another one with --port.")
    return page


def close_page(page: Page) -> None:
    with quiet():
        page.stop()


def _check_free(host: str, port: int) -> None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise UserError(f"There is no host {host!r}: give an address of this machine, such as {LOOPBACK}.") from error
    except OSError as error:
        reason = "is in use" if error.errno in _IN_USE else f"cannot be had ({error.strerror})"
        raise UserError(f"The port {port} of {host} {reason}: choose another one with --port.") from error


_IN_USE = (48, 98)  # EADDRINUSE of macOS and Linux


def address_of(host: str, port: int) -> str:
    """What to type into a browser on this machine.

    >>> address_of("0.0.0.0", 8080)
    'http://127.0.0.1:8080'
    """
    shown = LOOPBACK if host in ("0.0.0.0", "::", "") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def welcome(host: str, port: int, what: str) -> str:
    """Sentences for the terminal: where the page is, how to reach it from elsewhere, who can see it."""
    here = f"{getpass.getuser()}@{socket.gethostname()}"
    lines = [f"{what} at {address_of(host, port)} (Ctrl-C ends it)."]
    if is_loopback(host):
        lines.append(f"From another machine: ssh -L {port}:{LOOPBACK}:{port} {here}, then the same address there.")
    else:
        lines.append("Everybody who reaches this machine over the network can see it: there is no password.")
    return "\n".join(lines)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the banners that viser prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
