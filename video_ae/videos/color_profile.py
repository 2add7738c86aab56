"""Colours of images whose ICC profile is another than sRGB: phones take photos in Display P3."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_SAME = 2  # of 255: profiles of sRGB differ by so much in their rounding


def profile_name(image: Image.Image) -> str | None:
    """The name of an image's colour profile; None where its colours need no change.

    Args:
        image: opened, its pixels not necessarily read.
    """
    profile = image.info.get("icc_profile")
    if not profile or _to_srgb(profile) is None:
        return None
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).strip()


def as_srgb(image: Image.Image) -> Image.Image:
    """An RGB image in the colours of sRGB; itself where it has no profile or that of sRGB.

    Args:
        image: of mode RGB.
    """
    profile = image.info.get("icc_profile")
    transform = _to_srgb(profile) if profile else None
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """None where nothing is to be changed, the profile is for other values than RGB, or it is damaged."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
    levels = np.arange(0, 256, 51).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(6, 36, 3)
    shown = np.asarray(transform.apply(Image.fromarray(colors)))
    return None if np.abs(shown.astype(int) - colors).max() <= _SAME else transform
