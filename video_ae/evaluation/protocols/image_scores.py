"""The image metrics of a table: those that can be computed here, and why the others cannot."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from video_ae.evaluation.metrics.images import ms_ssim, psnr, ssim

ImageMetric = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ImageMetrics:
    """Metrics of pairs of images.

    Args:
        found: the metrics by name.
        missing: metrics that cannot be computed here, and why; their numbers are null.
    """

    found: Mapping[str, ImageMetric]
    missing: Mapping[str, str] = field(default_factory=dict)

    def score(self, image: Float[Tensor, "3 height width"], truth: Float[Tensor, "3 height width"]) -> dict[str, float]:
        """Each metric of one pair. Pairs are scored one by one, since metrics share features.

        Args:
            image, truth: RGB in [0, 1].
        """
        return {name: metric(image[None], truth[None]).item() for name, metric in self.found.items()}

    def means(self, scores: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
        """The mean of each metric; None for the missing ones, and for all where there is no score.

        Args:
            scores: of the pairs.
        """
        means = {name: statistics.fmean(score[name] for score in scores) if scores else None for name in self.found}
        return means | dict.fromkeys(self.missing)

    def reasons(self, scores: Sequence[Mapping[str, float]], none: str) -> dict[str, Any]:
        """Why metrics are None, by name under the key "reasons"; empty where none is.

        Args:
            scores: of the pairs.
            none: why there is no pair, where there is none.
        """
        reasons = ({} if scores else dict.fromkeys(self.found, none)) | dict(self.missing)
        return {"reasons": reasons} if reasons else {}


VIEW_METRICS = ImageMetrics({"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim})
