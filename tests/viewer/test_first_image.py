"""The image that a page shows while it loads."""

import base64
import gzip
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("viser")

from websockets.datastructures import Headers
from websockets.http11 import Response

from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert
from video_ae.viewer.first_image import FirstImage
from video_ae.viewer.views import camera_of_view, view_towards

PAGE = b"<html><body><div></div></body></html>"
GREEN = np.full((10, 24, 3), (0, 200, 0), np.uint8)


def answer(body: bytes, kind: str = "text/html; charset=utf-8", encoding: str = "identity") -> Response:
    headers = {"Content-Type": kind, "Content-Encoding": encoding, "Content-Length": str(len(body))}
    return Response(200, "OK", Headers(headers), body)


@pytest.fixture
def green():
    picture = FirstImage()
    picture.set(GREEN)
    return picture


@pytest.mark.parametrize("packed", [False, True])
def test_the_page_holds_the_picture(green, packed):
    changed = green.added_to(answer(gzip.compress(PAGE) if packed else PAGE, encoding="gzip" if packed else "identity"))
    assert changed.headers.get_all("Content-Length") == [str(len(changed.body))]
    text = (gzip.decompress(changed.body) if packed else changed.body).decode()
    assert text.startswith("<html><body><div></div><div id=")
    assert text.endswith("</div></body></html>")
    image = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^)]*)\)", text)[1])))
    assert image.size == (24, 10)
    assert np.abs(np.asarray(image).astype(int) - GREEN).max() < 5


def test_everything_else_is_served_as_it_is(green):
    wasm = answer(PAGE, kind="application/wasm")
    assert green.added_to(wasm) is wasm
    page = answer(PAGE)
    assert FirstImage().added_to(page) is page  # nothing was rendered yet
    assert green.added_to(answer(b"no page")).body == b"no page"


def test_a_view_towards_a_point_has_it_in_its_middle_and_stands_upright():
    camera = camera_of_view(view_towards((1.0, -2.0, 0.5), (-3.0, 1.0, 4.0), 1.0, 1.5))
    points = torch.tensor([[-3.0, 1.0, 4.0], [-3.0, 0.5, 4.0]]).double()  # the second one above the first
    seen = project(transform(invert(camera.world_from_camera[0]), points), camera.intrinsics.expand(2, 4))
    torch.testing.assert_close(seen[0], torch.tensor([0.5, 0.5]).double())
    torch.testing.assert_close(seen[1, 0], torch.tensor(0.5).double())
    assert seen[1, 1] < 0.5
