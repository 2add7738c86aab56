"""Packed folders at an address: in memory, and on a server that speaks S3 where moto and s3fs are installed."""

from pathlib import Path

import fsspec
import pytest
import torch
from packed_folder import COUNTS, positions_of, write_packed

from video_ae.datasets.open import open_dataset
from video_ae.datasets.packed_videos import PackedVideos, ShardStore
from video_ae.datasets.training_clips import RandomClips
from video_ae.errors import UserError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEO_AE_CACHE", str(tmp_path / "cache"))
    return write_packed(tmp_path / "packed")


def test_from_object_storage_only_what_is_needed_is_fetched(root: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/bucket/packed", recursive=True)
    source = open_dataset("memory://bucket/packed/")
    assert isinstance(source, PackedVideos)
    assert not list((tmp_path / "cache").rglob("*.bin"))
    torch.testing.assert_close(source.load(3).frames, open_dataset(root).load(3).frames)
    assert len(list((tmp_path / "cache").rglob("*.bin"))) == 1
    near, far = (RandomClips(PackedVideos(where), 4, (1, 3), 8) for where in (root, "memory://bucket/packed"))
    assert positions_of(near, 0) == positions_of(far, 0)
    with pytest.raises(UserError, match="cannot be reached"):
        open_dataset("memory://bucket/nowhere")


def test_the_cache_keeps_to_its_size_and_still_reads_everything(root: Path, tmp_path: Path) -> None:
    fsspec.filesystem("memory").put(str(root), "/small/packed", recursive=True)
    largest = max(file.stat().st_size for file in root.glob("*.bin"))
    store = ShardStore("memory://small/packed", tmp_path / "cache", cache_bytes=largest)
    expected = ShardStore(root)
    for shard in [0, 1, 2, 1, 0]:
        assert store.read(shard, [2, 0]) == expected.read(shard, [2, 0])
        assert sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*.bin")) <= largest


def test_a_shard_that_another_process_removes_meanwhile_is_fetched_once_more(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers share the cache, and each makes room for what it needs itself."""
    fsspec.filesystem("memory").put(str(root), "/shared/packed", recursive=True)
    store, fetch, removed = ShardStore("memory://shared/packed", tmp_path / "cache"), ShardStore.fetch, []

    def fetched_too_early(self: ShardStore, name: str) -> Path:
        path = fetch(self, name)
        if name.endswith(".bin") and name not in removed:
            removed.append(name)
            path.unlink()
        return path

    monkeypatch.setattr(ShardStore, "fetch", fetched_too_early)
    assert store.read(0, [2, 0]) == ShardStore(root).read(0, [2, 0])
    assert len(removed) == 1
    other = tmp_path / "cache" / "other"
    other.mkdir()
    (other / "gone.bin").symlink_to("nowhere")  # as if it were removed between two looks
    store._make_room(1)


def test_a_folder_that_was_prepared_again_is_fetched_again(root: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/again/packed", recursive=True)
    assert open_dataset("memory://again/packed").load(0).frames.shape[0] == COUNTS[0]
    memory.rm("/again/packed", recursive=True)
    memory.put(str(write_packed(tmp_path / "other", [12, 13])), "/again/packed", recursive=True)
    source = open_dataset("memory://again/packed")
    assert [len(source.load(number).frames) for number in range(len(source))] == [12, 13]


def test_from_an_s3_server_clips_are_those_of_the_folder(root: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("s3").put(str(root), f"{s3}/packed", recursive=True)
    near, far = (RandomClips(PackedVideos(where), 4, (1, 3), 12) for where in (root, f"{s3}/packed"))
    # Workers that were forked after this process had spoken to the server speak to it themselves.
    assert positions_of(near, 0) == positions_of(far, 2)
    assert all(torch.equal(near[position].frames, far[position].frames) for position in range(12))
    for missing in (f"{s3}/nowhere", "s3://nobucket/packed"):
        with pytest.raises(UserError, match="cannot be reached"):
            open_dataset(missing)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match="cannot be reached"):
        open_dataset(f"{s3}/packed")
