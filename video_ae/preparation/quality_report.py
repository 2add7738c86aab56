"""`report.md`: what was kept and what was not, with contact sheets and histograms."""

import io
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from itertools import accumulate, islice, zip_longest
from pathlib import Path

from PIL import Image, ImageDraw

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


def write_report(packed: Packed, folders: dict[str, Path], out: Path) -> None:
    """Writes `report.md`, contact sheets and histograms.

    Args:
        packed: what was packed and what was not.
        folders: video name -> the folder of its small frames.
        out: the folder to write into.
    """
    kept = (
        (f"{segment.name}: {len(segment.frames)} frames", _images(folders[segment.video], segment.frames))
        for segment in packed.kept
    )
    left_out = (
        (f"{name}: {part.first} to {part.last}, {part.reason}", _images(folders[name], part.frames))
        for name, part in _listed_parts(packed)
    )
    _histograms(packed, out)
    text = _text(packed, _write_sheets(kept, out, "kept"), _write_sheets(left_out, out, "left out"))
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
            counts[reason] += len(part.frames)
    return dict(counts.most_common())


def _text(packed: Packed, kept_sheets: str, left_out_sheets: str) -> str:
    kept = sum(len(segment.frames) for segment in packed.kept)
    videos = len({segment.video for segment in packed.kept})
    parts = [
        "# What was prepared",
        f"{kept} of {packed.frames} frames are kept, in {len(packed.kept)} segments of {videos} videos; "
        f"{len(packed.skipped)} videos gave nothing.",
    ]
    if reasons := frames_by_reason(packed):
        parts.append(_table(("frames left out because", "frames"), reasons.items()))
    parts += [
        "![lengths](histogram_lengths.png)", "![overlap](histogram_overlap.png)",
        "Overlap: the share of a frame that is still visible in a frame so much later "
        "(the setting `data.overlap` of training uses it).",
    ]  # fmt: skip
    if packed.skipped:
        parts += ["## Videos that gave nothing", _table(("video", "why"), packed.skipped.items())]
    if left_out := [(name, f"{part.first} to {part.last}", part.reason) for name, part in _listed_parts(packed)]:
        parts += ["## Parts left out", _table(("video", "frames", "why"), left_out), left_out_sheets]
    curves = [", ".join(f"{value:.2f}" for value in _measured(segment)) for segment in packed.kept]
    segments = [(one.name, len(one.frames), curve) for one, curve in zip(packed.kept, curves, strict=True)]
    headings = ("segment", "frames", "overlap at " + ", ".join(map(str, OVERLAP_GAPS)))
    parts += ["## Segments", _table(headings, segments), kept_sheets]
    return "\n\n".join(parts) + "\n"


def _table(headings: Sequence[str], rows: Collection[Sequence[object]]) -> str:
    """A table of the first `LISTED` rows."""
    listed = [[str(value).replace("|", "\\|").replace("\n", " ") for value in row] for row in islice(rows, LISTED)]
    lines = [f"| {' | '.join(cells)} |" for cells in [headings, *listed]]
    lines.insert(1, "|---" * len(headings) + "|")
    more = f"\n\n... and {len(rows) - LISTED} more." if len(rows) > LISTED else ""
    return "\n".join(lines) + more


def _measured(segment: Kept) -> list[float]:
    """Overlaps at the gaps that fit into the segment; further ones are not measured."""
    return [value for gap, value in zip(OVERLAP_GAPS, segment.overlaps, strict=True) if gap < len(segment.frames)]


def _listed_parts(packed: Packed) -> list[tuple[str, Dropped]]:
    """(video, part) of all but repeated frames, which are single ones between others: their number says enough."""
    return [(name, part) for name, parts in packed.dropped.items() for part in parts if part.reason != "repeated"]


def _write_sheets(rows: Iterable[tuple[str, Sequence[Image.Image]]], out: Path, kind: str) -> str:
    """Writes labelled rows of images as contact sheets; returns Markdown that shows them. Empty rows are left out."""
    lines = list(islice(((label, images) for label, images in rows if images), ROWS * SHEETS))
    shown = []
    for start in range(0, len(lines), ROWS):
        part = lines[start : start + ROWS]
        heights = [LABEL + max(image.height for image in images) for _, images in part]
        sheet = Image.new("RGB", (COLUMNS * CELL[0], sum(heights)), "white")
        draw = ImageDraw.Draw(sheet)
        for (label, images), top in zip(part, accumulate(heights, initial=0), strict=False):
            draw.text((2, top + 1), label[:120], fill="black")
            for column, image in enumerate(images):
                sheet.paste(image, (column * CELL[0], top + LABEL))
        name = f"{kind.replace(' ', '_')}_{start // ROWS}.png"
        write_atomically(out / name, partial(sheet.save, format="PNG"))
        shown.append(f"![{kind}]({name})")
    return "\n".join(shown)


def _images(folder: Path, frames: Sequence[int]) -> Sequence[Image.Image]:
    """Small images of some frames of a segment or dropped part, as far as they could be read."""
    if not (folder / FRAMES).is_file():
        return []
    offsets = load_record(folder / RECORD).offsets
    numbers = [frames[index] for index in spread_frames(len(frames), COLUMNS)]
    readable = [number for number in numbers if number < len(offsets) - 1]
    images = [Image.open(io.BytesIO(jpeg)) for jpeg in read_jpegs(folder / FRAMES, offsets, readable)]
    for image in images:
        image.thumbnail(CELL)
    return images


def _histograms(packed: Packed, out: Path) -> None:
    from matplotlib.figure import Figure

    lengths, overlap = (Figure(figsize=(6, 3), layout="constrained") for _ in range(2))
    axes = lengths.add_subplot(xlabel="frames of a segment", ylabel="segments")
    axes.hist([len(segment.frames) for segment in packed.kept], bins=30)
    axes = overlap.add_subplot(xlabel="frames apart", ylabel="overlap", ylim=(0, 1))
    columns = zip_longest(*map(_measured, packed.kept))
    curves = [[value for value in column if value is not None] for column in columns]
    axes.boxplot(curves, tick_labels=[str(gap) for gap in OVERLAP_GAPS[: len(curves)]])
    for name, figure in (("lengths", lengths), ("overlap", overlap)):
        write_atomically(out / f"histogram_{name}.png", partial(figure.savefig, format="png"))
