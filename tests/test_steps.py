"""Steps of a computation that is stopped and goes on."""

import os
import resource

import pytest
import torch

from video_ae.camera.problem import PointGrid, SceneState, Submap
from video_ae.errors import is_disk_full
from video_ae.steps import keeping_steps, kept, scratch


def submap() -> Submap:
    state = SceneState(torch.eye(4).expand(2, 4, 4), torch.rand(10_000, 12)[1:3], torch.tensor(0.1))
    return Submap(state, PointGrid(3, 4, 16, 12), torch.rand(2, 6, 6), torch.rand(2), ("flag: sentence.",), 0.25)


def test_outside_nothing_is_kept():
    assert [kept("one", lambda number=number: number) for number in (1, 2)] == [1, 2]


def test_results_come_back_to_the_bit_without_what_they_shared_memory_with(tmp_path):
    value = (submap(), [None, 1.5, ("text", True)])
    for _ in range(2):
        with keeping_steps(tmp_path):
            found, rest = kept("submap", lambda: value)
        assert rest == value[1]
        assert found.notes == value[0].notes
        assert found.grid == value[0].grid
        assert torch.equal(found.state.inverse_depth, value[0].state.inverse_depth)
        assert torch.equal(found.state.camera_from_world, value[0].state.camera_from_world)
    assert (tmp_path / "00001-submap.pt").stat().st_size < 10_000
    value[0].state.inverse_depth[:] = 7  # the file is the one of before
    with keeping_steps(tmp_path):
        assert kept("submap", lambda: value)[0].state.inverse_depth.max() < 1


def computation(stop_at: int, taken: list[str]) -> float:
    """Ten steps in two parts; it is interrupted before one of them."""

    def step(part: int, number: int) -> torch.Tensor:
        if len(taken) == stop_at:
            raise KeyboardInterrupt
        taken.append(f"{part}.{number}")
        return torch.tensor(float(10 * part + number))

    def half(part: int) -> torch.Tensor:
        return torch.stack([kept("step", lambda number=number: step(part, number)) for number in range(5)]).sum()

    return sum(kept("half", lambda part=part: half(part)) for part in (1, 2)).item()


@pytest.mark.parametrize("stop_at", range(10))
def test_what_was_interrupted_goes_on_where_it_stood(tmp_path, stop_at):
    taken = []
    with pytest.raises(KeyboardInterrupt), keeping_steps(tmp_path):
        computation(stop_at, taken)
    with keeping_steps(tmp_path):
        assert computation(-1, taken) == 170
    assert taken == [f"{part}.{number}" for part in (1, 2) for number in range(5)]  # each of them once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00001-half.pt", "00002-half.pt"]


@pytest.mark.parametrize("damage", [b"", b"no step", None])
def test_a_damaged_step_is_taken_again(tmp_path, damage):
    with keeping_steps(tmp_path):
        kept("submap", submap)
    file = tmp_path / "00001-submap.pt"
    file.write_bytes(file.read_bytes()[:700] if damage is None else damage)
    taken = []
    with keeping_steps(tmp_path):
        kept("submap", lambda: taken.append(1))
        assert kept("none", lambda: None) is None
    assert taken == [1]


def test_a_file_that_names_other_code_is_not_run(tmp_path):
    class Harmless:
        def __reduce__(self):
            return print, ("this was run",)

    with keeping_steps(tmp_path):
        kept("one", lambda: 1)
    torch.save((Harmless(),), tmp_path / "00001-one.pt")
    with keeping_steps(tmp_path):
        assert kept("one", lambda: 2) == 2


def test_scratch_tensors_lie_on_disk_without_a_name(tmp_path):
    with keeping_steps(tmp_path):
        tensor = scratch((3, 4), torch.uint8)
        tensor[:] = 5
        assert list(tmp_path.iterdir()) == []
        assert torch.equal(kept("twice", lambda: tensor.int() * 2), torch.full((3, 4), 10, dtype=torch.int32))
    assert tensor.sum() == 60


def test_a_scratch_tensor_without_room_is_an_error_and_not_the_end_of_the_process(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with keeping_steps(tmp_path):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(OSError, match="too large") as raised:
                scratch((1001,), torch.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert is_disk_full(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", ["Linux", "macOS"])
def test_a_scratch_tensor_takes_its_room_at_once(tmp_path, monkeypatch, system):
    """Else the disk can be full when its bytes are written, which ends the process."""
    if system == "macOS":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(os, "unlink", lambda name: None)
    with keeping_steps(tmp_path):
        assert len(scratch((3 << 20,), torch.uint8)) == 3 << 20
    (file,) = tmp_path.iterdir()
    assert 512 * file.stat().st_blocks >= 3 << 20
