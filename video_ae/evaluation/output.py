"""What a person gets of an evaluation: files, tables on the terminal, and lines of progress."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from video_ae.evaluation.report.html_report import write_report
from video_ae.evaluation.report.records import Record
from video_ae.evaluation.results import EvaluationResult, write_results


def finish(
    result: EvaluationResult, out: Path, seed: int, record: Record | None = None, **settings: object
) -> EvaluationResult:
    """Writes results.json and results.md, report.html where a record was kept, and prints the tables.

    Args:
        result: of a protocol.
        out: folder of the files.
        seed: that was used.
        record: of the same run.
        **settings: what else the results shall say about the run.

    Returns:
        The result with these settings and the record's diagnostics.
    """
    diagnostics = record.diagnostics if record else {}
    result = replace(result, settings=result.settings | settings, diagnostics=diagnostics)
    content = write_results(result, out, seed=seed)
    if record is not None:
        write_report(content, out, record)
    Console().print(Markdown((out / "results.md").read_text(encoding="utf-8")))
    return result


def print_progress(text: str) -> None:
    """Prints a line of progress to standard error.

    Args:
        text: one line.
    """
    Console(stderr=True).print(f"  {text}", highlight=False, markup=False, soft_wrap=True)
