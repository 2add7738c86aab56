"""A camera path of one's own through a reconstruction: a crane shot that rises and looks down.

python examples/02_render_a_path.py walk crane.mp4
"""

import sys

import torch

import video_ae
from video_ae.geometry.se3 import se3_exp


def main(folder: str, out: str, frames: int = 48, size: int = 360) -> None:
    """Renders the path.

    Args:
        folder: that examples/01_reconstruct.py wrote.
        out: the .mp4 to write.
        frames: length of the path.
        size: shorter side of the images, in pixels.
    """
    walk = video_ae.Reconstruction.load(folder)
    middle = walk.cameras.select([len(walk) // 2])
    rise = torch.linspace(0, 0.1, frames, dtype=torch.float64)  # in typical depths; y points down
    zero = torch.zeros_like(rise)
    # A twist is three rotations in radians and three translations, in the camera's own axes.
    twist = torch.stack([-rise, zero, zero, zero, -rise * walk.scene_depth, zero], -1)
    path = video_ae.Cameras(middle.world_from_camera @ se3_exp(twist), middle.intrinsics.expand(frames, 4))
    views = walk.render(path, size)
    print(f"{views.opacity.gt(0.5).float().mean():.0%} of the pixels were seen by some frame")
    video_ae.write_video(out, views.rgb, 24)


if __name__ == "__main__":
    main(*sys.argv[1:3])
