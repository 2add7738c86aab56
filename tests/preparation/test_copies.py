"""Which of several copies is kept, from fingerprints alone, and what the report says of parts without frames."""

from pathlib import Path

import numpy as np
from prepared_videos import pan, write

from video_ae.preparation.pack import UNINFORMATIVE, find_copies
from video_ae.preparation.prepare import prepare


def prints(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.uint32) * 97 + 1


def test_the_longest_copy_is_kept_and_of_equal_ones_the_first() -> None:
    segments = [
        ("a part", prints(10, 30)),
        ("whole", prints(0, 100)),
        ("again", prints(0, 100)),
        ("other", prints(200, 50)),
    ]
    assert find_copies(segments) == {"a part": "whole", "again": "whole"}
    assert find_copies(segments[::-1]) == {"a part": "again", "whole": "again"}


def test_a_fifth_and_five_frames_make_a_copy_and_plain_frames_none() -> None:
    long = ("long", prints(0, 100))
    assert find_copies([long, ("fifth", np.concatenate([prints(0, 10), prints(500, 40)]))]) == {"fifth": "long"}
    assert find_copies([long, ("less", np.concatenate([prints(0, 9), prints(500, 41)]))]) == {}
    assert find_copies([long, ("four", np.concatenate([prints(0, 4), prints(500, 8)]))]) == {}
    plain = np.array(sorted(UNINFORMATIVE) * 20, np.uint32)
    assert find_copies([("plain", plain), ("plain too", plain)]) == {}


def test_a_broken_copy_does_not_replace_the_whole_video(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    write(root / "whole.mp4", pan(0, 60))
    write(root / "a broken one.mp4", pan(0, 60))
    broken = bytearray((root / "a broken one.mp4").read_bytes())
    broken[len(broken) // 2 :] = bytes(len(broken) - len(broken) // 2)
    (root / "a broken one.mp4").write_bytes(broken)
    found = prepare(root, tmp_path / "packed", size=48)
    assert {segment.name: len(segment.frames) for segment in found.kept} == {"whole": 60}
    unreadable, copy = found.dropped["a broken one"]
    assert copy.reason == "duplicate of whole"
    from PIL import Image

    sheet = Image.open(tmp_path / "packed" / "left_out_0.png")
    assert np.asarray(sheet.convert("L"))[14:, :].min(1).max() < 250, "every line shows frames: none is empty"
    assert f"| a broken one | {unreadable.first} to 59 |" in (tmp_path / "packed" / "report.md").read_text()
