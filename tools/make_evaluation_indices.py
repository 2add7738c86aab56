"""Writes a frozen index of evaluation frames.

    python tools/make_evaluation_indices.py ROOT video_ae/evaluation/frames/NAME.json
        [--apart CLIP=REASON] [--group NAME=GLOB]

A clip that stands apart is left out of every mean; a group gets a mean of its own. ROOT is a folder in
RealEstate10K's layout; only `cameras/*.txt` is read. Nothing is drawn at random: the rule is written into the file, so
that the same cameras give the same file byte for byte.
"""

import argparse
import json
from fnmatch import fnmatch
from pathlib import Path

from video_ae.evaluation.protocols.frozen_frames import EVERY, View, middle_views, onward_views

GAPS = (2, 4, 8)
DISTANCES = (1, 3, 5, 10)
RULE = {
    "middle": f"per gap g: [i, i + 2g, i + g] = two contexts and the target, i = 0, {EVERY}, {2 * EVERY}, ...",
    "onward": f"per distance d: [i, i + d] = one context and the target, i = 0, {EVERY}, {2 * EVERY}, ...",
    "poses": "all frames; pairs 1, 5 and 10 apart",
}


def clip_entry(frames: int) -> dict:
    def rows(views: list[View]) -> list[list[int]]:
        return [[*view.contexts, view.target] for view in views]

    return {
        "frames": frames,
        "middle": {str(gap): rows(middle_views(frames, gap)) for gap in GAPS},
        "onward": {str(distance): rows(onward_views(frames, distance)) for distance in DISTANCES},
    }


def frame_count(cameras: Path) -> int:
    """Lines after the first, which names the source."""
    return sum(bool(line.strip()) for line in cameras.read_text().splitlines()[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--apart", action="append", default=[], metavar="CLIP=REASON")
    parser.add_argument("--group", action="append", default=[], metavar="NAME=GLOB")
    arguments = parser.parse_args()
    files = sorted((arguments.root / "cameras").glob("*.txt"))
    if not files:
        parser.error(f"{arguments.root} holds no cameras/*.txt: give a folder in RealEstate10K's layout")
    clips = [f"  {json.dumps(file.stem)}: {json.dumps(clip_entry(frame_count(file)))}" for file in files]
    means = {
        "apart": dict(pair.split("=", 1) for pair in arguments.apart),
        "groups": {
            name: [file.stem for file in files if fnmatch(file.stem, pattern)]
            for name, pattern in (pair.split("=", 1) for pair in arguments.group)
        },
    }
    head = ",\n ".join(f'"{name}": {json.dumps(value, indent=1)}' for name, value in ({"rule": RULE} | means).items())
    text = f'{{{head},\n "clips": {{\n' + ",\n".join(clips) + "\n}}\n"
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text)
    print(f"wrote {arguments.out}: {len(files)} clips")


if __name__ == "__main__":
    main()
