"""The checks: each returns what it found, with a sentence for the page under "result"."""

import importlib.util
import re
import subprocess
import sys
import time
from functools import partial
from itertools import islice
from typing import Any

import torch

from gpu_checks.bench import ROOT, VIDEO, Bench, Skipped
from gpu_checks.costs import beside_floor, cost_of, host_synchronisations, memory_peak, seconds_of

Found = dict[str, Any]
VIEWS_GOAL = FRAMES_GOAL = 1000.0  # a second, on an H100 or H200
FLOOR_GOAL = 0.5
TOLERANCE = 3 / 255  # bytes are scaled by another kernel on CUDA: a step here and there


def gpu_tests(bench: Bench) -> Found:
    """The tests marked `gpu`, in a process of their own.

    Args:
        bench: the device.

    Raises:
        Skipped: pytest is missing, or no test ran.
        RuntimeError: one failed.
    """
    for needed in ("pytest", "beartype"):
        if importlib.util.find_spec(needed) is None:
            raise Skipped(f"{needed} is not installed")
    files = [str(file) for file in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in file.read_text()]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-o", "addopts=", "-p", "no:cacheprovider", *files]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1.0, bench.left()))
    last = ([line for line in ran.stdout.splitlines() if line.strip()] or ["no output"])[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    if ran.returncode or "failed" in counts or "error" in counts:
        raise RuntimeError(f"pytest says {last.strip(' =')!r}")
    if not counts.get("passed"):
        raise Skipped(f"of the tests marked gpu, {counts.get('skipped', 0)} need CUDA, and none runs without")
    return {**counts, "result": ", ".join(f"{count} {word}" for word, count in counts.items())}


def peaks(bench: Bench) -> Found:
    """What the device does at best.

    Args:
        bench: the device.
    """
    found = bench.peaks
    speeds = [
        f"{found[key] / 1e12:.3g} TFLOP/s {key.split('_')[0]}"
        for key in sorted(found)
        if key.endswith("flops_per_second")
    ]
    return {**found, "result": ", ".join([*speeds, f"{found['bytes_per_second'] / 1e9:.4g} GB/s read and written"])}


def set_up(bench: Bench) -> Found:
    """Loads clips, takes a step in which their cameras are solved, and makes a scene: code is compiled, caches fill.

    Args:
        bench: the device and the work.
    """
    times = {}
    work = {
        "clips": lambda: bench.clip,
        "step": lambda: bench.training.step(bench.clip, 0).cpu(),
        "scene": lambda: bench.scene,
    }
    for name, one in work.items():
        begin = time.perf_counter()
        one()
        times[name] = time.perf_counter() - begin
    return {**times, "result": ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items())}


def data_loading(bench: Bench) -> Found:
    """Batches of training clips on the device beside those of the CPU, and how many come in a second.

    Args:
        bench: the device and the clips.

    Raises:
        RuntimeError: the values differ.
    """
    count = 2 if bench.quick else 20
    expected = next(bench.batches(torch.device("cpu")))
    begin = time.perf_counter()
    found = list(islice(bench.batches(bench.device), count))
    difference = float((found[0].frames.cpu() - expected.frames).abs().max())  # waits for the device
    seconds = time.perf_counter() - begin
    if not difference < TOLERANCE:
        raise RuntimeError(f"frames differ by {difference:.3g} from those of the CPU, and {TOLERANCE:.3g} is allowed")
    rate = count * bench.sizes.batch / seconds
    result = f"{rate:.3g} clips/s of {bench.sizes.length} frames; largest difference from the CPU {difference:.2g}"
    return {"clips_per_second": rate, "largest_difference": difference, "goal_met": True, "result": result}


def bf16(bench: Bench) -> Found:
    """A training step in mixed precision beside one in fp32, cameras cached.

    Args:
        bench: the device and the model.

    Raises:
        RuntimeError: the loss is not finite.
    """
    step, clip, device = bench.training.step, bench.clip, bench.device
    full, mixed = (float(step(clip, 0, bf16=lower).cpu()) for lower in (False, True))
    if not abs(mixed) < float("inf"):
        raise RuntimeError(f"the loss in bf16 is {mixed}, and {full:.4g} in fp32")
    times = [seconds_of(partial(step, clip, bf16=k), device, bench.sizes.repeats) for k in (False, True)]
    difference, ratio = abs(mixed - full) / abs(full), times[1] / times[0]
    result = f"loss {mixed:.4g}, {difference:.2%} from fp32; a step takes {ratio:.2f} of the time"
    return {"loss": mixed, "fp32_loss": full, "relative_difference": difference, "time_ratio": ratio, "result": result}


def synchronisations(bench: Bench) -> Found:
    """How often the host waits for the device in a training step, with cached and with solved cameras, and in a view.

    Args:
        bench: the device, the model and a scene.
    """
    step, clip = bench.training.step, bench.clip
    model, scene, views = bench.scene
    side = bench.sizes.side
    work = {
        "step": lambda: step(clip, 0),
        "step_cameras_solved": lambda: step(clip, 0, solve=True),
        "view": lambda: model.render(scene, views.select([0]), (side, side)),
    }
    found: Found = {}
    for name, one in work.items():
        with host_synchronisations(bench.device) as places:
            one()
        found[name] = {"count": sum(places.values()), "most": dict(places.most_common(5))}
    counts = [found[name]["count"] for name in work]
    result = f"{counts[0]} in a step with cached cameras, {counts[1]} where they are solved, {counts[2]} in a view"
    most = ", ".join(f"`{place}` {count}" for place, count in found["step"]["most"].items())
    kinds = {"cuda": "warnings of CUDA", "cpu": "numbers that are read, also of tensors that CUDA leaves on the CPU"}
    counted = kinds.get(bench.device.type, "calls that would wait")
    return {**found, "counted_by": counted, "result": f"{result} ({counted}); the step's: {most or 'none'}"}


def nvdec(bench: Bench) -> Found:
    """torchcodec's CUDA decoder beside its decoder on the CPU, on a walk-through.

    Args:
        bench: the device.

    Raises:
        Skipped: there is no CUDA, or torchcodec is missing or built without it.
    """
    if bench.device.type != "cuda":
        raise Skipped(f"NVDEC needs CUDA, and the device is {bench.device.type}")
    if importlib.util.find_spec("torchcodec") is None:
        raise Skipped("torchcodec is not installed")
    try:
        from torchcodec.decoders import VideoDecoder

        decoded, rates = {}, {}
        for kind in ("cpu", "cuda"):
            for _ in range(2):  # the first opens the decoder's session
                begin = time.perf_counter()
                decoder = VideoDecoder(str(VIDEO), device=kind)
                decoded[kind] = decoder[:].to("cpu")
                rates[kind] = len(decoded[kind]) / (time.perf_counter() - begin)
    except (ImportError, RuntimeError, ValueError) as error:
        raise Skipped(f"torchcodec cannot decode on this device: {' '.join(str(error).split())[:200]}") from error
    difference = int((decoded["cuda"].int() - decoded["cpu"].int()).abs().max())
    result = f"{rates['cuda']:.4g} frames/s, {rates['cpu']:.4g} on the CPU; largest difference {difference} of 255"
    return {"frames_per_second": rates, "largest_difference": difference, "result": result}


def rendered_views(bench: Bench) -> Found:
    """Views of a scene a second: as users get them, from several codes one after the other; and one code's, together.

    Args:
        bench: the device and the scene.
    """
    model, scene, views = bench.scene
    side, count, repeats = bench.sizes.side, len(views), 1 if bench.device.type == "cpu" else 3
    together = views.select(list(range(min(8, count))))

    @torch.no_grad()
    def of_one_code(_: int) -> Any:
        return model.renderer(scene.volume(0)[None], together[None], side, side)

    def of_scene(_: int) -> Any:
        return model.render(scene, views, (side, side))

    found: Found = {"codes": len(scene.volumes), "side": side}
    for name, work, rendered in (("scene", of_scene, count), ("one_code", of_one_code, len(together))):
        _reset_memory(bench)
        seconds = seconds_of(work, bench.device, repeats)
        floor = beside_floor(seconds, cost_of(work), bench.peaks, bench.precision)
        found[name] = {"per_second": rendered / seconds, "memory_gib": memory_peak(bench.device), **floor}
    best, share = found["scene"]["per_second"], found["scene"]["floor_share"]
    found["goal_met"] = best >= VIEWS_GOAL and share >= FLOOR_GOAL
    parts = [_speed(found[name], "views/s", words) for name, words in (("scene", ""), ("one_code", " from one code"))]
    return {**found, "result": "; ".join(parts)}


def training_frames(bench: Bench) -> Found:
    """Frames that training takes in a second with cached cameras, in fp32 and in bf16.

    Args:
        bench: the device, the model and a batch.
    """
    sizes = bench.sizes
    kinds = {"fp32": False, "bf16": True}
    found: Found = {name: _frames(bench, lower, False, sizes.repeats) for name, lower in kinds.items()}
    best = max(found.values(), key=lambda one: one["per_second"])
    met = best["per_second"] >= FRAMES_GOAL and best["floor_share"] >= FLOOR_GOAL
    result = "; ".join(_speed(found[name], "frames/s", f" in {name}") for name in kinds)
    return {
        **found,
        "batch": sizes.batch,
        "length": sizes.length,
        "side": sizes.side,
        "goal_met": met,
        "result": result,
    }


def training_frames_solved(bench: Bench) -> Found:
    """The same where the cameras of the clips are solved in the step.

    Args:
        bench: the device, the model and a batch.
    """
    found = _frames(bench, False, True, 1)
    return {**found, "result": _speed(found, "frames/s", "")}


def _frames(bench: Bench, lower: bool, solve: bool, repeats: int) -> Found:
    """Training frames a second in one way."""
    sizes, clip, training = bench.sizes, bench.clip, bench.training
    _reset_memory(bench)
    training.step(clip, 0)
    seconds = seconds_of(partial(training.step, clip, bf16=lower, solve=solve), bench.device, repeats, warm=solve)
    memory = memory_peak(bench.device)
    cost = cost_of(partial(training.step, clip, bf16=lower), repeats)
    if solve:  # counted on one clip: the others cost about the same
        with torch.no_grad():
            of_clip = cost_of(lambda _: training.model.training_camera(clip.frames[:1]))
        cost = {name: value + sizes.batch * of_clip[name] for name, value in cost.items()}
    floor = beside_floor(seconds, cost, bench.peaks, "bf16" if lower else bench.precision)
    return {"per_second": sizes.batch * sizes.length / seconds, "memory_gib": memory, **floor}


def _speed(found: Found, unit: str, words: str) -> str:
    """One measurement for the page."""
    floor = f"{found['floor_share']:.1%} of the floor ({found['bound']})"
    return f"{found['per_second']:.4g} {unit}{words}, {floor}, {found['memory_gib']:.3g} GiB"


def _reset_memory(bench: Bench) -> None:
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(bench.device)
