"""An image in the page itself, which is seen until the browser draws the scene.

A browser without a graphics card takes seconds to start WebGL. The image shows what it will draw first: it is as high
as the page, as the field of view is, and is cut at the sides.
"""

import base64
import gzip
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from websockets.datastructures import Headers
from websockets.http11 import Response

ASPECT = 2.4  # width / height of the image: few pages are wider
# Above the canvas and below the controls.
_ELEMENT = (
    '<div id="first-image" style="position:fixed;inset:0;z-index:1;pointer-events:none;'
    'background:url(data:image/jpeg;base64,{}) center/cover"></div>'
)
# An element of the controls that takes the image away four frames after the browser has come to it.
REMOVAL = (
    '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==" style="display:none" '
    'onload="let left = 4; const next = () => left-- ? requestAnimationFrame(next) : '
    "document.getElementById('first-image')?.remove(); next()\">"
)


class FirstImage:
    """The image of one page, none at first."""

    def __init__(self) -> None:
        self._element = b""

    def set(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Replaces the image.

        Args:
            image: `ASPECT` times as wide as high, seen from where the page starts.
        """
        file = io.BytesIO()
        Image.fromarray(image).save(file, "jpeg", quality=85)
        self._element = _ELEMENT.format(base64.b64encode(file.getvalue()).decode()).encode()

    def added_to(self, response: Response) -> Response:
        """A web page with the image in it; any other response as it is.

        Args:
            response: of the server.
        """
        if not self._element or not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        packed = response.headers.get("Content-Encoding") == "gzip"
        page = gzip.decompress(response.body) if packed else bytes(response.body)
        head, end, rest = page.rpartition(b"</body>")
        page = head + self._element * bool(end) + end + rest
        body = gzip.compress(page, 1) if packed else page
        headers = Headers(response.headers)
        del headers["Content-Length"]
        headers["Content-Length"] = str(len(body))
        return Response(response.status_code, response.reason_phrase, headers, body)
