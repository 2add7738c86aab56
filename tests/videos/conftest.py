"""Fixtures: the sample videos, written once a session."""

from pathlib import Path

import pytest
from sample_videos import COUNT, GROUPS, HEVC, VP8, encode, trim, turn, uneven_ticks


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files by kind; all show the numbers 0, 1, 2.. except `trimmed`, which starts at 22."""
    root = tmp_path_factory.mktemp("videos")
    files = {
        "closed": encode(root / "closed.mp4", options=GROUPS["closed"]),
        "open": encode(root / "open.mp4", options=GROUPS["open"]),
        "uneven": encode(root / "uneven.mp4", options=GROUPS["closed"], ticks=uneven_ticks(COUNT)),
        "long": encode(root / "long.mov", options=GROUPS["long"]),
        "hevc": encode(root / "hevc.mov", codec="libx265", pixel_format="yuv420p10le", options=HEVC),
        "matroska": encode(root / "closed.mkv", options=GROUPS["closed"]),
        "vp9": encode(root / "vp9.webm", codec="libvpx-vp9", options={"g": "15", "deadline": "realtime", "b": "400k"}),
        "vp8": encode(root / "vp8.webm", codec="libvpx", options=VP8),
        "avi": encode(root / "mpeg4.avi", codec="mpeg4", options={"g": "12", "q": "3"}),
        "odd": encode(root / "odd.mp4", size=(63, 47), pixel_format="yuv444p", options=GROUPS["closed"]),
        "tenbit": encode(root / "tenbit.mp4", pixel_format="yuv420p10le", options=GROUPS["closed"]),
    }
    for degrees in (90, 180, 270):
        files[f"turned{degrees}"] = turn(encode(root / f"t{degrees}.mp4", options=GROUPS["closed"]), degrees)
    files["trimmed"] = trim(files["closed"], root / "trimmed.mp4", first=22)
    return files
