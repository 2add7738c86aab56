"""Videos of high dynamic range and of pixels that are not square look as players show them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from video_ae.errors import UserError
from video_ae.videos.dynamic_range import KNEE, WHITE, to_standard_range
from video_ae.videos.open import open_video

PATCHES = np.array([[0.5, 0.5, 0.5], [0.7, 0.1, 0.1], [0.1, 0.6, 0.2], [0.1, 0.2, 0.7], [0.75, 0.7, 0.1], [0.05] * 3])
_BT2020_FROM_BT709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


def _linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _pq(light: np.ndarray) -> np.ndarray:
    """The inverse EOTF of SMPTE ST 2084, as the standard writes it."""
    root = (light / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


def _hlg(light: np.ndarray) -> np.ndarray:
    """The inverse of the system gamma of a display of 1000 cd/m2, and the OETF of ITU-R BT.2100."""
    shown = light / 1000
    luminance = (shown @ _LUMINANCE)[..., None]
    scene = shown * luminance ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


ENCODED = {"pq": (_pq, 16), "hlg": (_hlg, 18)}


@pytest.mark.parametrize("transfer", ENCODED)
def test_colours_below_the_knee_come_back(transfer: str):
    assert _linear(PATCHES).max() < KNEE
    coded = ENCODED[transfer][0](WHITE * _linear(PATCHES) @ _BT2020_FROM_BT709.T)
    np.testing.assert_allclose(to_standard_range(coded, transfer), PATCHES, atol=2e-3)


@pytest.mark.parametrize("transfer", ENCODED)
def test_light_above_white_is_compressed_not_clipped(transfer: str):
    light = np.array([0.5, 1, 2, 4])[:, None] * WHITE * np.ones(3)
    shown = to_standard_range(ENCODED[transfer][0](light), transfer)[:, 0]
    assert (np.diff(shown) > 0.01).all()
    assert 0.85 < shown[1] < 0.95
    assert shown[-1] < 1
    assert to_standard_range(np.ones((1, 3)), transfer).tolist() == [pytest.approx([1, 1, 1])]


def _write(path: Path, transfer: str) -> None:
    """Two frames of the patches, 16 pixels each, 10 bits, marked as phones mark them."""
    curve, number = ENCODED[transfer]
    coded = curve(WHITE * _linear(PATCHES) @ _BT2020_FROM_BT709.T)
    luma = coded @ _LUMINANCE
    blue, red = (coded[:, 2] - luma) / 1.8814, (coded[:, 0] - luma) / 1.4746
    planes = (64 + 876 * luma, 512 + 896 * blue, 512 + 896 * red)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 16 * len(PATCHES), 16, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = number, 9, 9, 1
        for n in range(2):
            frame = av.VideoFrame(stream.width, stream.height, "yuv420p10le")
            for plane, values, side in zip(frame.planes, planes, (16, 8, 8), strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = np.repeat(np.round(values), side).astype(np.uint16)
                plane.update(rows.tobytes())
            frame.pts = n
            frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = number, 9, 9, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("transfer", ENCODED)
def test_a_file_of_high_dynamic_range_is_read_in_the_colours_of_the_standard_range(transfer: str, tmp_path: Path):
    """The wheel of PyAV 18 has no zscale; ffmpeg's zscale and tonemap filters give these colours to 0.02."""
    _write(tmp_path / "hdr.mp4", transfer)
    reader = open_video(tmp_path / "hdr.mp4")
    read = reader.read([1, 0])[:, :, 8, 8::16].permute(0, 2, 1).double() / 255
    for frame in read:
        np.testing.assert_allclose(frame.numpy(), PATCHES, atol=0.02)
    for decoder in ("torchcodec", "decord"):
        with pytest.raises(UserError, match=r"high dynamic range|does not import|not installed"):
            open_video(tmp_path / "hdr.mp4", decoder)


def test_pixels_that_are_not_square_are_shown_as_wide_as_they_are(tmp_path: Path):
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 48, 36, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for n in range(2):
            image = np.zeros((36, 48, 3), np.uint8)
            image[:, 24:] = 200
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts = n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = open_video(tmp_path / "wide.mp4")
    assert reader.image_size == (64, 36)
    frames = reader.read([0, 1])
    assert frames.shape == (2, 3, 36, 64)
    assert frames[..., :30].float().mean() < 10
    assert torch.allclose(frames[..., 36:].float(), torch.tensor(200.0), atol=6)
    with pytest.raises(UserError, match=r"not square|does not import"):
        open_video(tmp_path / "wide.mp4", "torchcodec")
