"""Names for annotations of what imports this folder, which can therefore not import it."""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from video_ae.models.base import VideoModel as VideoModel
    from video_ae.scene.reconstruction import Reconstruction as Reconstruction
    from video_ae.scene.solved_video import SolvedVideo as SolvedVideo
else:
    VideoModel, Reconstruction, SolvedVideo = torch.nn.Module, object, object
