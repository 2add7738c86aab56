"""Frames of a lens that bends as a pinhole camera would have taken them."""

from pathlib import Path

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.camera_file import read_camera_file
from video_ae.formats.lens import Lens
from video_ae.geometry.pinhole import pixel_centres, sample
from video_ae.types import LensOffset
from video_ae.videos.base import VideoReader

_ZOOM_STEP, _MOST_ZOOM = 1.005, 3.0
_SMALLEST_NAMED = 5e-4  # of k1, and of the image for its centre: what is not rounded to nothing in a note
_BENDINGS = 30  # rounds of finding the ray that a lens shows at a pixel
_FURTHER = 1.02  # times a ray's distance from the middle: the lens must show it further out


class UndistortedReader(VideoReader):
    """The frames of another reader without distortion, with square pixels and the principal point at the centre.

    They keep their size. The focal length is the lens's, or as much longer as it takes for the frames to be full: a
    lens that bends inwards leaves nothing at the corners of a wider one.

    Args:
        reader: of the video.
        lens: that it was filmed with, for images of the reader's size; also an attribute.

    Raises:
        UserError: the distortion leaves no full image.
    """

    def __init__(self, reader: VideoReader, lens: Lens) -> None:
        super().__init__(reader.name, reader.image_size, reader.times)
        self._reader, self.lens = reader, lens
        self._focal = _full_focal(lens)
        width, height = lens.size
        size = torch.tensor(lens.size)
        pixels = pixel_centres(height, width, dtype=torch.float64) * size
        uv = lens.project(_rays(pixels, lens.size, self._focal)) / size
        self._uv = uv.float()

    @classmethod
    def correcting(cls, reader: VideoReader, offset: LensOffset) -> "UndistortedReader":
        """The frames of a reader without what was found of its lens.

        Args:
            reader: of the video; where it has been corrected before, both corrections are added up, which is right to
                the first order.
            offset: that was found in its frames.
        """
        width, height = reader.image_size
        focal, radial = offset.focal_over_width * width, offset.radial
        x, y = offset.centre[0] * width, offset.centre[1] * height
        if not isinstance(reader, UndistortedReader):
            return cls(reader, Lens((width, height), (focal, focal), (width / 2 + x, height / 2 + y), (radial,)))
        lens = reader.lens
        scale = lens.focal[0] / reader._focal  # from pixels of the corrected frames to those of the lens
        radial += lens.radial[0] * (focal / reader._focal) ** 2
        centre = lens.centre[0] + scale * x, lens.centre[1] + scale * y
        return cls(reader._reader, Lens(lens.size, (scale * focal, scale * focal), centre, (radial,)))

    @property
    def note(self) -> str:
        """What was corrected, as a sentence for people."""
        k1, shift = self.lens.radial[0] if self.lens.radial else 0.0, self.lens.centre_offset
        bends = [f"it bends straight lines (k1 {k1:.3f})"] if abs(k1) > _SMALLEST_NAMED else []
        if max(map(abs, shift)) > _SMALLEST_NAMED:
            bends += [
                f"its centre lies at {50 + 100 * shift[0]:.1f} % of the width and {50 + 100 * shift[1]:.1f} % of the "
                "height of the image, as where a video was cropped"
            ]
        return f"lens: {' and '.join(bends) or 'it bends a little'}, so frames were straightened"

    @property
    def focal_over_width(self) -> float:
        """fx / width of the frames."""
        return self._focal / self.lens.size[0]

    def as_filmed(self, maps: Float[Tensor, "map rows columns"]) -> Float[Tensor, "map rows columns"]:
        """Maps of the frames as the lens would have shown them; at the border, what no frame shows is continued.

        Args:
            maps: of whole frames, of any size, such as masks of what moves.
        """
        rows, columns = maps.shape[-2:]
        size = torch.tensor(self.lens.size, dtype=torch.float64)
        rays = shown = self.lens.rays_without_distortion(pixel_centres(rows, columns, dtype=size.dtype) * size)
        for _ in range(_BENDINGS):
            rays = rays - (self.lens.rays_without_distortion(self.lens.project(rays)) - shown)
        uv = (rays * self._focal / size + 0.5).to(maps)
        return sample(maps[:, None], uv.expand(len(maps), *uv.shape), "border")[:, 0]

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        frames = torch.empty(len(numbers), 3, *self.image_size[::-1], dtype=torch.uint8)
        for own, frame in zip(frames, self._reader.decode(numbers), strict=True):
            own.copy_(sample(frame[None].float(), self._uv[None], "border")[0].round())
        return frames


def undistorted(reader: VideoReader, camera: str | Path | Lens) -> UndistortedReader:
    """The frames of a reader without the distortion of its lens.

    Args:
        reader: of the video.
        camera: the lens, or the file of its calibration.

    Raises:
        UserError: the file is no calibration, belongs to images of another aspect ratio, or leaves no full image.
    """
    size = reader.image_size
    lens = camera.at_size(size) if isinstance(camera, Lens) else read_camera_file(Path(camera), size)
    return UndistortedReader(reader, lens)


def _rays(pixels: Float64[Tensor, "*points 2"], size: tuple[int, int], focal: float) -> Float64[Tensor, "*points 2"]:
    return (pixels - torch.tensor(size, dtype=torch.float64) / 2) / focal


def _full_focal(lens: Lens) -> float:
    """The shortest focal length in pixels, not below the lens's own, at which every pixel of the border was seen.

    Raises:
        UserError: there is none.
    """
    size = torch.tensor(lens.size, dtype=torch.float64)
    along = torch.linspace(0, 1, 65, dtype=torch.float64)
    ends = torch.zeros_like(along), torch.ones_like(along)
    sides = [torch.stack(pair, -1) for end in ends for pair in ((along, end), (end, along))]
    border, focal = torch.cat(sides) * size, float(max(lens.focal))
    longest = _MOST_ZOOM * focal
    centre = torch.tensor(lens.centre, dtype=torch.float64)
    while focal < longest:
        rays = _rays(border, lens.size, focal)
        seen, further = lens.project(rays), lens.project(_FURTHER * rays)
        # Polynomials fold back further out, and then turn over.
        outward = (further - centre).norm(dim=-1) > (seen - centre).norm(dim=-1)
        outward &= ((seen - centre) * rays).sum(-1) > 0
        if bool((((seen >= -0.5) & (seen <= size + 0.5)).all(-1) & outward).all()):
            return focal
        focal *= _ZOOM_STEP
    raise UserError(
        f"A camera with the distortion {lens.radial} leaves no full image: check that its coefficients are those of "
        "OpenCV's model (k1, k2, p1, p2), for these images."
    )
