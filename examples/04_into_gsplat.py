"""A reconstruction as the start of 3D Gaussian Splatting: everything that gsplat's rasterizer takes.

python examples/04_into_gsplat.py walk        # with gsplat and CUDA it also renders
"""

import sys

import torch

import video_ae
from video_ae.formats.interop import to_gsplat
from video_ae.geometry.se3 import quaternion_from_rotation


def main(folder: str) -> dict[str, torch.Tensor]:
    """The arguments of `gsplat.rasterization`.

    Args:
        folder: that examples/01_reconstruct.py wrote.
    """
    walk = video_ae.Reconstruction.load(folder)
    gaussians = walk.gaussians()
    viewmats, Ks = to_gsplat(walk.cameras, *walk.source.image_size)
    given = {
        "means": gaussians.centres,
        "quats": quaternion_from_rotation(gaussians.rotation.double()).roll(1, -1).float(),  # gsplat: w first
        "scales": gaussians.scale,
        "opacities": gaussians.opacity,
        "colors": gaussians.colors,
        "viewmats": viewmats,
        "Ks": Ks,
    }
    for name, value in given.items():
        print(f"{name}: {list(value.shape)}")
    if torch.cuda.is_available():
        from gsplat import rasterization

        width, height = walk.source.image_size
        on_device = {name: value.cuda() for name, value in given.items()}
        images, _, _ = rasterization(**on_device, width=width, height=height)
        video_ae.write_video("splats.mp4", images.clamp(0, 1).permute(0, 3, 1, 2).cpu(), walk.frame_rate)
    return given


if __name__ == "__main__":
    main(sys.argv[1])
