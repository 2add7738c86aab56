"""Checks that the package and the user guide use the field's terms (docs/glossary.md).

    python tools/check_words.py

Each rule is a word of our own that stood in this project once, and the field's term for it. Results and experiments
(docs/results.md, docs/experiments.md) are a log and are not searched.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULES = {  # pattern -> the field's term
    r"\b_?DEARER\b|\bdearer\b": "cost exceeds the successor's",
    r"\bsurest\b": "best seed window",
    r"\bgrown\b": "incremental registration",
    r"no wrong basin": "exhaustive initialization",
    r"_HARDLY_MORE|_SUSPECT\b|_HOPELESS": "pure_rotation_cost_ratio, reinit_cost, prune_cost_ratio",
    r"\b[Rr]emembered\b": "cache",
    r"\bKnowledge\b|\bUnknowns\b|\bMatches\b": "KnownParameters, FreeParameters, Correspondences",
    r"\bturning\b": "pure rotation, rotating",
    r"\bwitness(es)?\b|told the parallax": "views that observe a voxel; conditioned on the parallax angle",
    r"_taught_by|teach(es)? nothing": "scale_gradients_by_confidence",
    r"\banchors?\b(?!-)|follow_anchors": "keyframes of the global bundle adjustment",
    r"\bjoin_windows\b|\bwindow_parts\b|\bdistinct\(|\bpossible\(|\bstate_of\(|\bhold\(": "verbs with objects",
    r"\bfound_depth\b": "sfm_depth",
    r"\bSharpViews\b|[Ss]harp views": "image-based rendering",
    r"\bcalmed\b|\bdamped\(|farness": "smoothed_trajectory, scaled_motion, view_distance",
    r"\bquarantin(ed|e)\b": "skipped",
    r"\bplaces?\b(?= *[=:\[,)])": "device, uv, index, path",
    r"\bclose_account\b|\bRide\b|\bVisit\b|\bOrder\b|\bPace\b|Nobody wants": "flush_timer, CameraFollow, ...",
    r"\btak(e|en|es|ing) (\w+ ){0,3}apart\b|TakenVideo|TakenApart": "reconstruct",
    r"\bpictures?\b": "image, frame",
}
ALLOWED = (  # names that users' files and commands hold
    r'"quarantined"', r"pictures/", r'"pictures"', r"group of pictures", r"groups of pictures", r"attached_pic",
    r"PICTURE\b",
)  # fmt: skip
LOGS = ("results.md", "experiments.md", "glossary.md")


def problems() -> Iterator[str]:
    """Every use of a word that has a term of the field, one sentence each."""
    files = [*sorted((ROOT / "video_ae").rglob("*.py")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
    for file in files:
        if file.name in LOGS:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            text = re.sub("|".join(ALLOWED), "", line)
            for pattern, term in RULES.items():
                if found := re.search(pattern, text):
                    yield f"{file.relative_to(ROOT)}:{number} says {found[0]!r}: {term}"


def main() -> None:
    """Prints the problems; the exit code is 1 where there are any."""
    found = list(problems())
    print("\n".join(found) if found else "the field's terms everywhere")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
