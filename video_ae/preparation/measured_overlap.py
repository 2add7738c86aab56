"""How much of one picture can be seen in another, from the pictures alone."""

from functools import lru_cache

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

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
    rows, columns = one.shape[0] // BLOCK, one.shape[1] // BLOCK
    blocks = rearrange(_windows(one, BLOCK), "row column down right -> (row column) (down right)")
    blocks = blocks - blocks.mean(1, keepdim=True)
    norm = blocks.norm(dim=1, keepdim=True)
    textured = (norm / BLOCK > TEXTURE).view(rows, columns)
    if not textured.any():
        return 1.0
    windows = rearrange(_windows(two, 1), "row column down right -> (down right) (row column)")
    spread = (windows.square().mean(0) - windows.mean(0).square()).clamp_min(0).sqrt() * BLOCK
    correlation = (blocks / norm.clamp_min(1e-6)) @ windows / spread.clamp_min(BLOCK * TEXTURE / 2)
    home, places, cost = _geometry(rows, columns, two.shape[0] - BLOCK + 1, two.shape[1] - BLOCK + 1)
    place = torch.from_numpy((correlation - cost).numpy().argmax(1))  # ten times as fast as PyTorch's
    best = correlation.gather(1, place[:, None]).view(rows, columns)
    matched = (best > SIMILAR) & textured
    seen = matched & (_agreeing(places[place].view(rows, columns, 2) - home, matched) >= AGREEING_NEIGHBOURS)
    return float(seen.sum() / textured.sum())


def _windows(picture: Tensor, step: int) -> Tensor:
    """The blocks of a picture, `step` pixels apart, [row, column, down, right]; a view."""
    return picture.unfold(0, BLOCK, step).unfold(1, BLOCK, step)


@lru_cache(maxsize=8)
def _geometry(rows: int, columns: int, down: int, across: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where blocks lie [row, column, xy] and can be found [place, xy], and what the way costs [block, place]."""
    home = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), -1) * BLOCK
    places = torch.stack(torch.meshgrid(torch.arange(across), torch.arange(down), indexing="xy"), -1).view(-1, 2)
    return home, places, NEARER * torch.cdist(home.view(-1, 2).float(), places.float()) / across


def _agreeing(moved: Tensor, matched: Tensor) -> Tensor:
    """How many of each block's eight neighbours are matched and moved about as far, [row, column]."""
    nearby = pad(moved.float(), (0, 0, 1, 1, 1, 1)).unfold(0, 3, 1).unfold(1, 3, 1)  # [row, column, xy, down, right]
    alike = (nearby - moved[..., None, None]).norm(dim=2) <= AGREEMENT
    known = pad(matched, (1, 1, 1, 1)).unfold(0, 3, 1).unfold(1, 3, 1)
    return (alike & known).sum((2, 3)) - matched.long()  # not counting the block itself


def working_grey(picture: Float[Tensor, "3 height width"]) -> Float[Tensor, "rows columns"]:
    """Grey, with a shorter side of `WORKING_SIDE` pixels."""
    height, width = picture.shape[-2:]
    factor = WORKING_SIDE / min(height, width)
    size = max(BLOCK, round(height * factor)), max(BLOCK, round(width * factor))
    grey = picture.permute(1, 2, 0) @ torch.full((3,), 1 / 3)  # three times as fast as the mean
    return interpolate(grey[None, None], size=size, mode="bilinear", antialias=True)[0, 0]
