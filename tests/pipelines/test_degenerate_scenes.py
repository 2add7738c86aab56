"""No file of any result holds a number that is not finite, whatever the video shows."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file

from video_ae.cli.main import main
from video_ae.formats.ply import read_vertices

NOT_FINITE = re.compile(rb"(?<![\w.])[-+]?(?:nan|inf|infinity)(?![\w.])", re.IGNORECASE)
SIZES = [(48, 32), (32, 48), (17, 33), (160, 16)]


def black(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    return np.zeros(shape)


def white(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    return np.full(shape, 255)


def repeated(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    return np.broadcast_to(draw.integers(0, 256, shape[1:]), shape)


def noise(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    return draw.integers(0, 256, shape)


def flash(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Black but for one white frame."""
    frames = np.zeros(shape)
    frames[draw.integers(len(frames))] = 255
    return frames


def one_pixel(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Black but for one pixel that moves."""
    frames = np.zeros(shape)
    for number, frame in enumerate(frames):
        frame[shape[1] // 2, number % shape[2]] = 255
    return frames


def stripes(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Texture in one direction only, which moves along it."""
    return np.broadcast_to((np.arange(shape[2])[:, None] // 3 % 2 * 255), shape)


def jumps(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Another image in each frame, of large blocks."""
    blocks = draw.integers(0, 256, (shape[0], 4, 4, 3))
    return blocks.repeat(-(-shape[1] // 4), 1).repeat(-(-shape[2] // 4), 2)[:, : shape[1], : shape[2]]


SCENES = (black, white, repeated, noise, flash, one_pixel, stripes, jumps)


def not_finite(folder: Path) -> list[str]:
    """What in the files of a result is not finite.

    NaN stands where something is not known, as documented: depths in depth.npz, times of images without any.
    """
    found = []
    for path in folder.rglob("*"):
        if path.suffix == ".json":
            words: list[str] = []
            json.loads(path.read_text(), parse_constant=words.append)
            found += [f"{path.name} {word}" for word in words]
        elif path.suffix == ".txt" and NOT_FINITE.search(path.read_bytes()):
            found.append(path.name)
        elif path.suffix == ".safetensors":
            arrays = {name: values for name, values in load_file(path).items() if name != "clip.times"}
            found += [f"{path.name} {name}" for name, values in arrays.items() if not finite(values)]
        elif path.suffix == ".ply":
            vertices = read_vertices(path, ("x",), "points") if b"float x" in path.read_bytes()[:400] else {}
            found += [f"{path.name} {name}" for name, values in vertices.items() if not finite(values)]
        elif path.suffix == ".npz":
            values = np.load(path)["depth"]
            found += [path.name] if np.isinf(values).any() or (values[~np.isnan(values)] <= 0).any() else []
    return found


def finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values.astype(np.float64)).all())


@pytest.mark.parametrize(
    "scene", [flash, *(pytest.param(one, marks=pytest.mark.slow) for one in SCENES if one != flash)]
)
@settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate])
@given(size=st.sampled_from(SIZES), count=st.integers(2, 5), seed=st.integers(0, 2**32 - 1))
def test_every_number_of_every_file_is_finite(scene, tmp_path_factory, size, count, seed):
    folder = tmp_path_factory.mktemp("scene")
    shape = (count, size[1], size[0], 3)
    for number, frame in enumerate(scene(shape, np.random.default_rng(seed)).astype(np.uint8)):
        (folder / "frames").mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(frame)).save(folder / "frames" / f"{number}.png")
    out = folder / "out"
    assert main(["reconstruct", str(folder / "frames"), "--refine", "1", "--out", str(out)]) == 0
    assert main(["render", str(out), "--path", "orbit", "--frames", "2", "--out", str(folder / "orbit.mp4")]) == 0
    assert len(list(out.rglob("*"))) > 10
    assert not_finite(out) == []


def test_the_search_finds_what_is_not_finite(tmp_path):
    (tmp_path / "a.json").write_text('{"x": [1, -Infinity]}')
    (tmp_path / "b.txt").write_text("1 nan 2")
    (tmp_path / "c.txt").write_text("infinite nanometres 1 2")
    np.savez(tmp_path / "depth.npz", depth=np.array([1.0, np.inf, np.nan]))
    assert sorted(not_finite(tmp_path)) == ["a.json -Infinity", "b.txt", "depth.npz"]
