"""The web server underneath: viser, reachable from this machine only unless asked otherwise."""

import errno
import getpass
import io
import socket
from contextlib import redirect_stdout

import viser

from video_ae.errors import UserError
from video_ae.types import Cameras
from video_ae.viewer.access import guarded_servers, is_loopback
from video_ae.viewer.first_image import ASPECT, FirstImage
from video_ae.viewer.views import View, start_view, view_towards

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8080


class PortInUse(UserError):
    """Another program serves on the port.

    Args:
        port: its number.
        host: the address on which it was asked for.
    """

    def __init__(self, port: int, host: str) -> None:
        super().__init__(f"The port {port} of {host} is in use: choose another one.", argument="port")


class Page(viser.ViserServer):
    """viser's server, without its button that would publish the page through somebody else's computer.

    Args:
        host, port, label: as of viser's server.
        first_image: what is seen while the page loads.
    """

    def __init__(self, host: str, port: int, label: str, first_image: FirstImage) -> None:
        self.first_image = first_image
        super().__init__(host=host, port=port, label=label, verbose=False)

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Publishes nothing and returns None.

        Args:
            verbose: ignored.
        """
        return None


def open_page(host: str, port: int, title: str, token: str = "") -> Page:
    """A page that is being served.

    Args:
        host: address to serve on.
        port: number of the port; 0 takes a free one.
        title: of the page.
        token: without which nobody sees it; empty for none.

    Raises:
        PortInUse: another program serves there.
        UserError: the host is none of this machine's, or the port cannot be opened.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"The port {port} is not possible: give a number from 1 to 65535.", argument="port")
    _check_free(host, port)
    image = FirstImage()
    with (
        redirect_stdout(io.StringIO()),  # without the banners of viser
        guarded_servers(token, host, image.added_to) as servers,
    ):
        page = Page(host, port, title, image)
    page.gui.configure_theme(show_logo=False, show_share_button=False)
    # Nothing on the page is lit, but a browser without a graphics card would take a second for lights and shadows.
    page.scene.configure_default_lights(False)
    page.scene.configure_environment_map(None)
    assert servers, f"viser {viser.__version__} opens its server in a way that is not guarded"
    if port and page.get_port() != port:  # another program was faster, and viser went on to the next port
        close_page(page)
        raise PortInUse(port, host)
    return page


def close_page(page: Page) -> None:
    """Ends serving.

    Args:
        page: of `open_page`.
    """
    with redirect_stdout(io.StringIO()):  # without the banners that viser prints
        page.stop()


def set_start(page: Page, cameras: Cameras, depth: float) -> View:
    """Sets the view that new clients start from, with -y as up.

    Args:
        page: of `open_page`.
        cameras: the path that is seen from there.
        depth: a typical depth of the scene.

    Returns:
        What the page's first image must show.
    """
    camera, (position, target) = page.initial_camera, start_view(cameras, depth)
    camera.position, camera.look_at = position, target  # type: ignore[assignment]
    camera.up = (0.0, -1.0, 0.0)  # type: ignore[assignment]
    page.scene.set_up_direction("-y")
    return view_towards(position, target, camera.fov, ASPECT)


def _check_free(host: str, port: int) -> None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise UserError(
            f"There is no host {host!r}: give an address of this machine, such as {LOOPBACK}.", argument="host"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port, host) from error
        raise UserError(
            f"The port {port} of {host} cannot be opened ({error.strerror}): choose another one.", argument="port"
        ) from error


def url(host: str, port: int, token: str = "") -> str:
    """What to type into a browser on this machine.

    Args:
        host: address that is served on.
        port: number of the port.
        token: of the page, empty for none.

    >>> url("0.0.0.0", 8080)
    'http://127.0.0.1:8080'
    """
    shown = LOOPBACK if host in ("0.0.0.0", "::", "") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}{token and f'/{token}'}"


def welcome(host: str, port: int, what: str, token: str = "") -> str:
    """Sentences for the terminal: where the page is, how to reach it from elsewhere, who can see it.

    Args:
        host: address that is served on.
        port: number of the port.
        what: begin of the first sentence, such as "walk is shown".
        token: of the page, empty for none.
    """
    here = f"{getpass.getuser()}@{socket.gethostname()}"
    lines = [f"{what} at {url(host, port, token)} (Ctrl-C ends it)."]
    if is_loopback(host):
        lines.append(f"From another machine: ssh -L {port}:{LOOPBACK}:{port} {here}, then the same address there.")
    elif token:
        lines.append(f"From another machine: {url(socket.gethostname(), port, token)}, refused without the token.")
    else:
        lines.append("Everybody who reaches this machine over the network can see it: there is no password.")
    return "\n".join(lines)
