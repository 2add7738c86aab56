"""Writes the tables of README.md and docs/*.md from results.json files, so that no number is typed by hand.

    python tools/make_tables.py [--check] FILE.md ...

A table stands between `<!-- table PATH KEY ... -->` and `<!-- /table -->`, or `<!-- clips PATH KEY ... -->` and
`<!-- /clips -->` for the rows of the method's own clips, or `<!-- groups PATH KEY ... -->` and `<!-- /groups -->` for a
row per group of clips and method. PATH is a results.json relative to the
markdown file; a KEY names a mean in it, with dots between levels: `ate_rmse_over_extent`, `pairs.5.rotation_deg`,
`2.psnr`. A key that ends in `:median` takes the median, in `:NAME` the mean of that group of clips; of groups
in their table `:median` and `:largest`. A row per method, a column per key.

`<!-- fuzz PATH -->` is for the ledger of `tools/fuzz_parsers.py`, `<!-- soak PATH -->` for what `tools/soak.py` found.
"""

import argparse
import json
import re
import statistics
from pathlib import Path

BLOCK = re.compile(r"(<!-- (table|clips|groups|fuzz|soak) (\S+) ([^>]*?) ?-->\n).*?(<!-- /\2 -->)", re.DOTALL)


def table(content: dict, keys: list[str]) -> str:
    """A markdown table of a results.json's means; † marks methods that see the truth, - what is not defined."""
    methods = {content["method"]: content} | content["baselines"]
    lines = ["| method | " + " | ".join(key.replace(":", ", ") for key in keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for name, method in methods.items():
        marked = name + (" †" if method.get("sees_truth") else "")
        lines.append("| " + " | ".join([marked, *(cell(method, key) for key in keys)]) + " |")
    return "\n".join(lines) + "\n"


def clips(content: dict, keys: list[str]) -> str:
    """A markdown table with a row per clip of the method itself; those that stand apart are marked with an asterisk."""
    lines = ["| clip | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for name, row in content["clips"].items():
        marked = name + (" *" if name in content["settings"].get("apart", {}) else "")
        lines.append("| " + " | ".join([marked, *(cell({"mean": row}, key) for key in keys)]) + " |")
    return "\n".join(lines) + "\n"


def groups(content: dict, keys: list[str]) -> str:
    """A markdown table with a row per group of clips and method: means of the group, medians or largest values."""
    methods = {content["method"]: content} | content["baselines"]
    titles = [key.replace(":", ", ") for key in keys]
    lines = ["| clips | method | " + " | ".join(titles) + " |", "|---" * (len(keys) + 2) + "|"]
    known = [key for group in content["groups"].values() for key in group]
    for group in filter(content["groups"].get, content["groups"]):  # those with clips
        for name, method in methods.items():
            label, shown = group if method is content else "", grouped(method, group)
            shown["mean"] = dict.fromkeys(known) | shown["mean"]  # what only other groups, or the method itself, have
            lines.append("| " + " | ".join([label, name, *(cell(shown, key) for key in keys)]) + " |")
    return "\n".join(lines) + "\n"


def grouped(method: dict, group: str) -> dict:
    """Mean, median and largest values of the clips of a group, whose names end in `+GROUP`."""
    rows = [row for name, row in method["clips"].items() if (name.partition("+")[2] or "none") == group]
    mean = method["groups"][group]
    known = {key: [row[key] for row in rows if row.get(key) is not None] for key in mean if key != "pairs"}
    median, largest = (
        {key: pick(values) if values else None for key, values in known.items()} for pick in (statistics.median, max)
    )
    return {"mean": mean, "median": median, "largest": largest}


def fuzz(content: dict, _: list[str]) -> str:
    """A markdown table with a row per parser: minutes and files of all days, and the last day."""
    lines = ["| parser | CPU minutes | files | last |", "|---|---|---|---|"]
    for name, days in content.items():
        minutes, files = (sum(day[key] for day in days) for key in ("minutes", "files"))
        lines.append(f"| {name} | {minutes:.1f} | {files:,} | {days[-1]['date']} |")
    minutes, files = (sum(day[key] for days in content.values() for day in days) for key in ("minutes", "files"))
    return "\n".join([*lines, f"| all {len(content)} | {minutes:.0f} | {files:,} | |"]) + "\n"


def soak(content: dict, _: list[str]) -> str:
    """A markdown table with a row per number of a soak."""
    first, second = content["median_mb"]
    rows = {
        "minutes": f"{content['minutes']:.0f}",
        "trainings, calls of `reconstruct` and `render`": f"{content['trainings']}, {content['calls']}",
        "resident memory, least and most": f"{content['least_mb']:.0f}, {content['most_mb']:.0f} MB",
        "its median in the first half, in the second": f"{first:.1f}, {second:.1f} MB",
        "its trend": f"{content['mb_an_hour']:+.1f} MB an hour",
        "most open files in the first half, in the second": "{}, {}".format(*content["files"]),
        "most threads in the first half, in the second": "{}, {}".format(*content["threads"]),
    }
    return "\n".join(["| of a soak | |", "|---|---|", *(f"| {name} | {said} |" for name, said in rows.items())]) + "\n"


def cell(method: dict, key: str) -> str:
    path, _, part = key.partition(":")
    value = method[part or "mean"] if part in ("", "mean", "median", "largest") else method["groups"][part]
    for step in path.split("."):
        if step not in value:
            raise SystemExit(f"{key!r} is not in the results: the possible names there are {', '.join(value)}")
        value = value[step]
    return "-" if value is None else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def fill(text: str, folder: Path) -> str:
    """The text with every table written anew."""

    def write(match: re.Match) -> str:
        path = folder / match[3]
        if not path.is_file():
            raise SystemExit(f"there are no results at {path}: run what writes them first")
        write_rows = {"table": table, "clips": clips, "groups": groups, "fuzz": fuzz, "soak": soak}[match[2]]
        return match[1] + write_rows(json.loads(path.read_text(encoding="utf-8")), match[4].split()) + match[5]

    return BLOCK.sub(write, text)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table is out of date")
    given = parser.parse_args(arguments)
    for file in given.files:
        old = file.read_text(encoding="utf-8")
        new = fill(old, file.parent)
        if given.check and new != old:
            raise SystemExit(f"the tables of {file} are out of date: run tools/make_tables.py {file}")
        if not given.check:
            file.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
