"""Gaussians in PlayCanvas' SOG, version 2 (developer.playcanvas.com, "The SOG Format"): about 9 bytes each.

A zip of lossless WebP images, in which a pixel is a Gaussian, and `meta.json`. Positions have 16 bits of a logarithm of
the scene's extent; logarithms of scales and harmonics are numbers of a codebook of 256; opacity has a byte; of a
quaternion the three smallest components have a byte each. The world's axes stay as they are.
"""

import io
import json
import math
import zipfile
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from video_ae.formats.atomic import write_bytes_atomically
from video_ae.formats.ply import GaussianCloud
from video_ae.formats.splats import harmonic, morton_order
from video_ae.geometry.se3 import quaternion_from_rotation

_LEVELS = 256  # of a codebook
_ROUNDS = 10  # of Lloyd's algorithm
_LARGEST = 252  # plus 0 to 3: the place of the largest component of a quaternion (w, x, y, z)


def write_sog(path: Path, cloud: GaussianCloud) -> None:
    """Writes a bundled SOG file.

    Args:
        path: the file.
        cloud: the Gaussians.
    """
    near = cloud.to("cpu").select(morton_order(cloud.centres.cpu()))  # neighbours are alike, which WebP uses
    curved = near.centres.sign() * near.centres.abs().log1p()
    least, most = (curved.amin(0), curved.amax(0)) if len(near) else (torch.zeros(3), torch.ones(3))
    steps = ((curved - least) / (most - least).clamp_min(1e-12) * 65535).round().int()
    sizes, size_book = _by_codebook(near.scale.log())
    colors, color_book = _by_codebook(harmonic(near))
    opacity = (near.opacity[:, None] * 255).round().to(torch.uint8)
    images = {
        "means_l": (steps & 255).to(torch.uint8),
        "means_u": (steps >> 8).to(torch.uint8),
        "scales": sizes,
        "quats": _quaternions(near),
        "sh0": torch.cat([colors, opacity], 1),
    }
    about = {
        "version": 2,
        "asset": {"generator": "video-ae"},
        "count": len(near),
        "means": {"mins": least.tolist(), "maxs": most.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": size_book, "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": color_book, "files": ["sh0.webp"]},
    }
    files = {"meta.json": json.dumps(about).encode()} | {f"{name}.webp": _webp(part) for name, part in images.items()}
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time, so that equal scenes are equal files
    write_bytes_atomically(path, bundle.getvalue())


def _by_codebook(values: Float[Tensor, "gaussian 3"]) -> tuple[UInt8[Tensor, "gaussian 3"], list[float]]:
    """Numbers of the nearest entries, and the codebook, which has the least squared error (Lloyd 1982)."""
    flat = values.flatten().double()
    if not len(flat):
        return values.to(torch.uint8), [0.0] * _LEVELS
    book = torch.linspace(flat.min().item(), flat.max().item(), _LEVELS, dtype=torch.float64)
    ordered = flat.sort().values
    book = (book + ordered[torch.linspace(0, len(flat) - 1, _LEVELS).long()]) / 2  # near many values, and at both ends
    for _ in range(_ROUNDS):
        nearest = torch.bucketize(flat, (book[1:] + book[:-1]) / 2)
        counts = torch.bincount(nearest, minlength=_LEVELS)
        means = torch.bincount(nearest, flat, minlength=_LEVELS) / counts.clamp_min(1)
        book = torch.where(counts > 0, means, book)
    nearest = torch.bucketize(flat, (book[1:] + book[:-1]) / 2)
    return nearest.to(torch.uint8).view(values.shape), [round(entry, 6) for entry in book.tolist()]


def _quaternions(cloud: GaussianCloud) -> UInt8[Tensor, "gaussian 4"]:
    wxyz = quaternion_from_rotation(cloud.rotation.double()).roll(1, -1)
    largest = wxyz.abs().argmax(1, keepdim=True)
    wxyz = wxyz * wxyz.gather(1, largest).sign()  # the largest is positive, and so need not be stored
    others = torch.arange(3) + (torch.arange(3) >= largest)
    small = (wxyz.gather(1, others) / math.sqrt(2) + 0.5) * 255
    return torch.cat([small.round(), _LARGEST + largest], 1).to(torch.uint8)


def _webp(values: UInt8[Tensor, "gaussian channel"]) -> bytes:
    """A square image, filled row by row; pixels behind the last Gaussian are zero."""
    side = max(1, math.ceil(math.sqrt(len(values))))
    pixels = torch.zeros(side * side, values.shape[1], dtype=torch.uint8)
    pixels[: len(values)] = values
    content = io.BytesIO()
    image = Image.fromarray(pixels.view(side, side, -1).numpy())
    image.save(content, "WEBP", lossless=True, exact=True)  # exact: colours where alpha is 0 count, too
    return content.getvalue()
