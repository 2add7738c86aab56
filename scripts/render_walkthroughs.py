"""Renders video clips with exact cameras from Freedoom's maps.

    python scripts/render_walkthroughs.py --split train --clips 100 --out FOLDER

Needs vizdoom (`pip install -e .[walkthroughs]`), no display and no GPU. The same seed writes the same files; clip
number i does not depend on how many clips are asked for. `data/README.md` describes the files.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

try:
    from walkthroughs import engine, images, paths, wad
except ModuleNotFoundError as error:
    if error.name != "vizdoom":
        raise
    raise SystemExit("vizdoom is not installed: pip install -e '.[walkthroughs]'") from error

MAPS = Path(__file__).parents[1] / "data" / "walkthroughs" / "maps.json"
SPLITS = ("train", "validation", "test")
RATE = 12  # frames a second of the usual pace: at 24 the same walk has twice as many frames
QUALITY = 20  # x264's constant rate factor
PROPOSALS = 2000  # paths tried in a map before going on to the next
FAR = 1000.0  # metres, for the sky
RENDERINGS = 30  # of them rendered and looked at


def roomy(space: paths.FreeSpace, path: paths.Path) -> bool:
    """Whether the planned views are worth rendering: never near a wall, some depth in each, mostly not sky.

    Args:
        space: the map.
        path: a proposed path.
    """
    for index in range(0, len(path.yaw), 6):
        lens = images.Lens.of(path, index)
        depth = images.depth_map(space, path.eye[index], float(path.yaw[index]), lens, 24, 18)
        near, front, middle, back = np.percentile(np.minimum(depth, FAR), [4, 15, 50, 85])
        if near < 1.2 or middle < 3.0 or back < max(5.0, 2.2 * front) or np.isinf(depth).mean() > 0.2:
            return False
    return True


def clear(image: np.ndarray) -> bool:
    """Whether an image is bright, textured and not all of one glaring colour.

    Args:
        image: (height, width, 3) of bytes.
    """
    colours = image.astype(np.float32)
    grey = colours.mean(-1)
    detail = np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=0)).mean()
    glaring = (colours.max(-1) > 2.5 * np.median(colours, -1) + 40).mean()
    return bool(70 < grey.mean() < 215 and (grey < 20).mean() < 0.08 and detail > 6 and glaring < 0.2)


def film(
    session: engine.DoomGame, path: paths.Path, size: tuple[int, int], least_change: float
) -> list[images.Frame] | None:
    """All frames along a path, or None at the first one that is poor, frozen or not covered by the engine's image.

    Args:
        session: a game in the path's map.
        path: the cameras wanted.
        size: width and height in pixels.
        least_change: mean difference of neighbouring frames, of 255, below which the image counts as frozen.
    """
    frames: list[images.Frame] = []
    for index, view in enumerate(engine.fly(session, path)):
        frame = images.take_image(view, images.Lens.of(path, index), *size)
        if frame is None or not clear(frame.image):
            return None
        if frames and np.abs(frames[-1].image.astype(float) - frame.image).mean() < least_change:
            return None
        frames.append(frame)
    return frames


def film_map(
    name: str, random: np.random.Generator, count: int, size: tuple[int, int], rate: int
) -> tuple[paths.FreeSpace, list[images.Frame]] | None:
    """A good clip of a map: its free space and its frames; None where the map offers none.

    Args:
        name: game and map: `freedoom2/MAP01`.
        random: the generator.
        count: how many frames.
        size: width and height in pixels.
        rate: frames a second.
    """
    factor = rate / RATE
    game, map_name = name.split("/")
    space = paths.FreeSpace(wad.read_map(wad.read_wad(engine.game_folder() / f"{game}.wad"), map_name))
    with engine.open_map(game, map_name) as session:
        rendered = 0
        for _ in range(PROPOSALS):
            path = paths.propose_path(random, space, math.ceil((count - 1) / factor) + 1)
            if path is None or not roomy(space, path):
                continue
            frames = film(session, path.resampled(factor), size, 0.8 / factor)
            if frames is not None:
                return space, frames[:count]
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
        found = film_map(name, random, options.frames, options.size, options.fps)
        if found is None:
            continue
        space, frames = found
        clip = f"{options.split}_{number:04d}_{name.split('/')[1].lower()}"
        source = f"Freedoom {name}, scripts/render_walkthroughs.py --split {options.split} --seed {options.seed}"
        source += f" --fps {options.fps}" * (options.fps != RATE)
        images.write_video(
            options.out / "videos" / f"{clip}.mp4", [frame.image for frame in frames], options.fps, QUALITY
        )
        images.write_cameras(options.out / "cameras" / f"{clip}.txt", source, frames, options.fps)
        if options.depth:
            images.write_depth(options.out / "depth" / f"{clip}.npz", space, frames)
        if options.contact_sheets:
            images.write_sheet(options.contact_sheets / f"{clip}.png", frames)
        return clip
    raise SystemExit(f"no map of {options.split} offers a clip of {options.frames} frames: ask for a shorter one")


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


def rate(text: str) -> int:
    """Frames a second, at least the usual ones.

    Args:
        text: a whole number.

    Raises:
        argparse.ArgumentTypeError: it is too small.
    """
    if int(text) < RATE:
        raise argparse.ArgumentTypeError(f"{text}: want {RATE} or more")
    return int(text)


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
    parser.add_argument("--fps", type=rate, default=RATE, help=f"frames a second of one walk, {RATE} (default) or more")
    parser.add_argument("--size", type=image_size, default=(192, 144), help="image size (default 192x144)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", action="store_true", help="write coarse depth as well")
    parser.add_argument("--contact-sheets", type=Path, help="folder for one image of each clip's frames")
    return parser.parse_args(arguments)


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
