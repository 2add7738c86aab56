"""Folders, lists and addresses -> jobs with names that are unique and folders that are flat."""

import os
from pathlib import Path

import fsspec
import pytest

from video_ae.annotation.video_job import VideoJob
from video_ae.annotation.video_listing import list_videos
from video_ae.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b/a.mov", "b/c.mp4", "b/c.mov", "b/notes.doc", ".hidden/x.mp4", "out/videos/y.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_a_folder(root: Path) -> None:
    jobs = list_videos(str(root), str(root / "out"))
    assert [job.name for job in jobs] == ["a", "b/a", "b/c.mov", "b/c.mp4"]
    assert [job.address for job in jobs][1] == str(root / "b" / "a.mov")
    assert [job.size for job in jobs] == [5, 7, 7, 7]


def test_the_results_are_left_out_however_their_folder_is_written(root: Path, tmp_path: Path) -> None:
    (root / "b" / "link").symlink_to(root / "out")
    for out in (root / "b" / ".." / "out", root / "b" / "link"):
        assert [job.name for job in list_videos(str(root), str(out))] == ["a", "b/a", "b/c.mov", "b/c.mp4"]


def test_a_list_is_relative_to_itself_and_keeps_what_is_gone(root: Path) -> None:
    (root / "list.txt").write_text(f"# mine\nb/a.mov\n\n{root}/a.mp4\nb/a.mov\nb/gone.mp4\n")
    jobs = list_videos(str(root / "list.txt"))
    assert [job.name for job in jobs] == ["b/a", "a", "b/gone"]
    assert [job.size for job in jobs] == [7, 5, 0]


def test_a_list_as_windows_writes_it_and_names_whose_bytes_are_no_letters(root: Path) -> None:
    rose = os.fsdecode(b"ros\xe9.mp4")
    (root / rose).write_bytes(b"12")
    (root / "list.txt").write_bytes(b"\xef\xbb\xbfb/a.mov\r\nros\xe9.mp4\r\n")
    assert [(job.name, job.size) for job in list_videos(str(root / "list.txt"))] == [("b/a", 7), (rose[:-4], 2)]


def test_an_address(root: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("a.mp4", "b/a.mov", "b/notes.doc", ".hidden/x.mp4"):
        memory.pipe_file(f"/listed/in/{name}", b"123")
    jobs = list_videos("memory://listed/in")
    assert [job.name for job in jobs] == ["a", "b/a"]
    with fsspec.open(jobs[1].address) as file:
        assert file.read() == b"123"
    memory.pipe_file("/listed/list.txt", b"memory://listed/in/b/a.mov\nmemory://listed/in/gone.mp4\n")
    assert [(job.name, job.size) for job in list_videos("memory://listed/list.txt")] == [("b/a", 3), ("gone", 0)]


@pytest.mark.parametrize("given", ["empty", "nowhere", "memory://nowhere/at/all"])
def test_a_source_without_videos_is_refused(given: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no videos|does not exist"):
        list_videos(given if "://" in given else str(tmp_path / given))


def test_folders_of_results_are_flat_unique_and_short() -> None:
    names = ["a/b", "a%2Fb", "..", ".git", "é", "x" * 300, "x" * 301, "a[1]*?"]
    folders = [VideoJob(name, "", 0, "").folder for name in names]
    assert len(set(folders)) == len(names)
    assert not [one for one in folders if "/" in one or one.startswith(".") or len(one) > 200 or set(one) & set("[]*?")]
