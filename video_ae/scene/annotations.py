"""Names for annotations of what imports this folder, which can therefore not import it."""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from video_ae.models.base import VideoModel as VideoModel
    from video_ae.scene.reconstruction import Reconstruction as Reconstruction
else:
    VideoModel, Reconstruction = torch.nn.Module, object
