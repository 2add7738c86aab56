"""Frozen frames are part of the package: an installation looks at the same frames as a clone."""

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from video_ae.evaluation.protocols.frozen_frames import FROZEN_FOLDER, find_frozen

ROOT = Path(__file__).parents[2]
FILES = ["real_clips.json", "walkthroughs_test.json"]


def test_the_files_are_found_through_the_package():
    folder = files("video_ae.evaluation") / "frames"
    assert sorted(file.name for file in folder.iterdir()) == FILES
    assert folder == FROZEN_FOLDER
    for name in FILES:
        clips = json.loads((folder / name).read_text(encoding="utf-8"))["clips"]
        assert find_frozen(list(clips)).name == name
        assert find_frozen([*clips, "another clip"]) is None


@pytest.mark.slow
@pytest.mark.skipif(find_spec("setuptools") is None, reason="setuptools is not installed")
def test_a_wheel_has_them_and_finds_them(tmp_path):
    source, wheels, installed = tmp_path / "source", tmp_path / "wheels", tmp_path / "installed"
    shutil.copytree(ROOT / "video_ae", source / "video_ae", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", ".", "-w", str(wheels)]
    subprocess.run(command, cwd=source, check=True, timeout=300)
    with ZipFile(next(wheels.glob("*.whl"))) as wheel:
        assert {f"video_ae/evaluation/frames/{name}" for name in FILES} <= set(wheel.namelist())
        wheel.extractall(installed)
    program = (
        "import video_ae; from video_ae.evaluation.protocols.frozen_frames import find_frozen;"
        "print(video_ae.__file__); print(find_frozen(['box', 'hololens_b']).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    path, name = done.stdout.split()
    assert Path(path).is_relative_to(installed)
    assert name == "real_clips.json"
