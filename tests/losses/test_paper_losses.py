"""The paper's loss terms and the divergence of a variational autoencoder."""

import pickle

import pytest
import torch
from torch.nn.functional import l1_loss

from video_ae.errors import UserError
from video_ae.evaluation.metrics.lpips import Lpips, VggCosine
from video_ae.losses import vgg as perceptual_weights
from video_ae.losses.kl_divergence import KLDivergence, normal_divergence
from video_ae.losses.perceptual import Vgg16Perceptual
from video_ae.losses.vgg import Vgg16, Vgg16Weights, find_vgg16, find_vgg16_with_heads
from video_ae.losses.voxel_consistency import VoxelConsistency
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder
from video_ae.types import ModelOutput, VideoClip

_WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
_NUMBERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def _clip(frames: torch.Tensor) -> VideoClip:
    lead = frames.shape[:2]
    return VideoClip(frames, torch.arange(lead[1]).expand(lead).clone(), torch.zeros(lead))


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(perceptual_weights.importlib.util, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory):
    """Random weights under torchvision's names, in a file that is not called like the hub's."""
    torch.manual_seed(0)
    state, channels = {}, 3
    for number, width in zip(_NUMBERS, _WIDTHS, strict=True):
        state[f"features.{number}.weight"] = torch.randn(width, channels, 3, 3) * (2 / channels / 9) ** 0.5
        state[f"features.{number}.bias"] = torch.randn(width) * 0.1
        channels = width
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


def test_vgg_layers_equal_torchvisions_stack(torchvision_file):
    state = torch.load(torchvision_file, weights_only=True)
    layers: list[torch.nn.Module] = []
    channels = 3
    for number, width in zip(_NUMBERS, _WIDTHS, strict=True):
        while len(layers) < number:
            layers.append(torch.nn.MaxPool2d(2))
        convolution = torch.nn.Conv2d(channels, width, 3, padding=1)
        convolution.load_state_dict({k: state[f"features.{number}.{k}"] for k in ("weight", "bias")})
        layers += [convolution, torch.nn.ReLU()]
        channels = width
    pictures = torch.randn(1, 3, 32, 48)
    found = Vgg16(find_vgg16(torchvision_file))(pictures)
    for activation, end in zip(found, (4, 9, 16, 23, 30), strict=True):
        torch.testing.assert_close(activation, torch.nn.Sequential(*layers[:end])(pictures), rtol=1e-4, atol=1e-4)


def test_perceptual_term_is_the_papers_sum(torchvision_file):
    torch.manual_seed(0)
    term = Vgg16Perceptual(weights_file=str(torchvision_file))
    shown, true = torch.rand(1, 1, 3, 32, 32, requires_grad=True), torch.rand(1, 1, 3, 32, 32)
    value = term(ModelOutput(shown, torch.tensor([0])), _clip(true))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    a, b = (
        torch.nn.functional.interpolate(
            (x[0] - mean[:, None, None]) / deviation[:, None, None], (224, 224), mode="bilinear"
        )
        for x in (shown, true)
    )
    expected = sum(l1_loss(x, y) for x, y in zip(term.network(a), term.network(b), strict=True))
    torch.testing.assert_close(value, expected)
    value.backward()
    assert shown.grad.abs().sum() > 0
    assert not list(term.parameters())
    assert not term.state_dict()


@pytest.mark.usefixtures("no_weights")
def test_without_weights_the_term_is_refused_or_left_out():
    with pytest.raises(UserError, match="missing: leave_out"):
        Vgg16Perceptual()
    frames = torch.rand(1, 1, 3, 16, 16)
    assert Vgg16Perceptual(missing="leave_out")(ModelOutput(frames, torch.tensor([0])), _clip(1 - frames)) == 0
    assert find_vgg16() is None
    with pytest.raises(UserError, match="LPIPS is not computed"):
        Lpips.load()


def test_foreign_weights_are_refused(tmp_path):
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"short")
    with pytest.raises(UserError, match="damaged or another file"):
        find_vgg16(tmp_path / "vgg16-397923af.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="torchvision's VGG16"):
        find_vgg16(tmp_path / "other.pth")


def test_no_code_in_a_pickle_is_run(tmp_path, monkeypatch):
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match="damaged or another file"):
        find_vgg16(path)
    monkeypatch.setattr(perceptual_weights, "_check_digest", lambda path, expected: None)
    with pytest.raises(UserError, match="is no array"):
        find_vgg16(path)


def test_lpips_laws_with_any_weights(torchvision_file):
    vgg = find_vgg16(torchvision_file)
    heads = tuple(torch.ones(width) for width in (64, 128, 256, 512, 512))
    a, b = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    lpips = Lpips(Vgg16Weights(vgg.kernels, vgg.biases, heads))
    assert lpips(a, a).tolist() == [0, 0]
    torch.testing.assert_close(lpips(a, b), lpips(b, a))
    # With heads of ones, |u - v|^2 = 2 (1 - cosine): LPIPS is then twice the 2021 paper's measure.
    torch.testing.assert_close(lpips(a, b), 2 * VggCosine(vgg)(a, b), rtol=2e-2, atol=1e-4)


def test_lpips_of_known_pictures():
    data = pytest.importorskip("skimage.data", reason="scikit-image's pictures")
    if find_vgg16_with_heads() is None:
        pytest.skip("no LPIPS weights are installed")
    camera, gravel = (
        torch.tensor(picture)[None].expand(3, -1, -1)[None] / 255 for picture in (data.camera(), data.gravel())
    )
    assert Lpips.load()(camera, gravel).item() == pytest.approx(0.7237163782, abs=1e-4)


def test_voxel_consistency_of_a_still_clip_is_the_warp_alone():
    torch.manual_seed(0)
    model = PaperVideoAutoencoder(width=4, image_size=(16, 16)).eval()
    torch.nn.init.zeros_(model.encoder_traj.pose_pred.weight)
    torch.nn.init.zeros_(model.encoder_traj.pose_pred.bias)
    clip = _clip(torch.rand(1, 1, 3, 16, 16).repeat(1, 3, 1, 1, 1))
    assert VoxelConsistency()(model(clip), clip).item() == pytest.approx(0, abs=1e-5)
    moving = _clip(torch.rand(1, 3, 3, 16, 16))
    assert VoxelConsistency()(model(moving), moving).item() > 1e-4


def test_terms_name_the_model_they_need():
    frames = torch.rand(1, 1, 3, 16, 16)
    plain = ModelOutput(frames, torch.tensor([0]))
    with pytest.raises(UserError, match="PaperVideoAutoencoder"):
        VoxelConsistency()(plain, _clip(frames))
    with pytest.raises(UserError, match="VariationalAutoencoder"):
        KLDivergence()(plain, _clip(frames))


def test_divergence_equals_monte_carlo():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5), 0.7 * torch.randn(5)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    samples = posterior.sample((200_000,))
    ratio = (posterior.log_prob(samples) - torch.distributions.Normal(0, 1).log_prob(samples)).sum(-1)
    error = ratio.std() / len(ratio) ** 0.5
    assert abs(normal_divergence(mean, log_variance) - ratio.mean()) < 4 * error
    assert error < 0.02
