"""Which frames a protocol looks at: the rules, and the lists frozen from them in `video_ae/evaluation/frames/`.

A data set whose clips are all in one frozen file is evaluated on that file's frames, always the same; any other
gets the rule's frames. The files are part of the package, so that an installation looks at the same frames as a clone.
`tools/make_evaluation_indices.py` writes them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable

FROZEN_FOLDER: Traversable = files("video_ae.evaluation") / "frames"
EVERY = 4  # a view starts at every fourth frame


@dataclass(frozen=True)
class View:
    """The frames of a view, as positions in the clip.

    Args:
        contexts: frames that are given.
        target: frame to predict.
    """

    contexts: tuple[int, ...]
    target: int


def middle_views(frames: int, gap: int, every: int = EVERY) -> list[View]:
    """Contexts i and i + 2 gap, target i + gap, for i = 0, every, 2 every, ...

    Args:
        frames: of the clip.
        gap: frames between the target and each context.
        every: frames between the starts of two views.

    >>> middle_views(9, 2)
    [View(contexts=(0, 4), target=2), View(contexts=(4, 8), target=6)]
    """
    return [View((i, i + 2 * gap), i + gap) for i in range(0, frames - 2 * gap, every)]


def onward_views(frames: int, distance: int, every: int = EVERY) -> list[View]:
    """One context i, target i + distance (the 2021 paper's kind, with distances 1, 3, 5 and 10).

    Args:
        frames: of the clip.
        distance: frames between the context and the target.
        every: frames between the starts of two views.
    """
    return [View((i,), i + distance) for i in range(0, frames - distance, every)]


@dataclass(frozen=True)
class FrozenIndices:
    """The content of one frozen file.

    Args:
        name: of the file.
        clips: per clip its number of frames and its views per gap and per distance.
        excluded: clips that count in no mean, and why ("apart" in the file).
        groups: clips that also get a mean of their own.
    """

    name: str
    clips: dict[str, dict]
    excluded: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)


def find_frozen(names: Sequence[str], folder: Traversable = FROZEN_FOLDER) -> FrozenIndices | None:
    """The frozen file with all the named clips, or None.

    Args:
        names: of a data set's clips.
        folder: of the frozen files, by default the package's.
    """
    files = (file for file in folder.iterdir() if file.name.endswith(".json"))
    for file in sorted(files, key=lambda file: file.name):
        content = json.loads(file.read_text(encoding="utf-8"))
        if names and set(names) <= set(content["clips"]):
            return FrozenIndices(file.name, content["clips"], content.get("apart", {}), content.get("groups", {}))
    return None


def views_of_clip(
    clip: str, frames: int, gap: int, frozen: FrozenIndices | None, kind: str = "middle"
) -> tuple[list[View], str]:
    """A clip's views, and where they come from: the frozen file's name, or "rule".

    Args:
        clip: its name.
        frames: its length.
        gap: as in `middle_views`, or the distance of `onward_views`.
        frozen: the file of the data set's clips, if there is one; it counts where it has views for that clip length.
        kind: "middle" or "onward".
    """
    entry = frozen.clips.get(clip, {}) if frozen else {}
    views = entry.get(kind, {}).get(str(gap))
    if frozen and views is not None and entry["frames"] == frames:
        return [View(tuple(contexts), target) for *contexts, target in views], frozen.name
    rule = {"middle": middle_views, "onward": onward_views}[kind]
    return rule(frames, gap), "rule"
