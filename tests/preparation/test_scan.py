"""What one pass measures, against the plain loop that it stands for, and the JPEG files against Pillow's."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from prepared_videos import texture

from video_ae.datasets.shards import JPEG_QUALITY, decode_jpeg, encode_jpeg
from video_ae.preparation.scan import STILL, THUMBNAIL, RestDetector, Scan, read_jpegs
from video_ae.preparation.segments import cut_into_segments


def rests_one_by_one(thumbnails: torch.Tensor) -> list[int]:
    since, anchor = [0], thumbnails[0]
    for number in range(1, len(thumbnails)):
        if (thumbnails[number] - anchor).abs().mean() <= STILL:
            since.append(since[-1])
        else:
            since.append(number)
            anchor = thumbnails[number]
    return since


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_rests_are_those_of_a_plain_loop_in_chunks_of_any_size(chunk: int) -> None:
    draw = torch.Generator().manual_seed(0)
    # It moves, rests, and creeps: each step is below the limit, two or three add up to more.
    steps = torch.tensor([3.0] * 10 + [0.0] * 15 + [0.5] * 12 + [5.0] * 5 + [-0.7] * 10)
    noise = torch.rand(len(steps), *THUMBNAIL[::-1], generator=draw)
    thumbnails = 100 + steps.cumsum(0)[:, None, None] + noise
    detector, changes, still_since = RestDetector(), [], []
    for part in thumbnails.split(chunk):
        for found, more in zip((changes, still_since), detector.add(part), strict=True):
            found += more
    assert still_since == rests_one_by_one(thumbnails)
    assert len(set(still_since[25:37])) > 3  # creeping is no rest
    assert changes[0] == float("inf")
    assert changes[1:] == pytest.approx((thumbnails[1:] - thumbnails[:-1]).abs().mean((1, 2)).tolist())


def test_jpegs_keep_colours_and_their_full_resolution(tmp_path) -> None:
    image = (texture(3)[:, :, :128] * 255).to(torch.uint8)
    image[0] = 255 - image[0]
    jpeg = encode_jpeg(image)
    pixels = image.permute(1, 2, 0).numpy()
    twin = io.BytesIO()
    Image.fromarray(pixels).save(twin, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    found, expected = (decode_jpeg(file).astype(float) for file in (jpeg, twin.getvalue()))
    assert np.abs(found - expected).max() <= 2
    assert Image.open(io.BytesIO(jpeg)).layer[0][1:3] == (1, 1)  # (2, 2) where colours are halved
    (tmp_path / "frames").write_bytes(b"---" + jpeg + twin.getvalue())
    ends = [3, 3 + len(jpeg), 3 + len(jpeg) + len(twin.getvalue())]
    assert list(read_jpegs(tmp_path / "frames", ends, [1, 0])) == [twin.getvalue(), jpeg]


def test_segments_of_large_frames_are_shorter():
    """Sixty frames of 40 MB would be 2.4 GB in memory; above 4 GB a shard's offsets would begin anew at 0."""
    scan = Scan(
        [40_000_000 * number for number in range(61)], [90.0] * 60, [30.0] * 60, list(range(60)), [5.0] * 60, [7] * 60
    )
    segments, dropped = cut_into_segments(scan)
    assert [len(segment) for segment in segments] == [12] * 5
    assert dropped == []
    assert [len(segment) for segment in cut_into_segments(replace(scan, offsets=list(range(61))))[0]] == [60]
