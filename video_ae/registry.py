"""Short names of the parts that YAML and weights may name, and what they were called before.

A part is a class: a model, one of its encoders or renderers, a loss term. It is written by its short name
(`PlaneSweepEncoder`), so that files outlive a move of its module; a class outside this package is written by its full
path (`my_package.my_module.MyEncoder`). This file knows names only and imports nothing of what they name.
"""

import importlib
import logging
from typing import Any

log = logging.getLogger(__name__)

PARTS = {  # short name -> module
    "PerspectiveAutoencoder": "video_ae.models.perspective",
    "PaperVideoAutoencoder": "video_ae.models.video_autoencoder.model",
    "PlainAutoencoder": "video_ae.lecture.plain",
    "DenoisingAutoencoder": "video_ae.lecture.denoising",
    "VariationalAutoencoder": "video_ae.lecture.variational",
    "RecurrentAutoencoder": "video_ae.lecture.recurrent",
    "CameraSolver": "video_ae.camera.solver",
    "LocalContrast": "video_ae.camera.features",
    "PlaneSweepEncoder": "video_ae.structure.plane_sweep",
    "FrustumRenderer": "video_ae.renderers.frustum_renderer",
    "L1": "video_ae.losses.photometric",
    "SquaredError": "video_ae.losses.photometric",
    "StructuralDissimilarity": "video_ae.losses.photometric",
    "Gradient": "video_ae.losses.photometric",
    "Vgg16Perceptual": "video_ae.losses.perceptual",
    "KLDivergence": "video_ae.losses.kl_divergence",
    "VoxelConsistency": "video_ae.losses.voxel_consistency",
}

RENAMED = {  # what files from before say -> short name
    "AlignmentEncoder": "CameraSolver",
    "video_ae.camera.alignment_encoder.AlignmentEncoder": "CameraSolver",
    "video_ae.renderers.frustum.FrustumRenderer": "FrustumRenderer",
    "video_ae.models.paper.PaperVideoAutoencoder": "PaperVideoAutoencoder",
    "video_ae.models.plain_autoencoder.PlainAutoencoder": "PlainAutoencoder",
    "video_ae.models.denoising_autoencoder.DenoisingAutoencoder": "DenoisingAutoencoder",
    "video_ae.models.variational_autoencoder.VariationalAutoencoder": "VariationalAutoencoder",
    "video_ae.models.recurrent_autoencoder.RecurrentAutoencoder": "RecurrentAutoencoder",
}

DROPPED = {"PerspectiveAutoencoder": {"view_side"}}  # short name -> options that files from before set for nothing


def full_path(name: str) -> str:
    """Where a part is: `module.Class`. Names that are neither short nor renamed come back as they are.

    Args:
        name: a short name, an earlier full path of a part of this package, or any other path.

    >>> full_path("L1"), full_path("video_ae.camera.alignment_encoder.AlignmentEncoder"), full_path("mine.Encoder")
    ('video_ae.losses.photometric.L1', 'video_ae.camera.solver.CameraSolver', 'mine.Encoder')
    """
    short = RENAMED.get(name, name)
    return f"{PARTS[short]}.{short}" if short in PARTS else name


def short_name(path: str) -> str:
    """The short name of a part, and the path itself of a class that has none.

    Args:
        path: `module.Class`.

    >>> short_name("video_ae.losses.photometric.L1"), short_name("mine.Encoder")
    ('L1', 'mine.Encoder')
    """
    module, _, name = full_path(path).rpartition(".")
    return name if PARTS.get(name) == module else path


def name_of(kind: type) -> str:
    """What files call a class: its short name, or its full path where it has none.

    Args:
        kind: the class.
    """
    return short_name(f"{kind.__module__}.{kind.__qualname__}")


def find_class(name: str) -> type:
    """The class that a name in a file stands for.

    Args:
        name: a short name, an earlier full path, or a full path.

    Raises:
        ImportError, AttributeError, ValueError: there is no such class.
    """
    module, _, kind = full_path(name).rpartition(".")
    return getattr(importlib.import_module(module), kind)


def with_full_paths(settings: Any) -> Any:
    """Nested settings with every `class_path` written as a full path of today, without options that are no more.

    Args:
        settings: what YAML or JSON may hold: dictionaries, lists, plain values.
    """
    return _renamed(settings, full_path)


def with_short_names(settings: Any) -> Any:
    """Nested settings with every `class_path` written as files shall hold it.

    Args:
        settings: what YAML or JSON may hold.
    """
    return _renamed(settings, short_name)


def announce_renamed(settings: Any) -> None:
    """Logs, for every part that nested settings call by an earlier name, what it is called now.

    Args:
        settings: what YAML or JSON may hold.
    """

    def say(name: str) -> str:
        if name in RENAMED:
            log.warning("%s is called %s now; the earlier name still works.", name, RENAMED[name])
        return name

    _renamed(settings, say)


def _renamed(settings: Any, rename) -> Any:
    if isinstance(settings, dict):
        renamed = {
            key: rename(value) if key == "class_path" and isinstance(value, str) else _renamed(value, rename)
            for key, value in settings.items()
        }
        dropped = DROPPED.get(short_name(str(settings.get("class_path"))), set())
        for name in dropped & (renamed.get("init_args") or {}).keys():
            del renamed["init_args"][name]
        return renamed
    return [_renamed(value, rename) for value in settings] if isinstance(settings, list) else settings
