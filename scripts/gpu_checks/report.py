"""What was found, as JSON and as a page; and on which machine."""

import json
import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

PACKAGES = ("torch", "numpy", "lightning", "kornia", "numba", "triton", "torchcodec", "av")


def machine(device: Any) -> dict[str, Any]:
    """The device, the processor and the versions.

    Args:
        device: of torch.
    """
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found: dict[str, Any] = {
        "device": str(device),
        "name": f"the processor (threads: {torch.get_num_threads()})" if device.type == "cpu" else device.type,
        "processor": f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}",
        "versions": {"Python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["name"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        found["versions"]["CUDA"] = torch.version.cuda
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def plain(value: Any) -> Any:
    """The same with numbers of six digits and None for those that are not finite, as JSON allows them.

    Args:
        value: of dictionaries, lists and plain values.

    >>> plain({"a": [1 / 3, float("nan"), 2]})
    {'a': [0.333333, None, 2]}
    """
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def write(folder: Path, report: dict[str, Any]) -> None:
    """Writes check_gpu.json and check_gpu.md, each complete or not at all.

    Args:
        folder: of the results.
        report: what was found so far.
    """
    _replace(folder / "check_gpu.json", json.dumps(plain(report), indent=1, allow_nan=False))
    _replace(folder / "check_gpu.md", page(report))


def _replace(path: Path, text: str) -> None:
    """Stands alone, since it must work before the package can be imported."""
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def page(report: dict[str, Any]) -> str:
    """The page as Markdown.

    Args:
        report: as written by `write`.
    """
    found = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items() if number)
    rows = []
    for name, check in report["checks"].items():
        goal = check.get("goal") or ""
        if goal and check["state"] == "passed" and "goal_met" in check:
            goal += ": met" if check["goal_met"] else ": not met"
        rows.append(f"| {name} | {check['result'].replace('|', '/')} | {goal} | {check['seconds']:.1f} s |\n")
    sizes = "small sizes, which say nothing about speed" if report["quick"] else "whole sizes"
    return f"""# On a GPU

By `python scripts/check_gpu.py` with {sizes}, on {found["name"]}, {found["processor"]}: {versions}.

| check | result | goal | time |
|---|---|---|---|
{"".join(rows)}
The floor is the longer of two times: operations of matrix products and convolutions over the largest measured speed of
a matrix product, and bytes over the bandwidth of a large copy. Bytes are those that each operation reads and writes by
itself, so that fused code can take less.
"""
