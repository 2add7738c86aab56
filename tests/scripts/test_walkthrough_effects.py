"""What a phone does to a walk-through: lenses have inverses, and rows, zoom and figures are what the files say."""

import argparse
import doctest
import json
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
WALK = ["--split", "train", "--clips", "1", "--frames", "3", "--size", "64x48"]


def rendered(folder: Path, *options: str) -> tuple[np.ndarray, np.ndarray, Path]:
    """Focal lengths over the width, camera centres and the files' stem of a three-frame walk with some effects."""
    pytest.importorskip("vizdoom", reason="rendering needs the extra `walkthroughs` (vizdoom)")
    from render_walkthroughs import main

    main([*WALK, "--out", str(folder), *options])
    (file,) = (folder / "cameras").glob("*.txt")
    table = np.array([line.split() for line in file.read_text().splitlines()[1:]], float)
    return table[:, 1], table[:, 7:], folder / "phone" / f"{file.stem}.json"


def test_worked_numbers_of_the_lenses() -> None:
    from walkthroughs import lenses

    assert doctest.testmod(lenses) == (0, 3)


@pytest.mark.parametrize("radial", [(0.03,), (-0.3, 0.1), (-0.2,)])
@pytest.mark.parametrize("fisheye", [False, True])
def test_what_a_lens_bends_is_straightened(radial: tuple[float, ...], fisheye: bool) -> None:
    from walkthroughs.lenses import Distortion

    lens, tangents = Distortion(radial, fisheye), np.linspace(0, 0.9, 50)
    found = lens.straighten(lens.bend(tangents))
    assert found is not None
    np.testing.assert_allclose(found, tangents, atol=1e-9)


def test_a_lens_that_folds_back_shows_no_ray_there() -> None:
    from walkthroughs.lenses import Distortion

    # r - 0.3 r^3 is at most 0.7027, at r = 1.054.
    assert Distortion((-0.3,)).straighten(np.array([0.1, 0.71])) is None


def test_a_rolling_shutter_has_the_pose_and_the_image_of_its_middle_row() -> None:
    pytest.importorskip("vizdoom", reason="rendering needs the extra `walkthroughs` (vizdoom)")
    from walkthroughs import engine, paths, phone, wad

    space = paths.FreeSpace(wad.read_map(wad.read_wad(engine.game_folder() / "freedoom1.wad"), "E1M3"))
    random = np.random.default_rng(0)
    path = next(filter(None, (paths.propose_path(random, space, 5) for _ in range(1000))))
    path = path.shaken(random, 3.0)
    with engine.open_map("freedoom1", "E1M3") as session:

        def film(readout: float, every: int) -> list:
            kind = phone.Phone(readout=readout, steady=True)
            fine = path.resampled(phone.MOMENTS, smooth=True).padded(kind.reach)
            return list(phone.film(phone.Walk(session, fine, every), kind, (64, 48)))

        rolled, quarters = film(0.5, phone.MOMENTS), film(0.0, phone.MOMENTS // 4)
    numbers = range(1, len(rolled) - 1)
    for number in numbers:
        np.testing.assert_allclose(rolled[number].camera_from_world, quarters[4 * number].camera_from_world, atol=0.02)

    def unlike(rows: slice, quarter: int) -> float:
        pairs = [(rolled[number].image[rows], quarters[4 * number + quarter].image[rows]) for number in numbers]
        return float(np.mean([np.abs(one.astype(int) - other).mean() for one, other in pairs]))

    for rows, right in ((slice(0, 3), -1), (slice(22, 26), 0), (slice(-3, None), 1)):
        found = {quarter: unlike(rows, quarter) for quarter in (-1, 0, 1)}
        assert min(found, key=found.__getitem__) == right, (rows, found)


def test_the_files_say_what_was_done(tmp_path: Path) -> None:
    focal, steady, _ = rendered(tmp_path / "steady", "--steady")
    zoomed, poses, file = rendered(tmp_path / "zoom", "--zoom", "1.5", "--people", "1", "--noise", "2")
    np.testing.assert_allclose(zoomed / focal, [1, 1.5**0.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(poses, steady, atol=0.02)
    told = json.loads(file.read_text())
    assert (told["zoom"], told["people"], told["noise"], told["readout"]) == (1.5, 1, 2.0, 0.0)
    masks = np.unpackbits(np.load(tmp_path / "zoom" / "masks" / f"{file.stem}.npz")["moving"], axis=-1)
    assert masks.shape == (3, 48, 64)
    assert 0.02 < masks.mean() < 0.5


def test_fewer_frames_than_usual_need_the_path_of_an_effect(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("vizdoom", reason="rendering needs the extra `walkthroughs` (vizdoom)")
    from render_walkthroughs import parse

    with pytest.raises(SystemExit):
        parse([*WALK, "--out", "x", "--fps", "6"])
    assert "--steady" in capsys.readouterr().err
    options = parse([*WALK, "--out", "x", "--fps", "6", "--steady"])
    assert isinstance(options, argparse.Namespace)
    assert options.phone.steady
