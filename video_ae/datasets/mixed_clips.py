"""Clips from several sources, each as often as its weight says."""

import random
from collections.abc import Mapping
from itertools import accumulate

from torch.utils.data import Dataset

from video_ae.datasets.byte_clips import ByteClip
from video_ae.errors import UserError


class MixedClips(Dataset[ByteClip]):
    """Clip `p` is clip `p` of one of the sources, drawn by (seed, p) and the weights.

    Args:
        sources: name -> (clips, weight); clip `p` of each is a pure function of its seed and `p`.
        seed: of the draw.

    Raises:
        UserError: when a weight is not above zero.
    """

    def __init__(self, sources: Mapping[str, tuple[Dataset[ByteClip], float]], seed: int) -> None:
        for name, (_, weight) in sources.items():
            if not weight > 0:
                raise UserError(f"{name!r} has the weight {weight} in the mixture: give a number above zero.")
        self._sources = [clips for clips, _ in sources.values()]
        self._cumulated = list(accumulate(weight for _, weight in sources.values()))
        self._seed = seed

    def __getitem__(self, position: int) -> ByteClip:
        draw = random.Random(f"mixture {self._seed} {position}")
        (clips,) = draw.choices(self._sources, cum_weights=self._cumulated)
        return clips[position]
