"""What cannot be used is set aside with its reason; it never ends a run."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from video_ae.errors import UserError

SAID = 20  # reasons in the log; the source's `quarantined` has all
log = logging.getLogger(__name__)
Given = TypeVar("Given")
Usable = TypeVar("Usable")


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
