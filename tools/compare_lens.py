"""What the search for a lens is worth: `python tools/compare_lens.py [CLIP ...]`.

Training walk-throughs (by number; 0 and 5) are filmed anew through lenses that bend and with principal points off the
centre. Printed: trajectory error over the extent of the path, of a pinhole and with the search; the focal length found
over the true one; and what was found. Each clip has 48 frames; refinement as by default.
"""

import argparse
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error
from video_ae.geometry.pinhole import sample
from video_ae.models.base import Options
from video_ae.models.open import load_video_model
from video_ae.scene.undistort import UndistortedReader
from video_ae.types import Scene, VideoClip

WALKS = Path(__file__).parents[1] / "data" / "walkthroughs" / "train"
FRAMES = 48
LENSES = (  # k1, focal length over the walk's own, principal point off the centre
    (0.0, 1.3, (0.0, 0.0)),
    (0.03, 1.2, (0.0, 0.0)),
    (-0.3, 1.5, (0.0, 0.0)),
    (-0.1, 1.3, (0.0, 0.0)),
    (0.1, 1.1, (0.0, 0.0)),
    (0.0, 1.3, (0.03, -0.05)),
    (-0.1, 1.4, (0.02, 0.03)),
)


def filmed_anew(
    frames: Float[Tensor, "frame 3 height width"], own: float, focal: float, k1: float, shift: tuple[float, float]
) -> Tensor:
    """Frames of a pinhole as a lens of a longer focal length would have shown them.

    Args:
        frames: RGB in [0, 1].
        own, focal: focal lengths of the frames and of the lens, in pixels.
        k1: of the lens.
        shift: of its principal point, in parts of the sides.
    """
    height, width = frames.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    size = torch.tensor([width, height])
    bent = (torch.stack([x, y], -1) - size * (0.5 + torch.tensor(shift))) / focal
    straight = bent
    for _ in range(200):  # fixed point, damped
        straight = (straight + bent / (1 + k1 * straight.square().sum(-1, keepdim=True))) / 2
    uv = straight * own / size + 0.5
    return sample(frames, uv[None].expand(len(frames), -1, -1, -1), "border")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=int, nargs="*", default=[0, 5])
    torch.set_num_threads(1)
    model = load_video_model(None, torch.device("cpu"))

    def cameras_alone(clip: VideoClip, options: Options) -> Scene:
        return Scene(clip, model.find_cameras(clip, options), (0,), ())

    model.encode_scene = cameras_alone  # type: ignore[method-assign]
    walks = RealEstate10K(WALKS)
    for number in parser.parse_args().clips:
        clip = walks.load(number, list(range(FRAMES)), None, "stretch")
        true, width = clip.cameras.world_from_camera[:, :3, 3].double(), clip.image_size[0]
        own = clip.cameras.intrinsics[0, 0].item() * width
        for k1, longer, shift in LENSES:
            frames, errors = filmed_anew(clip.frames, own, own * longer, k1, shift).clamp(0, 1), []
            for camera in ("pinhole", None):
                found = model.reconstruct(frames, camera=camera)
                errors.append(absolute_trajectory_error(found.cameras.centers, true).rmse_over_extent)
            reader, focal = found.source.open(), found.focal
            if isinstance(reader, UndistortedReader):  # from the corrected frames to the lens
                focal *= reader.lens.focal[0] / width / reader.focal_over_width
            said = [note.partition("(")[2].rstrip(")") for note in found.notes if note.startswith("lens")]
            print(
                f"{clip.name} k1 {k1} centre {shift}: trajectory {errors[0]:.4f} -> {errors[1]:.4f}, focal "
                f"{focal * width / (own * longer):.3f}, {said[0] if said else 'nothing found'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
