"""What cannot be used is skipped with its reason; it never ends a run."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from video_ae.errors import UserError

LOGGED = 20  # reasons in the log; `ClipSource.skipped` has all
log = logging.getLogger(__name__)
Given = TypeVar("Given")
Usable = TypeVar("Usable")


def usable(candidates: Mapping[str, Given], admit: Callable[[Given], Usable]) -> tuple[list[Usable], dict[str, str]]:
    """What can be used of some candidates, and why the others are skipped.

    Args:
        candidates: by name.
        admit: what is returned for a candidate; raises UserError for one that cannot be used.

    Returns:
        The results of `admit` in the order of the candidates, and name -> reason of the others.
    """
    found: list[Usable] = []
    skipped: dict[str, str] = {}
    for name, candidate in candidates.items():
        try:
            found.append(admit(candidate))
        except UserError as error:
            skipped[name] = str(error)
            if len(skipped) <= LOGGED:
                log.warning("left out %s: %s", name, error)
    if len(skipped) > LOGGED:
        log.warning("... and left out %d more", len(skipped) - LOGGED)
    return found, skipped
