"""A web page that shows a reconstruction (viser). Needs the extra `viewer`: pip install 'video-ae[viewer]'."""

from importlib.util import find_spec

from video_ae.errors import UserError


def require_viser() -> None:
    """Checks that viser is installed, which most modules of this folder import.

    Raises:
        UserError: it is not.
    """
    if find_spec("viser") is None:
        raise UserError("The viewer needs viser: pip install 'video-ae[viewer]'.")
