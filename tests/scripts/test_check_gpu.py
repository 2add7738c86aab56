"""The checks of a machine with a GPU: counts by hand, a pretended device, what fails, what is resumed."""

import csv
import json
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from other_device import OTHER, other_device

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "check_gpu.py"
sys.path.insert(0, str(SCRIPT.parent))

import check_gpu  # noqa: E402
from gpu_checks import checks, compiling, costs, report, training_run, wheels  # noqa: E402
from gpu_checks.bench import Bench, Sizes, Skipped  # noqa: E402

from video_ae.camera.solver import CameraSolver  # noqa: E402
from video_ae.types import CameraEstimate, Cameras  # noqa: E402

CPU = torch.device("cpu")
TINY = Sizes(32, 1, 2, "validation", 2, 2, 1, 32, 1)


@pytest.fixture
def walking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras that step sideways, instead of those that are solved, which takes seconds."""

    def solve(self: CameraSolver, frames: torch.Tensor, *_: Any) -> CameraEstimate:
        count, device = len(frames), frames.device
        float(frames.mean())  # waits for the device, as a solver does
        poses = torch.eye(4).repeat(count, 1, 1)
        poses[:, 0, 3] = torch.arange(count) / 20
        intrinsics = torch.tensor([0.8, 0.8, 0.5, 0.5]).repeat(count, 1)
        cameras = Cameras(poses.to(device), intrinsics.to(device))
        depth, sure = torch.ones(count, 6, 8).to(device), torch.ones(count).to(device)
        return CameraEstimate(cameras, depth, sure, torch.zeros(count, 6, 6).to(device))

    monkeypatch.setattr(CameraSolver, "solve", solve)


def bench(device: torch.device, folder: Path, seconds: float = 60) -> Bench:
    made = Bench(device, folder, True, seconds)
    made.sizes = TINY
    return made


def test_bytes_and_operations_of_small_work() -> None:
    one, two = torch.ones(4, 8), torch.ones(8, 2)
    found = costs.cost_of(lambda _: one @ two)
    assert found == {"flops": 2 * 4 * 8 * 2, "bytes": 4 * (32 + 16 + 8)}
    assert costs.cost_of(lambda _: one.t().reshape(2, 16).numel())["bytes"] == 2 * 4 * 32  # the copy of reshape
    assert costs.cost_of(lambda _: one.view(8, 4)[1:].t())["bytes"] == 0
    assert costs.cost_of(lambda _: one[:1].expand(100, 8) + 1)["bytes"] == 4 * (8 + 800)  # repeated rows are read once
    assert costs.cost_of(lambda _: one.copy_(one.clone()))["bytes"] == 2 * 2 * 4 * 32
    assert costs.cost_of(lambda _: torch.empty(1000))["bytes"] == 0
    assert costs.cost_of(lambda number: [one + 1] * number, repeats=2)["bytes"] == 2 * 4 * 32


def test_the_floor_is_the_longer_of_two_times() -> None:
    peaks = {"fp32_flops_per_second": 1e3, "bf16_flops_per_second": 1e4, "bytes_per_second": 1e2}
    found = costs.beside_floor(4.0, {"flops": 2e3, "bytes": 50.0}, peaks, "fp32")
    assert (found["floor_seconds"], found["bound"], found["floor_share"]) == (2.0, "arithmetic", 0.5)
    found = costs.beside_floor(4.0, {"flops": 2e3, "bytes": 50.0}, peaks, "bf16")
    assert (found["floor_seconds"], found["bound"], found["floor_share"]) == (0.5, "memory", 0.125)


def test_synchronisations_are_counted_where_a_device_would_wait() -> None:
    here = torch.tensor([0.0, 2.0])
    with costs.host_synchronisations(CPU) as places:
        assert here.sum().item() == 2
        assert here.tolist() == [0, 2]
        assert bool(here[1])
        assert here.nonzero().shape == (1, 1)
        _ = here + 1
    assert sum(places.values()) == 4
    with other_device():
        there = here.to(OTHER)
        with costs.host_synchronisations(OTHER) as places:
            assert here.sum().item() == 2  # nobody waits for the CPU
            assert here.tolist() == [0, 2]
            assert there.tolist() == [0, 2]
            assert there.cpu().tolist() == [0, 2]
            assert float(there.sum()) == 2
    assert sum(places.values()) == 3


def test_on_cuda_its_warnings_are_counted_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with costs.host_synchronisations(torch.device("cuda")) as places:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert dict(places) == {"outside the package": 3}
    assert modes == ["warn", 0]


def assert_measurements(made: Bench) -> None:
    assert checks.set_up(made)["result"].startswith("clips ")
    loaded = checks.data_loading(made)
    assert loaded["largest_difference"] < checks.TOLERANCE
    waits = checks.synchronisations(made)
    assert 2 <= waits["step"]["count"] < 9  # the key of the cached cameras, the length of the gradient
    assert waits["step_cameras_solved"]["count"] > waits["step"]["count"]
    assert all(":" in place for place in waits["step"]["most"])
    views, frames, solved = (
        check(made) for check in (checks.rendered_views, checks.training_frames, checks.training_frames_solved)
    )
    for one in (views["scene"], views["one_code"], frames["fp32"], frames["bf16"], solved):
        assert one["per_second"] > 0
        assert one["bytes"] > one["flops"] / 1000 > 0
        assert one["floor_seconds"] == pytest.approx(one["floor_share"] * one["seconds"])
    assert frames["fp32"]["flops"] == frames["bf16"]["flops"]
    assert views["goal_met"] is frames["goal_met"] is False


def test_the_measurements_on_a_pretended_device(tmp_path: Path, walking: None) -> None:
    with other_device():
        assert_measurements(bench(OTHER, tmp_path))


@pytest.mark.slow
def test_the_same_with_cameras_that_are_solved(tmp_path: Path) -> None:
    with other_device():
        assert_measurements(bench(OTHER, tmp_path))


def test_a_cost_is_the_same_with_and_without_a_device(tmp_path: Path, walking: None) -> None:
    def cost(device: torch.device) -> dict[str, float]:
        model, scene, views = bench(device, tmp_path).scene
        return costs.cost_of(lambda _: model.render(scene, views, (32, 32)))

    here = cost(CPU)
    with other_device():
        there = cost(OTHER)
    assert here["flops"] == there["flops"] > 0
    assert here["bytes"] == pytest.approx(there["bytes"], rel=0.01)


def test_mixed_precision_and_what_is_left_out_without_cuda(tmp_path: Path, walking: None) -> None:
    made = bench(CPU, tmp_path)
    assert checks.bf16(made)["relative_difference"] < 0.05
    with pytest.raises(Skipped, match="NVDEC needs CUDA"):
        checks.nvdec(made)
    forward, inputs = compiling._part_of_step(made)
    loss = forward(*inputs)
    assert loss.requires_grad
    assert 0 < float(loss.detach()) < 1


def test_one_that_fails_is_written_down_and_the_others_go_on(tmp_path: Path) -> None:
    def fails(*_: Any) -> dict[str, Any]:
        raise ValueError("a reason\nin two lines")

    def lacks(*_: Any) -> dict[str, Any]:
        raise Skipped("torchcodec is not installed")

    def endless(*_: Any) -> dict[str, Any]:
        while True:
            pass

    def works(*_: Any) -> dict[str, Any]:
        assert json.loads((tmp_path / "check_gpu.json").read_text())["checks"]["lacks"]["state"] == "skipped"
        return {"result": "1 | 2", "number": float("nan"), "goal_met": True}

    listed = [
        check_gpu.Check("fails", 0.5, fails),
        check_gpu.Check("lacks", 0.5, lacks),
        check_gpu.Check("works", 0.5, works, "a goal"),
    ]
    found = check_gpu.run_checks(bench(CPU, tmp_path), listed, [])
    assert [one["state"] for one in found["checks"].values()] == ["failed", "skipped", "passed"]
    written = json.loads((tmp_path / "check_gpu.json").read_text())
    assert written["checks"]["fails"]["result"] == "failed: a reason in two lines"
    assert written["checks"]["works"]["number"] is None
    page = (tmp_path / "check_gpu.md").read_text()
    assert "| works | 1 / 2 | a goal: met |" in page
    assert "| lacks | skipped: torchcodec is not installed |" in page
    with pytest.raises(check_gpu.OverTime, match="longer than"), check_gpu.time_limit(0.2):
        endless()
    again = check_gpu.run_checks(bench(CPU, tmp_path), listed, ["works"])
    assert list(again["checks"]) == ["fails", "lacks", "works"]  # the others as they were
    assert again["ran"] == ["works"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_exit_codes_and_one_sentence_for_bad_arguments(tmp_path: Path, capsys, monkeypatch) -> None:
    def leaves(*words: str) -> int:
        try:
            return check_gpu.main(["--out", str(tmp_path / "out"), *words])
        except SystemExit as left:
            return int(left.code or 0)

    for words, said in (
        (("--seconds", "0"), "--seconds is 0.0"),
        (("--wheels", str(tmp_path / "none")), "which is no folder"),
        (("--device", "abacus"), "The device 'abacus' is not available here"),
        (("--only", "telepathy"), "there is no check 'telepathy'"),
    ):
        assert leaves(*words) == 2
        assert said in capsys.readouterr().err.strip().splitlines()[-1]
    (tmp_path / "file").touch()
    assert leaves("--out", str(tmp_path / "file")) == 2
    assert leaves("--only", "nvdec", "--device", "cpu") == 1  # none could run
    assert leaves("--only", "peaks,nvdec", "--device", "cpu", "--quick") == 0
    monkeypatch.setattr(wheels, "NEEDED", ("torch", "no_such_module"))
    assert leaves() == 1
    assert "not installed are no_such_module" in capsys.readouterr().err


def test_missing_packages_come_from_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("carried_module", "torch"):  # torch is there already
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "value = 7\n")
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            tag = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", tag)
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "before")
    target = tmp_path / "site-packages"
    assert wheels.install_missing(folder, target) == ["carried_module-1.0-py3-none-any.whl"]
    import carried_module

    assert carried_module.value == 7
    assert [path.name for path in target.glob("*.py")] == ["carried_module.py"]
    assert wheels.install_missing(folder, target) == []  # the second time nothing is missing


def test_a_run_starts_anew_or_goes_on(tmp_path: Path) -> None:
    made, run = bench(CPU, tmp_path), tmp_path / "run"
    assert "--overwrite" in training_run.command_of(made, run)
    assert training_run.steps_of(run) == 0
    assert training_run.last_loss(run) is None
    (run / "checkpoints").mkdir(parents=True)
    torch.save({"global_step": 12}, run / "checkpoints" / "last.ckpt")
    assert training_run.command_of(made, run)[-2:] == [str(run), "--resume"]
    assert training_run.steps_of(run) == 12
    for number, losses in enumerate(([9.0], [1.0] * 5 + [2.0] * 5)):
        table = run / "metrics" / f"version_{number}" / "metrics.csv"
        table.parent.mkdir(parents=True)
        with table.open("w") as lines:
            writer = csv.DictWriter(lines, ["step", "train/loss", "validation/psnr"])
            writer.writeheader()
            writer.writerows({"step": i, "train/loss": loss} for i, loss in enumerate(losses))
            writer.writerow({"step": 9, "validation/psnr": 20.0})
    assert training_run.last_loss(run) == 1.5
    with pytest.raises(Skipped, match="seconds are left"):
        training_run.train(bench(CPU, tmp_path, seconds=3))
    with pytest.raises(Skipped, match="does not train on the device meta"):
        training_run.train(bench(OTHER, tmp_path))


def test_numbers_of_a_report_are_short_and_finite() -> None:
    assert report.plain({"a": [1 / 3, float("inf"), 10**12], "b": None}) == {"a": [0.333333, None, 10**12], "b": None}


@pytest.mark.slow
def test_everything_quickly_and_once_more(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--device", "cpu", "--quick", "--seconds"]
    ran = subprocess.run([*command, "240"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "check_gpu.json").read_text())["checks"]
    assert list(found) == [check.name for check in check_gpu.all_checks()]
    assert found["compile"]["graph_breaks"] == 0
    first = found["training"]["steps"]
    assert first > 0
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    ran = subprocess.run([*command, "40", "--only", "training"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "check_gpu.json").read_text())["checks"]
    assert found["training"]["steps"] - found["training"]["new_steps"] == first
    assert found["peaks"]["state"] == "passed"
