"""`prepare`: what is kept, what is not, restart, and training from the result."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from prepared_videos import pan, write

pytest.importorskip("scenedetect", reason="PySceneDetect is not installed: pip install 'video-ae[prepare]'")

from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.open import open_dataset
from video_ae.datasets.packed_videos import PackedVideos
from video_ae.errors import UserError
from video_ae.preparation import video as one_video
from video_ae.preparation.prepare import prepare
from video_ae.preparation.segments import Dropped

BLACK = torch.zeros(15, 3, 64, 96, dtype=torch.uint8)
SCRIPT = Path(__file__).parents[2] / "tools" / "damage_videos.py"


def digest(folder: Path) -> dict[str, str]:
    """What the shards and tables of a packed folder hold."""
    files = [*folder.glob("*.bin"), *folder.glob("*.json"), *folder.glob("*.npy")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots with a rest and a black part between them, a copy of one shot, and a pan in a folder."""
    root = tmp_path_factory.mktemp("raw")
    first, second = pan(0, 30), pan(1, 30)
    write(root / "film.mp4", first, first[-1:].expand(20, -1, -1, -1), BLACK, second, pan(2, 24))
    write(root / "film copy.mp4", pan(1, 30))
    (root / "deep" / "er").mkdir(parents=True)
    write(root / "deep" / "er" / "doubled.mp4", pan(3, 26).repeat_interleave(2, 0))
    write(root / "short.mp4", pan(4, 5))
    return root


@pytest.fixture(scope="module")
def packed(root: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("out") / "packed"
    return prepare(root, out, size=48), out


def test_a_name_whose_bytes_are_no_letters(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw" / os.fsdecode(b"ros\xe9.mp4"), pan(0, 30))
    prepare(tmp_path / "raw", tmp_path / "packed", size=48)
    assert [os.fsencode(name) for name in PackedVideos(tmp_path / "packed").names] == [b"ros\xe9"]


def test_frames_are_packed_even_where_the_report_cannot_be_drawn(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no fonts")

    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw" / "pan.mp4", pan(0, 30))
    monkeypatch.setattr("video_ae.preparation.prepare.write_report", fail)
    with pytest.raises(RuntimeError, match="no fonts"):
        prepare(tmp_path / "raw", tmp_path / "packed", size=48)
    assert open_dataset(tmp_path / "packed").frame_count(0) == 30


def test_shots_are_cut_and_rests_black_parts_copies_and_repeats_are_left_out(packed) -> None:
    found, _ = packed
    assert {segment.name: (segment.frames[0], segment.frames[-1]) for segment in found.kept} == {
        "deep/er/doubled": (0, 50), "film#0": (0, 29), "film#2": (95, 118), "film copy": (0, 29),
    }  # fmt: skip
    assert found.dropped["film"] == [
        Dropped(30, 49, "static"), Dropped(50, 64, "black"), Dropped(65, 94, "duplicate of film copy"),
    ]  # fmt: skip
    doubled = next(segment for segment in found.kept if segment.name == "deep/er/doubled")
    assert doubled.frames == list(range(0, 52, 2))
    assert "No part of 12 or more frames" in found.skipped["short"]


def test_measured_overlap_is_that_of_the_pan(packed) -> None:
    segment = next(segment for segment in packed[0].kept if segment.name == "film#0")
    for gap, overlap in zip(OVERLAP_GAPS[:5], segment.overlaps, strict=False):  # three pixels of 96 a frame
        assert overlap == pytest.approx(1 - 3 * gap / 96, abs=0.13)
    assert segment.overlaps[-1] == segment.overlaps[-2], "frames 64 apart do not exist: the last known value stays"


def test_packed_frames_are_those_of_the_video(packed, root: Path) -> None:
    source, raw = open_dataset(packed[1]), open_dataset(root)
    assert isinstance(source, PackedVideos)
    assert list(source.names) == ["deep/er/doubled", "film copy", "film#0", "film#2"]
    number = list(source.names).index("film#2")
    clip = source.load(number, [0, 7, 3])
    assert clip.indices.tolist() == [95, 102, 98]
    assert clip.image_size == (72, 48)
    expected = raw.load(list(raw.names).index("film"), [95, 102, 98], size=48)
    torch.testing.assert_close(clip.times, expected.times)
    assert (clip.frames - expected.frames).abs().mean() < 0.01, "JPEG"
    assert source.load(number, size=(32, 32), fit="crop").frames.shape == (24, 3, 32, 32)


def test_report_names_everything_and_its_figures_exist(packed) -> None:
    out = packed[1]
    text = (out / "report.md").read_text()
    for expected in ("duplicate of film copy", "static | 20", "black | 15", "repeated | 26", "short", "film#2"):
        assert expected in text
    figures = [word.split(")")[0] for word in text.split("](")[1:]]
    assert len(figures) >= 4
    assert all((out / figure).stat().st_size > 1000 for figure in figures)
    assert not (out / ".parts").exists()
    assert "short" in json.loads((out / "packed.json").read_text())["quarantined"]


def test_an_interrupted_run_goes_on_and_ends_the_same(packed, root: Path, tmp_path: Path, monkeypatch) -> None:
    out, original, calls = tmp_path / "packed", one_video.scan_video, []

    def stops_at_the_third(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(one_video, "scan_video", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt, match="goes on with the videos that are left"):
        prepare(root, out, size=48)
    with pytest.raises(UserError):
        open_dataset(out)
    prepare(root, out, size=48)
    assert len(calls) == 3 + 2, "two of four videos were finished"
    assert digest(out) == digest(packed[1])


def test_a_killed_process_goes_on_and_ends_the_same(packed, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    command = [sys.executable, "-m", "video_ae", "prepare", str(root), "--out", str(out), "--size", "48"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 300  # a machine that is busy starts a process slowly
    while not list(out.glob(".parts/*/record.json")) and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {record: record.stat().st_mtime_ns for record in out.glob(".parts/*/record.json")}
    assert finished or (out / "packed.json").exists()
    if not (out / "packed.json").exists():
        prepare(root, out, size=48)
    assert digest(out) == digest(packed[1])


@pytest.mark.slow
def test_two_workers_make_the_same(packed, root: Path, tmp_path: Path) -> None:
    prepare(root, tmp_path / "packed", size=48, workers=2)
    assert digest(tmp_path / "packed") == digest(packed[1])


def test_a_changed_file_or_another_size_is_prepared_again(tmp_path: Path) -> None:
    path = write(tmp_path / "raw" / "a.mp4", pan(5, 16))
    job = one_video.Job(path, "a", tmp_path / "part", 48, "auto")
    record = one_video.prepare_video(job)
    first = record.stat().st_mtime_ns
    assert one_video.prepare_video(job).stat().st_mtime_ns == first
    write(path, pan(5, 18))
    assert one_video.load_record(one_video.prepare_video(job)).frames == 18


def test_ten_damaged_files_are_named_and_the_good_one_is_kept(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("damage_videos", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    good = write(tmp_path / "raw" / "good.mp4", pan(6, 30))
    script.damage(good, tmp_path / "raw" / "damaged")
    raw = open_dataset(tmp_path / "raw")
    found = prepare(tmp_path / "raw", tmp_path / "out", size=48)
    assert [segment.name for segment in found.kept if "damaged" not in segment.name][-1] == "good"
    named = set(found.skipped) | {name for name, parts in found.dropped.items() if parts}
    assert {f"damaged/{way}" for way in script.WAYS} <= named
    expected = {
        "zero_bytes": "zero bytes", "no_index": "cannot be read", "text": "cannot be read", "picture": "one frame",
        "sound_only": "no frames", "one_frame": "one frame", "noise": "cannot be read",
        "mixed_size": "changes its frame size",
    }  # fmt: skip
    for way, reason in expected.items():
        assert reason in found.skipped[f"damaged/{way}"]
    refused = {name.removeprefix("damaged/").removesuffix(".mp4") for name in raw.skipped}
    assert refused >= set(expected) - {"mixed_size"}, "seen before anything is decoded"


def test_nothing_left_and_other_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(UserError, match="contains no videos"):
        prepare(tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw" / "empty.mp4").touch()
    with pytest.raises(UserError, match=r"None of 1 videos .*zero bytes"):
        prepare(tmp_path / "raw", tmp_path / "out")
    with pytest.raises(UserError, match="does not exist"):
        prepare(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UserError, match="at least 8 pixels"):
        prepare(tmp_path / "raw", tmp_path / "out", size=2)


def test_a_finished_folder_is_replaced_only_on_demand_and_nothing_else_in_it(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "a.mp4", pan(7, 16))
    out = tmp_path / "out"
    prepare(tmp_path / "raw", out, size=48)
    with pytest.raises(UserError, match="prepared already"):
        prepare(tmp_path / "raw", out, size=48)
    (out / "notes.txt").write_text("mine")
    prepare(tmp_path / "raw", out, size=32, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert PackedVideos(out).load(0).image_size == (48, 32)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("")
    with pytest.raises(UserError, match="not empty"):
        prepare(tmp_path / "raw", tmp_path / "photos")
    (tmp_path / "photos" / "report.md").write_text("mine")  # as one of our own files is called
    with pytest.raises(UserError, match=r"is no earlier result \(it has no packed.json\)"):
        prepare(tmp_path / "raw", tmp_path / "photos", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["cat.txt", "report.md"]


def test_index_is_small(packed) -> None:
    table = np.load(packed[1] / "segments.npy", mmap_mode="r")
    assert table.dtype.itemsize < 100


def test_two_preparations_do_not_write_into_one_folder(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "a.mp4", pan(8, 16))
    (tmp_path / "out" / ".parts").mkdir(parents=True)
    with (
        FileLock(tmp_path / "out" / ".parts" / ".lock"),
        pytest.raises(UserError, match="Another preparation is writing"),
    ):
        prepare(tmp_path / "raw", tmp_path / "out", size=48)
    assert prepare(tmp_path / "raw", tmp_path / "out", size=48).kept


def test_a_part_whose_frames_were_lost_is_made_again(tmp_path: Path) -> None:
    job = one_video.Job(write(tmp_path / "raw" / "a.mp4", pan(5, 16)), "a", tmp_path / "part", 48, "auto")
    one_video.prepare_video(job)
    frames = job.folder / one_video.FRAMES
    whole = frames.read_bytes()
    for damage in (frames.unlink, lambda: frames.write_bytes(whole[:-100])):
        damage()
        assert not one_video.load_record(one_video.prepare_video(job)).skipped
        assert frames.read_bytes() == whole


def test_workers_end_with_a_command_that_is_killed(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "video_ae", "prepare", str(root), "--out", str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    limit = time.monotonic() + 300  # a machine that is busy starts a process slowly
    while not list((tmp_path / "out").glob(".parts/*/frames.bin")) and time.monotonic() < limit:
        time.sleep(0.02)
    process.kill()
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    while process.stderr.read() != b"" and time.monotonic() < limit:  # its end comes when nobody has it open
        time.sleep(0.05)
    assert time.monotonic() < limit


def test_a_link_to_nothing_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "a.mp4", pan(9, 16))
    (tmp_path / "raw" / "gone.mp4").symlink_to("nowhere.mp4")
    packed = prepare(tmp_path / "raw", tmp_path / "out", size=48)
    assert [segment.name for segment in packed.kept] == ["a"]
    assert "does not exist" in packed.skipped["gone"]


def test_results_among_the_videos_are_no_videos_however_their_folder_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "raw" / "a.mp4", pan(9, 16))
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    monkeypatch.chdir(tmp_path / "raw")
    for out in (Path("packed"), Path("../raw/packed"), tmp_path / "link" / "packed"):
        packed = prepare(tmp_path / "raw", out, size=48, overwrite=True)
        assert (packed.frames, packed.dropped.keys(), packed.skipped) == (16, {"a"}, {})
