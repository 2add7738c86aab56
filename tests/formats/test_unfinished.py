"""Folders of results whose run is stopped, killed and gone on with."""

import errno

import pytest

from video_ae.errors import UserError
from video_ae.formats.unfinished import resumable_folder
from video_ae.steps import kept


def run(out, task=None, fails=None, taken=None):
    with resumable_folder(out, False, task or {"source": "walk.mp4"}) as folder:
        kept("cameras", lambda: (taken if taken is not None else []).append("cameras"))
        (folder / "summary.json").write_text("{}")
        if fails is not None:
            raise fails


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), MemoryError(), OSError(errno.ENOSPC, "full")])
def test_what_is_stopped_goes_on_and_leaves_nothing(tmp_path, stopped):
    out, taken = tmp_path / "deep" / "walk", []
    with pytest.raises(type(stopped)) as error:
        run(out, fails=stopped, taken=taken)
    assert not out.exists()
    if isinstance(stopped, KeyboardInterrupt):
        assert "the same command goes on" in str(error.value)
    run(out, taken=taken)
    assert taken == ["cameras"]
    assert [path.name for path in out.parent.iterdir()] == ["walk"]
    assert [path.name for path in out.iterdir()] == ["summary.json"]


def test_another_task_begins_anew(tmp_path):
    taken = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "walk", fails=KeyboardInterrupt(), taken=taken)
    run(tmp_path / "walk", {"source": "other.mp4"}, taken=taken)
    assert taken == ["cameras"] * 2


@pytest.mark.parametrize("error", [UserError("The video is dark."), RuntimeError()])
def test_errors_that_would_come_again_leave_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        run(tmp_path / "deep" / "walk", fails=error)
    assert list(tmp_path.iterdir()) == []


def test_two_runs_of_one_folder_are_refused(tmp_path):
    with resumable_folder(tmp_path / "walk", False, {}) as folder:
        with pytest.raises(UserError, match="Another run is writing"):
            run(tmp_path / "walk")
        (folder / "summary.json").write_text("{}")
    assert (tmp_path / "walk" / "summary.json").is_file()


def test_a_folder_in_the_way_is_refused_before_anything_is_made(tmp_path):
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "mine.txt").touch()
    with pytest.raises(UserError, match="is not empty"):
        run(tmp_path / "walk")
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_link_to_another_disk_stays_and_what_it_leads_to_is_written(tmp_path, earlier):
    (tmp_path / "disk" / "walk").mkdir(parents=True)
    link = tmp_path / "walk"
    link.symlink_to(tmp_path / "disk" / "walk")
    if earlier:
        (link / "summary.json").write_text("before")
    with resumable_folder(link, earlier, {}) as folder:
        assert folder.is_relative_to(tmp_path / "disk")  # files are renamed within one file system
        (folder / "summary.json").write_text("{}")
    assert link.is_symlink()
    assert (link / "summary.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "summary.json", "walk", "walk"]
