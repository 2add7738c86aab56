"""How much of one picture can be seen in another, from the pictures alone."""

from functools import lru_cache

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, unfold

WORKING_SIDE = 48  # pixels of the shorter side
BLOCK = 8
SIMILAR = 0.8  # normalised correlation of a block and its best match
TEXTURE = 3.0 / 255  # standard deviation below which a block says nothing
NEARER = 0.1  # correlation that a way of the picture's width costs: of equal matches (repeated texture) the near one
AGREEING_NEIGHBOURS = 2
AGREEMENT = 2.5  # pixels between the displacements of neighbours


def photometric_overlap(first: Float[Tensor, "3 height width"], second: Float[Tensor, "3 height width"]) -> float:
    """Share of the first picture's textured blocks that the second picture shows; 1.0 where it has no texture.

    Block matching: each block of 8x8 pixels, at a height of 48, is looked for in the whole second picture by normalised
    cross-correlation (Lewis, Fast Normalized Cross-Correlation, 1995). It counts as seen where the best match is
    similar and two neighbouring blocks moved about as far: single edges look alike everywhere, but neighbours do not
    agree by chance. Zoom, small turns and parallax move blocks by slightly different amounts and are allowed that way.
    """
    return overlap_of_grey(working_grey(first), working_grey(second))


def overlap_of_grey(one: Float[Tensor, "height width"], two: Float[Tensor, "height width"]) -> float:
    """The same for pictures that `working_grey` made."""
    blocks = rearrange(unfold(one[None, None], BLOCK, stride=BLOCK)[0], "pixel block -> block 1 pixel")
    rows, columns = one.shape[0] // BLOCK, one.shape[1] // BLOCK
    blocks = blocks - blocks.mean(-1, keepdim=True)
    norm = blocks.norm(dim=-1, keepdim=True)
    textured = (norm / BLOCK > TEXTURE).view(rows, columns)
    if not textured.any():
        return 1.0
    windows = unfold(two[None, None], BLOCK)[0]  # [pixel, place]
    spread = (windows.square().mean(0) - windows.mean(0).square()).clamp_min(0).sqrt() * BLOCK
    correlation = (blocks[:, 0] / norm[:, 0].clamp_min(1e-6)) @ windows / spread.clamp_min(BLOCK * TEXTURE / 2)
    home, places, cost = _geometry(rows, columns, two.shape[0] - BLOCK + 1, two.shape[1] - BLOCK + 1)
    place = (correlation - cost).argmax(1)
    best = correlation.gather(1, place[:, None])[:, 0]
    found = places[place].view(rows, columns, 2)
    matched = (best.view(rows, columns) > SIMILAR) & textured
    seen = matched & (_agreeing(found - home, matched) >= AGREEING_NEIGHBOURS)
    return float(seen.sum() / textured.sum())


@lru_cache(maxsize=8)
def _geometry(rows: int, columns: int, down: int, across: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where blocks lie [row, column, xy] and can be found [place, xy], and what the way costs [block, place]."""
    home = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), -1) * BLOCK
    places = torch.stack(torch.meshgrid(torch.arange(across), torch.arange(down), indexing="xy"), -1).view(-1, 2)
    return home, places, NEARER * torch.cdist(home.view(-1, 2).float(), places.float()) / across


def _agreeing(moved: Tensor, matched: Tensor) -> Tensor:
    """How many of each block's eight neighbours are matched and moved about as far, [row, column]."""
    rows, columns = matched.shape
    count = torch.zeros(rows, columns, dtype=torch.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down or right:
                here = slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), columns - max(0, right))
                there = slice(max(0, down), rows + min(0, down)), slice(max(0, right), columns + min(0, right))
                near = (moved[here] - moved[there]).float().norm(dim=-1) <= AGREEMENT
                count[here] += near & matched[there]
    return count


def working_grey(picture: Float[Tensor, "3 height width"]) -> Float[Tensor, "rows columns"]:
    """Grey, with a shorter side of `WORKING_SIDE` pixels."""
    height, width = picture.shape[-2:]
    factor = WORKING_SIDE / min(height, width)
    size = max(BLOCK, round(height * factor)), max(BLOCK, round(width * factor))
    return interpolate(picture.mean(0)[None, None], size=size, mode="bilinear", antialias=True)[0, 0]
