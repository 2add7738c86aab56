"""`report.html`: one file that a person can read without anything else."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from video_ae.evaluation.report import report_figures
from video_ae.evaluation.report.records import FrameRecord, PoseRecord, Record
from video_ae.evaluation.tables import markdown_tables
from video_ae.formats.atomic import write_text_atomically

_STYLE = """body{font:15px/1.45 sans-serif;margin:2em auto;max-width:1150px;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.6em 0 1.6em;font-size:13px}td,th{padding:.2em .7em;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}svg,img{max-width:100%;height:auto}
h2{margin-top:2em;font-size:18px}code{background:#f3f3f3;padding:.1em .3em;word-break:break-all}"""


def write_report(content: Mapping[str, Any], out: Path, record: Record) -> None:
    """Writes `out/report.html`.

    Args:
        content: of `results.json`.
        out: the folder.
        record: what was kept while the protocol ran.
    """
    head, _, tables = markdown_tables(content).partition("\n## ")
    title = html.escape(f"Evaluation of {content['protocol']}: {content['method']}")
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"{to_html(head)}{_figures_of(content, record)}{to_html('## ' + tables)}</html>\n"
    )
    write_text_atomically(out / "report.html", page)


def _figures_of(content: Mapping[str, Any], record: Record) -> str:
    if isinstance(record, PoseRecord):
        title = "Trajectories from above, aligned with the truth by Sim(3) (dot: the first frame)"
        shown = _section(title, report_figures.plot_trajectories(record.paths, record.method))
        shown += _section("Error against the time between two frames", report_figures.plot_against_gap(content))
        if record.confidence:
            dots = report_figures.plot_confidence(record.confidence)
            shown += _section("Confidence against true error, a dot per frame", dots)
        return shown
    if isinstance(record, FrameRecord):
        shown, title = "", "The middle frame of each clip: input, rendering"
        strips = {(clip, f"frame {view.frame}"): view for clip, view in record.strips.items()}
    else:
        shown = _section("Against the gap", report_figures.plot_against_gap(content))
        title = "The middle view of each clip: contexts, target, prediction"
        strips = {(clip, f"gap {gap}"): view for (clip, gap), view in record.strips.items()}
    images = [
        f"<p>{html.escape(clip)}, {which}<br><img alt='{html.escape(clip)}' "
        f"src='{report_figures.strip_image(view, record.method)}'></p>"
        for (clip, which), view in strips.items()
    ]
    return shown + _section(f"{title}, absolute error (3 times brighter), disparity", "".join(images))


def _section(title: str, body: str) -> str:
    return f"<h2>{html.escape(title)}</h2>{body}"


def to_html(text: str) -> str:
    """Markdown with tables as HTML; HTML in it is escaped.

    Args:
        text: as `video_ae.evaluation.tables` writes it.

    >>> to_html("`x` and **y** < z")
    '<p><code>x</code> and <strong>y</strong> &lt; z</p>\\n'
    """
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
