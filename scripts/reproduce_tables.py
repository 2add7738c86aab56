"""Runs every evaluation of docs/results.md and writes its tables anew.

    python scripts/reproduce_tables.py --real $REAL_CLIPS/eval --out runs/tables [--jobs 2] [--only NAME ...]
    python scripts/reproduce_tables.py --phone $PHONE_CLIPS --out runs/tables --only phone

Each run is one `video-ae evaluate` command with one thread; `--jobs` of them run side by side. A run that is complete
in `--out` is not repeated. With `--keep-peers` COLMAP, which takes most of the time, is not run: its rows stay those of
docs/results, and `settings.peers_commit` says of which commit. At the end docs/results/*.json and the tables of
README.md and docs/*.md follow. Without `--real` and `--phone` only the walk-throughs are measured: those that are part
of the project, and walks through the same maps at 640x480, which are rendered into `--out` first (that needs vizdoom:
`pip install -e '.[walkthroughs]'`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from video_ae.losses.vgg import HOW_TO_GET_THEM, find_vgg16_with_heads

ROOT = Path(__file__).resolve().parents[1]
PAPER = "data/baselines/paper_small"
WALKS = "data/baselines/walkthroughs_only"
SCORES_PICTURES = {"views", "reconstruction", "paper"}
FEED_FORWARD = ["--refine", "0"]
# Longest first, so that no long run is left alone at the end.
REAL = {
    "real_views_feed_forward": ["views", *FEED_FORWARD, "--beside", PAPER],
    "real_views_refined": ["views", "--gaps", "2", "4"],
    "real_views_onward": ["views", "--kind", "onward", *FEED_FORWARD, "--no-perceptual", "--beside", PAPER],
    "real_poses_refined": ["poses"],
    "real_reconstruction": ["reconstruction", *FEED_FORWARD, "--beside", PAPER],
    "real_views_walkthroughs_only": ["views", *FEED_FORWARD, "--gaps", "2", "4", "--no-perceptual", "--weights", WALKS],
    "real_poses_feed_forward": ["poses", *FEED_FORWARD, "--peers", "--beside", PAPER, "--diagnose"],
    "real_views_hidden_target": ["views", *FEED_FORWARD, "--gaps", "2", "4", "--hide-target", "--no-perceptual"],
    "real_poses_true_focal": ["poses", *FEED_FORWARD, "--focal", "true", "--peers"],
    "real_published_protocol": ["paper", "--weights", PAPER],
}
FULL_SIZE = {"held_out": ["views", "--protocol", "held-out", "--every", "4"]}  # the clips beside, at their own size
WALKTHROUGHS = {
    "walkthroughs_held_out": ["views", "--protocol", "held-out", "--every", "4", "--no-perceptual"],
    "walkthroughs_views_feed_forward": ["views", *FEED_FORWARD, "--beside", PAPER],
    "walkthroughs_poses_feed_forward": ["poses", *FEED_FORWARD, "--peers", "--beside", PAPER, "--diagnose"],
    "walkthroughs_reconstruction": ["reconstruction", *FEED_FORWARD, "--beside", PAPER],
    "walkthroughs_transfer": ["transfer", *FEED_FORWARD],
    "walkthroughs_published_protocol": ["paper", "--weights", PAPER],
}
# Walks that are too large for the project; data are what `scripts/render_walkthroughs.py` makes of these words.
RENDERED = {"walkthroughs_held_out_640x480": WALKTHROUGHS["walkthroughs_held_out"]}
RENDERED_WALKS = ["--split", "test", "--clips", "6", "--size", "640x480", "--frames", "25"]
HARD = {"hard": ["hard", "--peers"], "slow": ["hard"], "rates": ["hard", "--peers"]}  # folders of the same names
PHONE = {"phone": ["phone", "--peers"]}  # clips of phones, of which nothing is part of the project
DOCUMENTS = ["README.md", "docs/results.md", "docs/experiments.md"]


def run(name: str, words: list[str], data: Path, out: Path) -> float:
    """Runs one evaluation and returns its seconds; its output goes to OUT/NAME.log.

    Args:
        name: of the run.
        words: of `video-ae evaluate` but data and output.
        data: a data set with cameras.
        out: folder of all runs.

    Raises:
        SystemExit: when the evaluation fails.
    """
    if (out / name / "results.json").is_file():
        print(f"{name}: there already", flush=True)
        return 0.0
    start = time.monotonic()
    command = [sys.executable, "-m", "video_ae", "evaluate", words[0], "--data", str(data), *words[1:]]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    # Results name the folders of the clips so, wherever they lie.
    environment |= {"REAL_CLIPS": str(data.parent)} if name in REAL | FULL_SIZE else {}
    environment |= {"PHONE_CLIPS": str(data)} if name in PHONE else {}
    with (out / f"{name}.log").open("w", encoding="utf-8") as log:
        ended = subprocess.run(
            [*command, "--out", os.path.relpath(out / name, ROOT), "--overwrite"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    if ended.returncode:
        raise SystemExit(f"{name} failed with exit code {ended.returncode}: see {out / name}.log")
    seconds = time.monotonic() - start
    print(f"{name}: {seconds:.0f} s", flush=True)
    return seconds


def render_walks(out: Path) -> None:
    """Renders the walks of `RENDERED`, unless they are complete.

    Args:
        out: folder for them.

    Raises:
        SystemExit: when rendering fails.
    """
    if out.is_dir():
        return
    partial = out.with_name(f"{out.name}.partial")
    script = ROOT / "scripts" / "render_walkthroughs.py"
    if subprocess.run([sys.executable, str(script), *RENDERED_WALKS, "--out", str(partial)]).returncode:
        raise SystemExit(f"the walks of {', '.join(RENDERED)} could not be rendered")
    partial.rename(out)


def keep_peers(result: Path, before: Path) -> None:
    """Gives a result that was measured without peers those of an earlier one of the same clips.

    Args:
        result: `results.json`, changed.
        before: the earlier one.

    Raises:
        SystemExit: when they are not of the same clips.
    """
    content, earlier = (json.loads(path.read_text(encoding="utf-8")) for path in (result, before))
    if list(content["clips"]) != list(earlier["clips"]):
        raise SystemExit(f"The peers of {before} have seen other clips than {result}: run it without --keep-peers.")
    content["baselines"] = earlier["baselines"] | content["baselines"]
    settings = earlier["settings"]
    content["settings"]["peers_commit"] = settings.get("peers_commit", settings["commit"])
    result.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _absolute(path: str) -> Path:
    """Runs have the root of the project as their folder."""
    return Path(path).absolute()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=_absolute, metavar="ROOT", help="the real clips, in RealEstate10K's layout")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the runs write, kept")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="runs side by side (default: 2)")
    parser.add_argument("--phone", type=_absolute, metavar="ROOT", help="the clips of phones (docs/evaluation.md)")
    parser.add_argument("--keep-peers", action="store_true", help="the rows of COLMAP stay as they are, it is not run")
    known = REAL | FULL_SIZE | RENDERED | WALKTHROUGHS | HARD | PHONE
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(known)}")
    given = parser.parse_args()
    out = given.out.absolute()
    rendered = out / "walks_640x480"
    runs = [(name, words, given.real) for name, words in REAL.items()] if given.real else []
    runs += [(name, words, given.real.parent / "full_size") for name, words in FULL_SIZE.items()] if given.real else []
    runs += [(name, words, Path(os.path.relpath(rendered, ROOT))) for name, words in RENDERED.items()]
    runs += [(name, words, Path("data/walkthroughs/test")) for name, words in WALKTHROUGHS.items()]
    runs += [(name, words, Path("data/walkthroughs", name)) for name, words in HARD.items()]
    runs += [(name, words, given.phone) for name, words in PHONE.items()] if given.phone else []
    if unknown := set(given.only or ()) - {name for name, *_ in runs}:
        parser.error(f"there is no run {sorted(unknown)[0]!r}: choose among {', '.join(name for name, *_ in runs)}")
    runs = [entry for entry in runs if not given.only or entry[0] in given.only]
    with_peers = [name for name, words, _ in runs if "--peers" in words] if given.keep_peers else []
    runs = [(name, [w for w in words if name not in with_peers or w != "--peers"], data) for name, words, data in runs]
    perceptual = [name for name, words, _ in runs if words[0] in SCORES_PICTURES and "--no-perceptual" not in words]
    if any(name in RENDERED for name, *_ in runs) and not rendered.is_dir() and find_spec("vizdoom") is None:
        parser.error(f"{next(iter(RENDERED))} renders walks first: pip install -e '.[walkthroughs]'")
    if perceptual and find_vgg16_with_heads() is None:
        parser.error(f"{perceptual[0]} has columns of LPIPS, whose weights are not here: {HOW_TO_GET_THEM}.")
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if any(name in RENDERED for name, *_ in runs):
        render_walks(rendered)
    with ThreadPoolExecutor(given.jobs) as pool:
        seconds = list(pool.map(lambda entry: run(*entry, out), runs))
    for name in with_peers:
        keep_peers(out / name / "results.json", ROOT / "docs" / "results" / f"{name}.json")
    for name, *_ in runs:
        shutil.copyfile(out / name / "results.json", ROOT / "docs" / "results" / f"{name}.json")
    times = {name: round(value) for (name, *_), value in zip(runs, seconds, strict=True)}
    (out / "seconds.json").write_text(json.dumps(times, indent=1) + "\n")
    documents = [file for file in DOCUMENTS if (ROOT / file).is_file()]
    subprocess.run([sys.executable, "tools/make_tables.py", *documents], cwd=ROOT, check=True)
    print(f"{len(runs)} runs in {(time.monotonic() - start) / 60:.0f} minutes, {given.jobs} side by side")


if __name__ == "__main__":
    main()
