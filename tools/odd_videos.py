"""Writes odd but valid videos (container x codec x property) and compares what is read with what `ffmpeg` shows.

    python tools/odd_videos.py --out runs/odd_videos [--seed 0] [--count 60] [--page docs/decoders.md]

Each file is read by every decoder, forwards, shuffled, and scaled where the decoder does it; the reference is the
program `ffmpeg` with the filters that bring that property to square, upright, progressive pixels of the standard range.
Written are the files, results.json,
and the table of a page, between `<!-- odd videos -->` and `<!-- /odd videos -->`. What `auto` refuses is given to the
command `reconstruct`, too, which must say the same sentence, write nothing and leave with exit code 2. Exit code 1 if
a decoder neither agrees with ffmpeg nor refuses in one sentence.
"""

import argparse
import json
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odd_video_kinds import CODECS, COUNT, PROPERTIES, RATE, Property, containers_of, write_odd_video

from video_ae.errors import UserError
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video

BLOCK = re.compile(r"(<!-- odd videos -->).*?(<!-- /odd videos -->)", re.DOTALL)
DECODERS = ("auto", "pyav", "torchcodec", "decord")
MEAN_TOLERANCE = 3.0  # of 255, where pixels are resampled or tone mapped; another frame differs by 30
TIME_TOLERANCE = 2e-3  # seconds: a tick of Matroska and a half


@dataclass(frozen=True)
class Case:
    """One file.

    Args:
        prop: name of the property.
        codec, container: short names.
    """

    prop: str
    codec: str
    container: str

    @property
    def file(self) -> str:
        return f"{self.prop}-{self.codec}.{self.container}".replace(" ", "_").replace(":", "x")


def choose_cases(seed: int, count: int) -> list[Case]:
    """Every property once, then others at random, none twice.

    Args:
        seed: of the choice.
        count: of files.
    """
    generator = random.Random(seed)
    possible = {
        name: [Case(name, codec, suffix) for codec in prop.codecs or CODECS for suffix in containers_of(prop, codec)]
        for name, prop in PROPERTIES.items()
    }
    for cases in possible.values():
        generator.shuffle(cases)
    first = [cases.pop() for cases in possible.values()]
    rest = [case for cases in possible.values() for case in cases]
    return (first + generator.sample(rest, min(len(rest), max(0, count - len(first)))))[:count]


def ffmpeg_shows(path: Path, prop: Property, size: tuple[int, int], flags: str = "") -> np.ndarray:
    """[frame, height, width, 3]: what the program shows at a size, with the filters of the property.

    Args:
        path: of the video.
        prop: its property.
        size: (width, height) that the reader has.
        flags: of the scaling, where frames are scaled.
    """
    scale = f"scale={size[0]}:{size[1]}" + (f":flags={flags}" if flags else "")
    scaled = [] if prop.shown_size_is_coded and not flags else [scale]
    filters = ["-vf", ",".join([*prop.shown_by, *scaled])] if prop.shown_by or scaled else []
    rgb = ["-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), *filters, *rgb], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, size[1], size[0], 3)


def shown_aspect(path: Path) -> float:
    """Width over height at which the program shows a file: its pixels may not be square."""
    show = ["ffmpeg", "-hide_banner", "-i", str(path), "-vf", "showinfo", "-frames:v", "1", "-f", "null", "-"]
    log = subprocess.run(show, capture_output=True, text=True, check=True).stderr
    size, pixel = re.search(r" s:(\d+x\d+)", log), re.search(r" sar:(\d+/\d+)", log)
    (width, height), (across, down) = (map(int, re.split("[x/]", found[1])) for found in (size, pixel))
    return width / height * (across / down if across else 1)


def shown_times(path: Path, count: int) -> np.ndarray:
    """Seconds from the first frame, as `ffprobe` lists them; even ones where it lists none (avi)."""
    show = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"]
    listed = subprocess.run([*show, "-of", "csv=p=0", str(path)], capture_output=True, text=True, check=True).stdout
    stamps = [line.strip(",") for line in listed.split() if line.strip(",")]
    if "N/A" in stamps or len(stamps) != count:
        return np.arange(count) * (COUNT / count / RATE)
    times = np.array(stamps, float)
    return times - times[0]


def compare(reader: VideoReader, expected: np.ndarray, times: np.ndarray) -> float:
    """Largest mean difference of a frame to ffmpeg's; ValueError where frames are missing, shifted or out of place."""
    if len(reader) != len(expected):
        raise ValueError(f"{len(reader)} frames, ffmpeg has {len(expected)}")
    if np.abs(reader.times.numpy() - times).max() > TIME_TOLERANCE:
        raise ValueError(f"times differ by {np.abs(reader.times.numpy() - times).max():.3f} s")
    shuffled = random.Random(0).sample(range(len(reader)), len(reader))
    worst = 0.0
    for order in (list(range(len(reader))), shuffled, *([number] for number in shuffled[:4])):
        found = reader.read(order).permute(0, 2, 3, 1).numpy()
        worst = max(worst, np.abs(found.astype(int) - expected[order]).mean((1, 2, 3)).max())
    if worst > MEAN_TOLERANCE:
        raise ValueError(f"frames differ by {worst:.1f} of 255")
    return worst


def compare_scaled(reader: VideoReader, path: Path, prop: Property) -> dict[str, float]:
    """{"scaled": largest mean difference of a frame to ffmpeg's, at half the size}: so frames are prepared."""
    small = reader.shrunk((reader.image_size[0] // 2, reader.image_size[1] // 2))
    expected = ffmpeg_shows(path, prop, small.image_size, "bilinear+accurate_rnd+full_chroma_int").astype(int)
    found = small.read(range(len(small))).permute(0, 2, 3, 1).numpy()
    worst = float(np.abs(found - expected).mean((1, 2, 3)).max())
    if worst > MEAN_TOLERANCE:
        raise ValueError(f"scaled frames differ by {worst:.1f} of 255")
    return {"scaled": round(worst, 2)}


def try_decoder(decoder: str, path: Path, prop: Property) -> dict:
    """{"verdict": "read" | "refused" | "WRONG", "difference" (and "scaled") or "reason": ...}."""
    try:
        reader = open_video(path, decoder)
        width, height = reader.image_size
        if abs(width - height * shown_aspect(path)) > 1:
            raise ValueError(f"shown with an aspect of {shown_aspect(path):.3f}, read at {width}x{height}")
        expected = ffmpeg_shows(path, prop, reader.image_size)
        difference = compare(reader, expected, shown_times(path, len(expected)))
        scaled = compare_scaled(reader, path, prop) if decoder == "pyav" else {}
        return {"verdict": "read", "difference": round(float(difference), 2)} | scaled
    except UserError as refusal:
        sentence = str(refusal).replace(f"{path.parent}/", "")
        return {"verdict": "refused" if "\n" not in sentence else "WRONG", "reason": sentence}
    except Exception as error:
        return {"verdict": "WRONG", "reason": f"{type(error).__name__}: {error}"}


def try_command(path: Path, reason: str) -> dict:
    """As `try_decoder`, of `video-ae reconstruct`, which must refuse a file for this reason, with exit code 2."""
    out = path.with_suffix(".out")
    command = [sys.executable, "-m", "video_ae", "reconstruct", str(path), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stderr.replace(f"{path.parent}/", "").splitlines()
    plain = done.returncode == 2 and said[-1:] == [f"video-ae: error: {reason}"] and not out.exists()
    verdict = "refused" if plain and not any("Traceback" in line for line in said) else "WRONG"
    return {"verdict": verdict, "reason": f"{done.returncode}: {' / '.join(said)}"}


def table(results: list[dict]) -> str:
    """A row for each property: what is done with it, in how many files, and what the decoders do."""
    titles = ["property", "files", "`auto`", "difference (of 255)", "scaled", "`pyav`", "`torchcodec`", "`decord`"]
    rows = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    grouped = defaultdict(list)
    for result in results:
        grouped[result["property"]].append(result)
    for name, group in grouped.items():
        counts = []
        for decoder in DECODERS[1:]:
            verdicts = [one[decoder]["verdict"] for one in group]
            counts.append(", ".join(f"{verdicts.count(v)} {v}" for v in ("read", "refused", "WRONG") if v in verdicts))
        auto = [one["auto"]["verdict"] for one in group]
        done = PROPERTIES[name].mapped if set(auto) == {"read"} else ", ".join(sorted(set(auto)))
        worst = largest(one["auto"].get("difference") for one in group)
        scaled = largest(one["pyav"].get("scaled") for one in group)
        rows.append(f"| {name} | {len(group)} | {done} | {worst} | {scaled} | " + " | ".join(counts) + " |")
    return "\n".join(rows) + "\n"


def largest(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.1f}" if known else "-"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = []
    for case in choose_cases(arguments.seed, arguments.count):
        path, prop = arguments.out / case.file, PROPERTIES[case.prop]
        write_odd_video(path, prop, case.codec, arguments.seed)

        found = {decoder: try_decoder(decoder, path, prop) for decoder in DECODERS}
        if found["auto"]["verdict"] == "refused":
            found["command"] = try_command(path, found["auto"]["reason"])
        results.append({"file": case.file, "property": case.prop} | found)
        print(case.file, {decoder: one["verdict"] for decoder, one in found.items()}, found["auto"].get("reason", ""))
    (arguments.out / "results.json").write_text(json.dumps({"seed": arguments.seed, "files": results}, indent=1))
    print(table(results))
    if arguments.page is not None:
        text = BLOCK.sub(lambda found: f"{found[1]}\n{table(results)}{found[2]}", arguments.page.read_text())
        arguments.page.write_text(text)
    tried = [one[decoder] for one in results for decoder in (*DECODERS, "command") if decoder in one]
    return int(any(one["verdict"] == "WRONG" for one in tried))


if __name__ == "__main__":
    sys.exit(main())
