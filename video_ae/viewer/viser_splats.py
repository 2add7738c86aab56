"""Gaussians in viser's scene, drawn by the visitor's own browser.

viser sends covariances in float16: below 6e-5 they lose their digits, above 65504 they are infinite, and rounding to 11
bits gives a flat Gaussian a negative eigenvalue. So the scene is sent in a unit of its own, in which scales lie in the
middle of that range, and no Gaussian is flatter than 1 : 24.
"""

from dataclasses import dataclass

import numpy as np
import viser
from jaxtyping import Float
from torch import Tensor

from video_ae.formats.ply import GaussianCloud

LARGEST, SMALLEST = 250.0, 0.008  # standard deviations whose squares float16 holds with all its digits
COMMON = 64.0  # what the 99.9th percentile of the largest scales becomes
FLATTEST = 24.0  # largest scale over smallest


@dataclass(frozen=True)
class SentGaussians:
    """Gaussians as viser takes them.

    Args:
        centres, covariances: in units of `unit`.
        unit: in the world's scale.
    """

    centres: Float[Tensor, "gaussian 3"]
    covariances: Float[Tensor, "gaussian 3 3"]
    unit: float


def fit_for_viser(cloud: GaussianCloud) -> SentGaussians:
    """Gaussians in a unit in which float16 holds their covariances.

    Args:
        cloud: in the world of the cameras.
    """
    widest = cloud.scale.amax(1)
    common = widest.kthvalue(max(1, round(0.999 * len(cloud)))).values.item() if len(cloud) else 1.0
    unit = common / COMMON
    scale = (cloud.scale / unit).clamp(SMALLEST, LARGEST)
    scale = scale.maximum(scale.amax(1, keepdim=True) / FLATTEST)
    half = cloud.rotation * scale[:, None]
    return SentGaussians(cloud.centres / unit, half @ half.mT, unit)


def draw_splats(scene: viser.SceneApi, cloud: GaussianCloud) -> viser.GaussianSplatHandle:
    """Draws Gaussians at `/splats`.

    Args:
        scene: of a page or of one of its clients.
        cloud: in the world.

    Returns:
        Their handle.
    """
    cloud = cloud.to("cpu")
    sent = fit_for_viser(cloud)
    colours = (255 * cloud.colors).round().numpy().astype(np.uint8)
    opacities = (255 * cloud.opacity[:, None]).round().numpy().astype(np.uint8)
    return scene.add_gaussian_splats(
        "/splats", sent.centres.numpy(), sent.covariances.numpy(), colours, opacities, scale=sent.unit
    )
