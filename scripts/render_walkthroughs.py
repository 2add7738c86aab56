"""Renders video clips with exact cameras from Freedoom's maps.

    python scripts/render_walkthroughs.py --split train --clips 100 --out FOLDER
    python scripts/render_walkthroughs.py --split train --clips 3 --out FOLDER --readout 0.4 --shake 1

The second one films as a phone does.
Needs vizdoom (`pip install -e .[walkthroughs]`), no display and no GPU. The same seed writes the same files; clip
number i does not depend on how many clips are asked for. `data/README.md` describes the files.
"""

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np

try:
    from walkthroughs import choice, engine, images, paths, phone, wad
    from walkthroughs.lenses import Distortion
    from walkthroughs.people import People
except ModuleNotFoundError as error:
    if error.name != "vizdoom":
        raise
    raise SystemExit("vizdoom is not installed: pip install -e '.[walkthroughs]'") from error

MAPS = Path(__file__).parents[1] / "data" / "walkthroughs" / "maps.json"
SPLITS = ("train", "validation", "test")
RATE = 12  # frames a second of the usual pace: at 24 the same walk has twice as many frames
QUALITY = 20  # x264's constant rate factor
PROPOSALS = 2000  # paths tried in a map before going on to the next
RENDERINGS = 30  # of them rendered and looked at


def film_effects(
    session: engine.DoomGame, path: paths.Path, options: argparse.Namespace, random: np.random.Generator, game: str
) -> list[images.Frame] | None:
    """The frames of a good path as the phone of the options sees them; None where they are not covered.

    Args:
        session: a game in the path's map.
        path: the walk at the usual pace.
        options: of the command line (`parse`).
        random: the generator of what the phone adds.
        game: `freedoom1` or `freedoom2`.
    """
    used, tics = options.phone, options.fps / RATE * phone.MOMENTS  # of the engine for a frame at the usual pace
    walk = path.shaken(random, used.shake).resampled(tics, smooth=True).padded(used.reach)
    people = None
    if used.people:
        lumps = wad.read_wad(engine.game_folder() / f"{game}.wad")
        people = People(lumps, walk, tics, used.people, random)
    frames = list(phone.film(phone.Walk(session, walk, phone.MOMENTS), used, options.size, people))[: options.frames]
    return None if None in frames else [frame for frame in frames if frame is not None]


def film_map(
    name: str, random: np.random.Generator, options: argparse.Namespace
) -> tuple[paths.FreeSpace, list[images.Frame]] | None:
    """A good clip of a map: its free space and its frames; None where the map offers none.

    Args:
        name: game and map: `freedoom2/MAP01`.
        random: the generator.
        options: of the command line (`parse`).

    Raises:
        SystemExit: the engine's images do not cover a good walk with the lens, zoom or shake that was asked for.
    """
    factor = options.fps / RATE
    game, map_name = name.split("/")
    space = paths.FreeSpace(wad.read_map(wad.read_wad(engine.game_folder() / f"{game}.wad"), map_name))
    with engine.open_map(game, map_name) as session:
        rendered = 0
        for _ in range(PROPOSALS):
            path = paths.propose_path(random, space, math.ceil((options.frames - 1) / factor - 1e-9) + 1)
            if path is None or not choice.roomy(space, path):
                continue
            usual = path if options.phone.steady else path.resampled(factor)
            frames = choice.film_good(session, usual, options.size, 0.8 / (1.0 if options.phone.steady else factor))
            if frames is not None:
                if options.phone.steady:
                    frames = film_effects(session, path, options, random, game)
                if frames is None:
                    raise SystemExit(f"{name}: the lens, zoom or shake shows what the engine's images do not cover")
                return space, frames[: options.frames]
            rendered += 1
            if rendered == RENDERINGS:
                break
    return None


def render_clip(number: int, options: argparse.Namespace) -> str:
    """Writes one clip and returns its name.

    Args:
        number: of the clip in its split.
        options: of the command line (`parse`).
    """
    names = json.loads(MAPS.read_text())[options.split]
    # One generator per clip. Clips go through the shuffled maps in turn; where a map offers none, chance picks another.
    order = np.random.default_rng([options.seed, SPLITS.index(options.split)]).permutation(len(names))
    random = np.random.default_rng([options.seed, SPLITS.index(options.split), number])
    others = np.random.default_rng([options.seed, number]).permutation(len(names))
    for index in [order[number % len(names)], *others]:
        name = names[index]
        found = film_map(name, random, options)
        if found is None:
            continue
        clip = f"{options.split}_{number:04d}_{name.split('/')[1].lower()}{options.suffix}"
        write_clip(clip, name, *found, random, options)
        return clip
    raise SystemExit(f"no map of {options.split} offers a clip of {options.frames} frames: ask for a shorter one")


def write_clip(
    clip: str, name: str, space: paths.FreeSpace, frames: list[images.Frame], random: np.random.Generator,
    options: argparse.Namespace,
) -> None:  # fmt: skip
    """Writes the files of one clip.

    Args:
        clip: its name.
        name: of its map.
        space: the map.
        frames: of the clip.
        random: the generator of exposure and noise.
        options: of the command line (`parse`).
    """
    source = f"Freedoom {name}, scripts/render_walkthroughs.py --split {options.split} --seed {options.seed}"
    source += f" --fps {options.fps}" * (options.fps != RATE)
    developed = phone.develop(frames, options.phone, random)
    images.write_video(options.out / "videos" / f"{clip}.mp4", developed, options.fps, QUALITY)
    images.write_cameras(options.out / "cameras" / f"{clip}.txt", source, frames, options.fps)
    if options.phone.steady:
        (options.out / "phone").mkdir(exist_ok=True)
        (options.out / "phone" / f"{clip}.json").write_text(json.dumps(dataclasses.asdict(options.phone)) + "\n")
    if options.phone.people:
        (options.out / "masks").mkdir(exist_ok=True)
        images.write_masks(options.out / "masks" / f"{clip}.npz", frames)
    if options.depth:
        images.write_depth(options.out / "depth" / f"{clip}.npz", space, frames)
    if options.contact_sheets:
        images.write_sheet(options.contact_sheets / f"{clip}.png", developed)


def image_size(text: str) -> tuple[int, int]:
    """`192x144` as (192, 144); both even, as H.264 wants.

    Args:
        text: WIDTHxHEIGHT.

    Raises:
        argparse.ArgumentTypeError: when a number is odd or small, or the proportion unusual.
    """
    width, height = (int(part) for part in text.split("x"))
    if min(width, height) < 16 or width % 2 or height % 2 or not 1.2 < width / height < 1.8:
        raise argparse.ArgumentTypeError(f"{text}: want an even WIDTHxHEIGHT, 1.2 to 1.8 times as wide as high")
    return width, height


def numbers(text: str) -> tuple[float, ...]:
    """`-0.3,0.1` as (-0.3, 0.1).

    Args:
        text: numbers with commas between them.
    """
    return tuple(float(part) for part in text.split(","))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command line.

    Args:
        arguments: its words.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--split", choices=SPLITS, required=True, help="which maps; the three lists share none")
    parser.add_argument("--clips", type=int, required=True, help="how many clips")
    parser.add_argument("--first", type=int, default=0, help="number of the first clip (default 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder for cameras/, videos/ and depth/")
    parser.add_argument("--frames", type=int, default=48, help="frames of a clip (default 48)")
    parser.add_argument("--fps", type=int, default=RATE, help=f"frames a second of the same walk (default {RATE})")
    parser.add_argument("--size", type=image_size, default=(192, 144), help="image size (default 192x144)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", action="store_true", help="write coarse depth as well")
    parser.add_argument("--contact-sheets", type=Path, help="folder for one image of each clip's frames")
    parser.add_argument("--suffix", default="", help="of the clips' names")
    effects = parser.add_argument_group("a phone's effects", "on the same walk; data/README.md describes the files")
    add = effects.add_argument
    add("--lens", type=numbers, default=(), metavar="K1[,K2...]", help="radial distortion (OpenCV, COLMAP)")
    add("--fisheye", action="store_true", help="a lens that shows angles; --lens is then OPENCV_FISHEYE's")
    add("--field-of-view", type=float, metavar="DEGREES", help="horizontal (default: the walk's, 55 to 85)")
    add("--readout", type=float, default=0.0, help="first row to last row over frame to frame, -1 to 1")
    add("--blur", type=float, default=0.0, help="time of exposure over frame to frame, 0 to 1")
    add("--zoom", type=float, default=1.0, help="focal length of the last frame over that of the first")
    add("--exposure", type=float, default=0.0, metavar="STOPS", help="by which it steps up or down")
    add("--noise", type=float, default=0.0, metavar="LEVELS", help="standard deviation, of 255")
    add("--people", type=int, default=0, metavar="N", help="figures that walk in front of the camera")
    add("--shake", type=float, default=0.0, metavar="DEGREES", help="standard deviation of the turns of a hand")
    add("--steady", action="store_true", help="no effect, but the path of one: to compare with")
    options = parser.parse_args(arguments)
    o, lens = options, Distortion(options.lens, options.fisheye)
    used = phone.Phone(lens, o.field_of_view, o.readout, o.blur, o.zoom, o.exposure, o.noise, o.people, o.shake)
    options.phone = dataclasses.replace(used, steady=options.steady or used != phone.Phone())
    if options.fps < RATE and not options.phone.steady:
        parser.error(f"--fps {options.fps}: below {RATE} give --steady or an effect as well")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Command line.

    Args:
        arguments: its words (default: those of the program).
    """
    options = parse(sys.argv[1:] if arguments is None else arguments)
    parts = ["cameras", "videos"] + ["depth"] * options.depth
    folders = [options.out / part for part in parts] + [options.contact_sheets] * bool(options.contact_sheets)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.first, options.first + options.clips):
        print(render_clip(number, options), flush=True)


if __name__ == "__main__":
    main()
