"""`report.md`: what was kept and what was not, with contact sheets and histograms."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice, zip_longest
from pathlib import Path

from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.formats.atomic import write_atomically, write_text_atomically
from video_ae.geometry.trajectories import spread_frames
from video_ae.preparation.pack import Kept, Packed
from video_ae.preparation.scan import read_jpegs
from video_ae.preparation.segments import Dropped
from video_ae.preparation.video import FRAMES, RECORD, load_record

ROWS, COLUMNS = 24, 6  # of a contact sheet
CELL = (128, 96)  # pixels
LABEL = 14  # pixels above a row
SHEETS = 4  # of each kind: the rest is only listed
LISTED = 200


@dataclass(frozen=True)
class Row:
    """One line of a contact sheet: some frames of one segment or dropped part.

    Args:
        label: written above it.
        video: the video's name.
        frames: numbers of all frames of the part.
    """

    label: str
    video: str
    frames: Sequence[int]


def write_report(packed: Packed, folders: dict[str, Path], out: Path) -> None:
    """Writes `report.md`, contact sheets and histograms.

    Args:
        packed: what was packed and what was not.
        folders: video name -> the folder of its small frames.
        out: the folder to write into.
    """
    kept_rows = [
        Row(f"{segment.name}: {len(segment.frames)} frames", segment.video, segment.frames) for segment in packed.kept
    ]
    dropped_rows = [
        Row(f"{name}: {part.first} to {part.last}, {part.reason}", name, range(part.first, part.last + 1))
        for name, part in _listed_parts(packed)
    ]
    sheets = {
        kind: _write_sheets(rows, folders, out, kind)
        for kind, rows in (("kept", kept_rows), ("left_out", dropped_rows))
    }
    _histograms(packed, out)
    text = _text(packed, sheets)
    write_text_atomically(out / "report.md", text)


def frames_by_reason(packed: Packed) -> dict[str, int]:
    """How many frames were left out for each reason, the most frequent first; all duplicates count together.

    Args:
        packed: what was packed and what was not.
    """
    counts: Counter[str] = Counter()
    for parts in packed.dropped.values():
        for part in parts:
            reason = "duplicate" if part.reason.startswith("duplicate of") else part.reason
            reason = "unreadable" if len(reason) > 60 else reason
            counts[reason] += part.last - part.first + 1
    return dict(counts.most_common())


def _text(packed: Packed, sheets: dict[str, list[str]]) -> str:
    kept = sum(len(segment.frames) for segment in packed.kept)
    videos = len({segment.video for segment in packed.kept})
    lines = [
        "# What was prepared", "",
        f"{kept} of {packed.frames} frames are kept, in {len(packed.kept)} segments of {videos} videos; "
        f"{len(packed.skipped)} videos gave nothing.", "",
        *_reasons(packed),
        "![lengths](histogram_lengths.png)", "", "![overlap](histogram_overlap.png)", "",
        "Overlap: the share of a frame that is still visible in a frame so much later "
        "(the setting `data.overlap` of training uses it).", "",
    ]  # fmt: skip
    if packed.skipped:
        lines += ["## Videos that gave nothing", "", "| video | why |", "|---|---|"]
        lines += [f"| {_cell(name)} | {_cell(reason)} |" for name, reason in list(packed.skipped.items())[:LISTED]]
        lines += _more(len(packed.skipped))
    parts = _listed_parts(packed)
    if parts:
        lines += ["", "## Parts left out", "", "| video | frames | why |", "|---|---|---|"]
        lines += [
            f"| {_cell(name)} | {part.first} to {part.last} | {_cell(part.reason)} |" for name, part in parts[:LISTED]
        ]
        lines += [*_more(len(parts)), "", *(f"![left out]({name})" for name in sheets["left_out"])]
    lines += ["", "## Segments", "", "| segment | frames | overlap at " + ", ".join(map(str, OVERLAP_GAPS)) + " |"]
    lines += ["|---|---|---|"]
    for segment in packed.kept[:LISTED]:
        curve = ", ".join(f"{value:.2f}" for value in _measured(segment))
        lines.append(f"| {_cell(segment.name)} | {len(segment.frames)} | {curve} |")
    lines += [*_more(len(packed.kept)), "", *(f"![kept]({name})" for name in sheets["kept"])]
    return "\n".join(lines) + "\n"


def _measured(segment: Kept) -> list[float]:
    """Overlaps at the gaps that fit into the segment; further ones are not measured."""
    return [value for gap, value in zip(OVERLAP_GAPS, segment.overlaps, strict=True) if gap < len(segment.frames)]


def _listed_parts(packed: Packed) -> list[tuple[str, Dropped]]:
    """(video, part) of all but repeated frames, which are single ones between others: their number says enough."""
    return [(name, part) for name, parts in packed.dropped.items() for part in parts if part.reason != "repeated"]


def _reasons(packed: Packed) -> list[str]:
    counts = frames_by_reason(packed)
    rows = [f"| {reason} | {count} |" for reason, count in counts.items()]
    return ["| frames left out because | frames |", "|---|---|", *rows, ""] if counts else []


def _more(count: int) -> list[str]:
    return [f"\n... and {count - LISTED} more."] if count > LISTED else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _write_sheets(rows: list[Row], folders: dict[str, Path], out: Path, kind: str) -> list[str]:
    """Contact sheets `KIND_N.png`; returns their names. Parts without readable frames are not on them."""
    from PIL import Image, ImageDraw

    rows_of_images = ((row.label, _images(row, folders[row.video])) for row in rows)
    lines = list(islice(((label, images) for label, images in rows_of_images if images), ROWS * SHEETS))
    names = []
    for start in range(0, len(lines), ROWS):
        part = lines[start : start + ROWS]
        heights = [LABEL + max(image.height for image in images) for _, images in part]
        sheet = Image.new("RGB", (COLUMNS * CELL[0], sum(heights)), "white")
        draw = ImageDraw.Draw(sheet)
        for (label, images), top in zip(part, accumulate(heights, initial=0), strict=False):
            draw.text((2, top + 1), label[:120], fill="black")
            for column, image in enumerate(images):
                sheet.paste(image, (column * CELL[0], top + LABEL))
        name = f"{kind}_{start // ROWS}.png"
        write_atomically(out / name, partial(sheet.save, format="PNG"))
        names.append(name)
    return names


def _images(row: Row, folder: Path) -> list:
    from PIL import Image

    if not (folder / FRAMES).is_file():
        return []
    offsets = load_record(folder / RECORD).offsets
    numbers = [row.frames[index] for index in spread_frames(len(row.frames), COLUMNS)]
    images = []
    for jpeg in read_jpegs(folder / FRAMES, offsets, [number for number in numbers if number < len(offsets) - 1]):
        image = Image.open(io.BytesIO(jpeg))
        image.thumbnail(CELL)
        images.append(image)
    return images


def _histograms(packed: Packed, out: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="frames of a segment", ylabel="segments")
    axes.hist([len(segment.frames) for segment in packed.kept], bins=30)
    FigureCanvasAgg(figure)
    write_atomically(out / "histogram_lengths.png", lambda temporary: figure.savefig(temporary, format="png"))

    overlap = Figure(figsize=(6, 3), layout="constrained")
    axes = overlap.add_subplot(xlabel="frames apart", ylabel="overlap", ylim=(0, 1))
    columns = zip_longest(*map(_measured, packed.kept))
    curves = [[value for value in column if value is not None] for column in columns]
    axes.boxplot(curves, tick_labels=[str(gap) for gap in OVERLAP_GAPS[: len(curves)]])
    FigureCanvasAgg(overlap)
    write_atomically(out / "histogram_overlap.png", lambda temporary: overlap.savefig(temporary, format="png"))
