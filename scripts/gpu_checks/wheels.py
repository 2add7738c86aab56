"""What the package imports and a bare machine lacks, from a folder of wheels."""

import importlib
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

NEEDED = (
    "torch", "av", "einops", "filelock", "fsspec", "jaxtyping", "jsonargparse", "kornia", "lightning", "matplotlib",
    "numpy", "PIL", "rich", "safetensors", "typeshed_client", "yaml",
)  # fmt: skip


def missing_imports() -> list[str]:
    """Names of the modules that the checks need and that cannot be found."""
    importlib.invalidate_caches()
    return [name for name in NEEDED if find_spec(name) is None]


def install_missing(wheels: Path, target: Path) -> list[str]:
    """Installs those wheels whose package is not there yet, and lets this process and its children import them.

    Args:
        wheels: the folder.
        target: where they are installed.

    Returns:
        The names of their files.

    Raises:
        subprocess.CalledProcessError: pip refused them.
    """
    if target.is_dir():
        _import_from(target)
    chosen = [wheel for wheel in sorted(wheels.glob("*.whl")) if not _is_there(wheel.name.split("-")[0])]
    if chosen:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
        command += ["--no-deps", "--no-compile", "--target", str(target), *map(str, chosen)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        _import_from(target)
    return [wheel.name for wheel in chosen]


def _is_there(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _import_from(target: Path) -> None:
    """After what is installed, which stays as it is."""
    folder = str(target.absolute())
    if folder not in sys.path:
        sys.path.append(folder)
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([*([before] if before else []), folder])
    importlib.invalidate_caches()
