"""From a server that speaks S3 and back to it."""

import fsspec
import pytest

from video_ae.annotation.destination import Destination
from video_ae.annotation.video_listing import list_videos
from video_ae.annotation.video_task import VideoTask
from video_ae.errors import UserError


def test_from_a_bucket_into_a_bucket(s3: str) -> None:
    storage = fsspec.filesystem("s3")
    for name in ("a.mp4", "deep/b.mp4"):
        storage.pipe_file(f"{s3}/videos/{name}", b"<html>404</html>" * 99)
    jobs = list_videos(f"{s3}/videos")
    assert [(job.name, job.address, job.size) for job in jobs] == [
        ("a", f"{s3}/videos/a.mp4", 1584), ("deep/b", f"{s3}/videos/deep/b.mp4", 1584),
    ]  # fmt: skip
    assert all(job.changed for job in jobs)
    task = VideoTask(f"{s3}/out", {"refine": 0})
    for job in jobs:
        (row,) = task.annotate(job)
        assert "cannot be read as a video" in row.reason
    destination = Destination(task.out)
    assert [rows is None for _, rows in destination.rows(jobs, task.asked, {})] == [False, False]
    assert [row.video for rows in destination.all_rows() for row in rows] == ["a", "deep/b"]
    task.annotate(jobs[0])  # in place of the earlier result
    assert destination.folders() == ["a", "deep%2Fb"]
    storage.pipe_file(f"{s3}/videos/a.mp4", b"another")
    again = [rows is None for _, rows in destination.rows(list_videos(f"{s3}/videos"), task.asked, {})]
    assert again == [True, False]


def test_a_bucket_that_is_not_there_and_one_that_refuses_are_named(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("s3://nobucket/videos", f"{s3}/nothing"):
        with pytest.raises(UserError, match=r"cannot be reached|holds no videos"):
            list_videos(missing)
    system = fsspec.get_filesystem_class("s3")

    def refuse(*given: object, **named: object) -> None:
        raise PermissionError("An error occurred (403): Forbidden")

    monkeypatch.setattr(system, "find", refuse)
    with pytest.raises(UserError, match=r"403.*check the address and your access"):
        list_videos(f"{s3}/videos")
