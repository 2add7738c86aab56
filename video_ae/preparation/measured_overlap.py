"""How much of one image is visible in another, from the images alone."""

from functools import lru_cache

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from video_ae.geometry.resize import resize_images, short_side_size

WORKING_SIDE = 48  # pixels of the shorter side
BLOCK = 8
SIMILAR = 0.8  # normalised correlation of a block and its best match
TEXTURE = 3.0 / 255  # standard deviation below which a block says nothing
NEARER = 0.1  # penalty, in correlation, of a displacement by the image's width: of equal matches the nearest wins
AGREEING_NEIGHBOURS = 2
AGREEMENT = 2.5  # pixels between the displacements of neighbours


def photometric_overlap(first: Float[Tensor, "height width"], second: Float[Tensor, "height width"]) -> float:
    """Share of the first image's textured blocks that are visible in the second image; 1.0 where it has no texture.

    Block matching: each block of 8x8 pixels is searched for in the whole second image by normalised cross-correlation
    (Lewis, Fast Normalized Cross-Correlation, 1995). It counts as visible where the best match is similar and two
    neighbouring blocks moved about as far: single edges look alike everywhere, but neighbours do not agree by chance.
    Zoom, small rotations and parallax move blocks by slightly different amounts, which is within the tolerance.

    Args:
        first: an image that `small_grey` made.
        second: another one of the same size.
    """
    rows, columns = first.shape[0] // BLOCK, first.shape[1] // BLOCK
    blocks = rearrange(_windows(first, BLOCK), "row column down right -> (row column) (down right)")
    blocks = blocks - blocks.mean(1, keepdim=True)
    norm = blocks.norm(dim=1, keepdim=True)
    textured = (norm / BLOCK > TEXTURE).view(rows, columns)
    if not textured.any():
        return 1.0
    windows = rearrange(_windows(second, 1), "row column down right -> (down right) (row column)")
    spread = (windows.square().mean(0) - windows.mean(0).square()).clamp_min(0).sqrt() * BLOCK
    correlation = (blocks / norm.clamp_min(1e-6)) @ windows / spread.clamp_min(BLOCK * TEXTURE / 2)
    home, positions, cost = _positions(rows, columns, second.shape[0] - BLOCK + 1, second.shape[1] - BLOCK + 1)
    index = torch.from_numpy((correlation - cost).numpy().argmax(1))  # ten times as fast as PyTorch's
    best = correlation.gather(1, index[:, None]).view(rows, columns)
    matched = (best > SIMILAR) & textured
    moved = positions[index].view(rows, columns, 2) - home
    visible = matched & (_agreeing(moved, matched) >= AGREEING_NEIGHBOURS)
    return float(visible.sum() / textured.sum())


def _windows(image: Tensor, step: int) -> Tensor:
    """The blocks of an image, `step` pixels apart, [row, column, down, right]; a view."""
    return image.unfold(0, BLOCK, step).unfold(1, BLOCK, step)


@lru_cache(maxsize=8)
def _positions(rows: int, columns: int, down: int, across: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions of blocks [row, column, xy], of candidates [candidate, xy], and the penalty [block, candidate]."""
    home = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), -1) * BLOCK
    positions = torch.stack(torch.meshgrid(torch.arange(across), torch.arange(down), indexing="xy"), -1).view(-1, 2)
    return home, positions, NEARER * torch.cdist(home.view(-1, 2).float(), positions.float()) / across


def _agreeing(moved: Tensor, matched: Tensor) -> Tensor:
    """How many of each block's eight neighbours are matched and moved about as far, [row, column]."""
    nearby = pad(moved.float(), (0, 0, 1, 1, 1, 1)).unfold(0, 3, 1).unfold(1, 3, 1)  # [row, column, xy, down, right]
    alike = (nearby - moved[..., None, None]).norm(dim=2) <= AGREEMENT
    known = pad(matched, (1, 1, 1, 1)).unfold(0, 3, 1).unfold(1, 3, 1)
    return (alike & known).sum((2, 3)) - matched.long()  # not counting the block itself


def small_grey(image: Float[Tensor, "3 height width"]) -> Float[Tensor, "rows columns"]:
    """The image in grey, with a shorter side of `WORKING_SIDE` pixels.

    Args:
        image: RGB in [0, 1].
    """
    height, width = image.shape[-2:]
    size = short_side_size((width, height), WORKING_SIDE, smallest=BLOCK, enlarge=True)
    grey = image.permute(1, 2, 0) @ torch.full((3,), 1 / 3)  # three times as fast as the mean
    return resize_images(grey[None], size)[0]
