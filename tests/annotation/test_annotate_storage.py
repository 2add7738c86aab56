"""From a server that speaks S3, or as Google's storage does, and back to it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import fsspec
import pytest

from video_ae.annotation.destination import Destination
from video_ae.annotation.video_listing import list_videos
from video_ae.annotation.video_task import VideoTask
from video_ae.errors import UserError


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> str:
    """The address of an empty bucket."""
    return request.getfixturevalue(request.param)


class Refusing(BaseHTTPRequestHandler):
    """Answers everything with 403."""

    def refuse(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = refuse

    def log_message(self, *given: object) -> None:
        """Nothing."""


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Storage that refuses access to all buckets."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
            monkeypatch.setenv(name, address)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        yield
        server.shutdown()


def test_from_a_bucket_into_a_bucket(bucket: str) -> None:
    storage = fsspec.filesystem(bucket.partition(":")[0])
    for name in ("a.mp4", "deep/b.mp4"):
        storage.pipe_file(f"{bucket}/videos/{name}", b"<html>404</html>" * 99)
    jobs = list_videos(f"{bucket}/videos")
    assert [(job.name, job.address, job.size) for job in jobs] == [
        ("a", f"{bucket}/videos/a.mp4", 1584), ("deep/b", f"{bucket}/videos/deep/b.mp4", 1584),
    ]  # fmt: skip
    assert all(job.changed for job in jobs)
    task = VideoTask(f"{bucket}/out", {"refine": 0})
    for job in jobs:
        (row,) = task.annotate(job)
        assert "cannot be read as a video" in row.reason
    destination = Destination(task.out)
    assert [rows is None for _, rows in destination.rows(jobs, task.asked, {})] == [False, False]
    assert [row.video for rows in destination.all_rows() for row in rows] == ["a", "deep/b"]
    task.annotate(jobs[0])  # in place of the earlier result
    assert destination.folders() == ["a", "deep%2Fb"]
    storage.pipe_file(f"{bucket}/videos/a.mp4", b"another")
    storage.invalidate_cache()
    again = [rows is None for _, rows in destination.rows(list_videos(f"{bucket}/videos"), task.asked, {})]
    assert again == [True, False]


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    for missing in (bucket.replace("//bucket", "//nobucket") + "/videos", f"{bucket}/nothing"):
        with pytest.raises(UserError, match=r"cannot be reached|holds no videos"):
            list_videos(missing)


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_bucket_that_refuses_is_named(scheme: str, package: str, refusing: None) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    system = fsspec.get_filesystem_class(scheme)
    try:
        for where in (f"{scheme}://refused/videos", f"{scheme}://refused/videos.txt"):
            with pytest.raises(UserError, match=rf"{where}' cannot be reached \(.*check the address and your access"):
                list_videos(where)
    finally:
        system.clear_instance_cache()
