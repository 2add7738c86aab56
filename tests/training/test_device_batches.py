"""Bytes become clips on the device, one batch ahead of the step."""

import pytest
import torch
from torch.utils.data import DataLoader

from video_ae.datasets.byte_clips import ByteClip, finish_batch
from video_ae.training.device_batches import DeviceBatches


def clip(position: int) -> ByteClip:
    generator = torch.Generator().manual_seed(position)
    frames = torch.randint(0, 256, (4, 3, 48, 64), generator=generator, dtype=torch.uint8)
    return ByteClip(frames, torch.arange(4), torch.arange(4).double() / 10, f"clip {position}", position)


def batches(count: int = 5) -> list[list[ByteClip]]:
    return [[clip(2 * number), clip(2 * number + 1)] for number in range(count)]


def test_every_batch_comes_once_in_order_and_is_fetched_one_ahead() -> None:
    fetched = []

    def loader():
        for number, batch in enumerate(batches()):
            fetched.append(number)
            yield batch

    ahead = DeviceBatches(loader(), torch.device("cpu"), lambda batch: finish_batch(batch, (32, 24)))
    for number, found in enumerate(ahead):
        expected = finish_batch(batches()[number], (32, 24))
        assert torch.equal(found.frames, expected.frames)
        assert found.name == expected.name == f"clip {2 * number}, clip {2 * number + 1}"
        assert fetched == list(range(min(number + 2, 5)))
    assert number == 4
    assert list(DeviceBatches([], torch.device("cpu"), lambda batch: batch)) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_clips_are_those_of_the_cpu_and_copied_from_pinned_memory() -> None:
    device = torch.device("cuda")
    loader = DataLoader([clip(number) for number in range(8)], batch_size=2, collate_fn=list, pin_memory=True)
    assert all(one.frames.is_pinned() for batch in loader for one in batch)
    found = list(DeviceBatches(loader, device, lambda batch: finish_batch(batch, (32, 24), augment_seed=1)))
    for number, on_device in enumerate(found):
        expected = finish_batch([clip(2 * number), clip(2 * number + 1)], (32, 24), augment_seed=1)
        assert on_device.frames.device.type == "cuda"
        assert (on_device.frames.cpu() - expected.frames).abs().max() < 3 / 255
