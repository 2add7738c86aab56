"""The structure encoder's start: random, or the ImageNet weights that the user has."""

import pytest
import torch

from video_ae.errors import UserError
from video_ae.models.video_autoencoder.deep_voxels import DeepVoxelEncoder


def _torchvision_state(encoder: DeepVoxelEncoder) -> dict[str, torch.Tensor]:
    names = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
    state = {"fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}
    for name, value in encoder.feature_extraction.state_dict().items():
        child, _, rest = name.partition(".")
        state[f"{names[child]}.{rest}"] = value
    return state


def test_imagenet_weights_come_from_a_file_or_the_hub_cache(tmp_path, monkeypatch):
    giver = DeepVoxelEncoder(width=4)
    path = tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth"
    path.parent.mkdir(parents=True)
    torch.save(_torchvision_state(giver), path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for taker in (DeepVoxelEncoder(4, str(path)), DeepVoxelEncoder(4, "auto")):
        assert taker.start == "ImageNet (resnet50-11ad3fa6.pth)"
        for name, value in giver.feature_extraction.state_dict().items():
            assert torch.equal(taker.feature_extraction.state_dict()[name], value), name


def test_without_a_file_the_start_is_random_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert DeepVoxelEncoder(4, "auto").start == "random"


def test_foreign_weights_are_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "resnet50-x.pth")
    with pytest.raises(UserError, match="torchvision's ResNet-50"):
        DeepVoxelEncoder(4, str(tmp_path / "resnet50-x.pth"))
