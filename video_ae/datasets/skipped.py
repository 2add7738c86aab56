"""What cannot be used is set aside with its reason; it never ends a run."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from video_ae.errors import UserError

SAID = 20  # reasons in the log; the source's `quarantined` has all
log = logging.getLogger(__name__)
Given = TypeVar("Given")
Usable = TypeVar("Usable")


class FoundVideos:
    """The part of `ClipSource` that tells what was found; a data set sets both in its constructor."""

    _names: list[str]
    _quarantined: dict[str, str]

    @property
    def names(self) -> list[str]:
        return list(self._names)

    @property
    def quarantined(self) -> dict[str, str]:
        return dict(self._quarantined)

    def __len__(self) -> int:
        return len(self._names)


def usable(candidates: Mapping[str, Given], admit: Callable[[Given], Usable]) -> tuple[list[Usable], dict[str, str]]:
    """(what `admit` made of the candidates, in their order; name -> reason of those that it refused by a UserError)."""
    found: list[Usable] = []
    quarantined: dict[str, str] = {}
    for name, candidate in candidates.items():
        try:
            found.append(admit(candidate))
        except UserError as error:
            quarantined[name] = str(error)
            if len(quarantined) <= SAID:
                log.warning("left out %s: %s", name, error)
    if len(quarantined) > SAID:
        log.warning("... and left out %d more", len(quarantined) - SAID)
    return found, quarantined
