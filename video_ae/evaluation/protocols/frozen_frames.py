"""Which frames a protocol looks at: the rules, and the lists frozen from them in `data/evaluation/*.json`.

A data set whose clips all stand in one frozen file is evaluated on that file's frames, for ever the same; any other
gets the rule's frames on the fly. `tools/make_evaluation_indices.py` writes the files.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FROZEN_FOLDER = Path(__file__).resolve().parents[3] / "data" / "evaluation"
EVERY = 4  # a view starts at every fourth frame


@dataclass(frozen=True)
class View:
    """Positions in the clip: the frames that are given and the frame to predict."""

    contexts: tuple[int, ...]
    target: int


def middle_views(frames: int, gap: int, every: int = EVERY) -> list[View]:
    """Contexts i and i + 2 gap, target i + gap, for i = 0, every, 2 every, ...

    >>> middle_views(9, 2)
    [View(contexts=(0, 4), target=2), View(contexts=(4, 8), target=6)]
    """
    return [View((i, i + 2 * gap), i + gap) for i in range(0, frames - 2 * gap, every)]


def onward_views(frames: int, distance: int, every: int = EVERY) -> list[View]:
    """One context i, target i + distance (the 2021 paper's kind, with distances 1, 3, 5 and 10)."""
    return [View((i,), i + distance) for i in range(0, frames - distance, every)]


@dataclass(frozen=True)
class FrozenIndices:
    """The content of one frozen file: per clip its number of frames and its views per gap and per distance.

    apart: clips that stand outside every mean, and why. groups: clips that also get a mean of their own.
    """

    path: Path
    clips: dict[str, dict]
    apart: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def views(self, clip: str, frames: int, kind: str, gap: int) -> list[View] | None:
        """The frozen views of kind "middle" or "onward"; None if the file does not hold them for that clip length."""
        entry = self.clips.get(clip)
        if entry is None or entry["frames"] != frames or str(gap) not in entry.get(kind, {}):
            return None
        return [View(tuple(contexts), target) for *contexts, target in entry[kind][str(gap)]]


def find_frozen(names: Sequence[str], folder: Path = FROZEN_FOLDER) -> FrozenIndices | None:
    """The frozen file that holds all the named clips, or None."""
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        if names and set(names) <= set(content["clips"]):
            return FrozenIndices(path, content["clips"], content.get("apart", {}), content.get("groups", {}))
    return None


def views_of_clip(
    clip: str, frames: int, gap: int, frozen: FrozenIndices | None, kind: str = "middle"
) -> tuple[list[View], str]:
    """A clip's views, and where they come from: the frozen file's name, or "rule"."""
    found = frozen.views(clip, frames, kind, gap) if frozen else None
    if frozen is not None and found is not None:
        return found, frozen.path.name
    rule = {"middle": middle_views, "onward": onward_views}[kind]
    return rule(frames, gap), "rule"
