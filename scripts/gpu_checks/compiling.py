"""`torch.compile` on the structure encoder and the renderer of a training step; in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_checks.bench import Bench, Skipped
from gpu_checks.costs import seconds_of

SCRIPT = Path(__file__).resolve().parents[1] / "check_gpu.py"
PART = "--part-compile"


def compile_step(bench: Bench, limit: float) -> dict[str, Any]:
    """Graph breaks and their reasons, and the time of a compiled step beside an eager one.

    Args:
        bench: the device.
        limit: seconds; what is not known then is left out.

    Raises:
        Skipped: the time did not suffice for the graphs.
        RuntimeError: the process failed.
    """
    command = [sys.executable, str(SCRIPT), "--out", str(bench.folder), "--device", str(bench.device), PART]
    log, code = bench.folder / "compile.log", None
    command += ["--quick"] if bench.quick else []
    # A cache of its own, since one whose process was ended can be broken; no pipe, which the compiler's processes keep.
    with log.open("w") as lines, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        caching = {"TORCHINDUCTOR_CACHE_DIR": cache, "TRITON_CACHE_DIR": f"{cache}/triton"}
        process = subprocess.Popen(command, stdout=lines, stderr=lines, env=os.environ | caching)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
    said = [line for line in log.read_text().splitlines() if line.strip()]
    known = [line for line in said if line.startswith("{")]
    if not known:
        if code is None:
            raise Skipped(f"the graphs took longer than {limit:.0f} seconds")
        raise RuntimeError(said[-1] if said else f"the process left with exit code {code}")
    found = json.loads(known[-1])
    breaks = f"{found['graph_breaks']} graph breaks"
    if "time_ratio" in found:
        speed = f"compiled by {found['backend']}, forward and backward take {found['time_ratio']:.2f} of the time"
    else:
        reason = f"not within {limit:.0f} seconds" if code is None else found.get("error", "unknown")
        speed = f"compiled speed not measured: {reason}"
    reasons = "".join(f"; {reason}" for reason in found["reasons"][:3])
    return {**found, "goal_met": found["graph_breaks"] == 0, "result": f"{breaks}{reasons}; {speed}"}


def measure(bench: Bench) -> None:
    """Prints what is known as lines of JSON, each with more than the one before.

    Args:
        bench: the device, the model and a batch.
    """
    forward, inputs = _part_of_step(bench)
    explained = torch._dynamo.explain(forward)(*inputs)
    reasons = [" ".join(str(one.reason).split())[:200] for one in explained.break_reasons]
    found: dict[str, Any] = {
        "graphs": explained.graph_count,
        "graph_breaks": explained.graph_break_count,
        "reasons": reasons,
        "operations": explained.op_count,
    }
    print(json.dumps(found), flush=True)
    torch._dynamo.reset()
    # For a processor inductor needs minutes: there the quick check runs the graph as it was traced.
    backend = "aot_eager" if bench.quick and bench.device.type == "cpu" else "inductor"
    try:
        found |= _beside_eager(bench, forward, torch.compile(forward, backend=backend), inputs)
    except Exception as error:  # of any compiler: it is written down
        found["error"] = " ".join(str(error).split())[:200]
    print(json.dumps(found | {"backend": backend}), flush=True)


def _beside_eager(bench: Bench, eager: Any, compiled: Any, inputs: tuple[Any, ...]) -> dict[str, Any]:
    """Seconds of forward and backward, and losses."""

    def both_ways(function: Any, _: int) -> Tensor:
        loss = function(*inputs)
        loss.backward()
        return loss.detach()

    ways = [partial(both_ways, function) for function in (eager, compiled)]
    slow, fast = (seconds_of(way, bench.device, bench.sizes.repeats) for way in ways)
    losses = [float(way(0)) for way in ways]
    return {"eager_seconds": slow, "compiled_seconds": fast, "time_ratio": fast / slow, "losses": losses}


def _part_of_step(bench: Bench) -> tuple[Any, tuple[Any, ...]]:
    """The loss after structure and renderer as a function of frames; the drawing of a split and cameras lie before."""
    from video_ae.geometry.frustum import inverse_depth_planes
    from video_ae.models.perspective import fixed_split, nearest_inverse_depth

    model, frames = bench.training.model, bench.clip.frames
    estimate = model._cached_cameras(frames)
    split = fixed_split(frames.shape[1])
    planes = inverse_depth_planes(nearest_inverse_depth(estimate.inverse_depth), model.planes)
    contexts, targets = (estimate.cameras.select(chosen) for chosen in (split.contexts, split.targets))
    reference = estimate.cameras.select([split.reference])

    def forward(seen: Tensor, hidden: Tensor) -> Tensor:
        volume = model.structure(seen, contexts, reference, planes)
        return (model.renderer(volume, targets, *seen.shape[-2:]).rgb - hidden).abs().mean()

    return forward, (frames[:, split.contexts], frames[:, split.targets])
