"""The plain autoencoder and the layers that all share."""

import pytest
import torch
from moving_shapes import make_clip, moving_discs

from video_ae.errors import UserError
from video_ae.lecture.layers import ConvolutionalLayers, DenseLayers, FullyConvolutionalLayers
from video_ae.lecture.plain import PlainAutoencoder


def test_linear_autoencoder_reaches_the_error_of_pca():
    torch.manual_seed(0)
    frames = moving_discs(60, 1, size=8).frames[:, 0].double()
    components = 3
    model = PlainAutoencoder("dense", (8, 8), components, activation="linear").double()
    clip = make_clip(frames[:, None])
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=1000, history_size=50, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        error = (model(clip).frames - clip.frames).square().sum() / len(frames)
        error.backward()
        return error

    optimizer.step(closure)
    centred = frames.flatten(1) - frames.flatten(1).mean(0)
    best = torch.linalg.svdvals(centred)[components:].square().sum() / len(frames)
    next_best = torch.linalg.svdvals(centred)[components - 1 :].square().sum() / len(frames)
    reached = closure().item()
    assert best.item() * 0.9999 <= reached <= best.item() * 1.005
    assert reached < 0.9 * next_best.item()  # and all of the units are used


def test_dense_layers_are_the_lectures_equations():
    torch.manual_seed(0)
    layers = DenseLayers((5, 4), 7)
    x = torch.rand(2, 3, 4, 5)
    z = 1 / (1 + (-(x.flatten(1) @ layers.encoder.weight.T + layers.encoder.bias)).exp())
    shown = 1 / (1 + (-(z @ layers.decoder.weight.T + layers.decoder.bias)).exp())
    torch.testing.assert_close(layers.decode(layers.encode(x)), shown.view(2, 3, 4, 5))


def test_convolutional_layers_halve_three_times():
    layers = ConvolutionalLayers((24, 16), 5, width=4)
    frames = torch.rand(2, 3, 16, 24)
    assert layers.to_map(frames).shape == (2, 16, 2, 3)
    assert layers.decode(layers.encode(frames)).shape == frames.shape
    with pytest.raises(UserError, match="multiples of 8, got 20x16"):
        ConvolutionalLayers((20, 16), 5)


def test_fully_convolutional_layers_are_equivariant_to_shifts():
    """What lies eight pixels further has the same code one cell further, and comes back eight pixels further."""
    torch.manual_seed(0)
    layers = FullyConvolutionalLayers((80, 24), 60, width=4)
    frames = torch.zeros(1, 3, 24, 80)
    frames[..., 8:16, 32:40] = torch.rand(3, 8, 8)
    moved = frames.roll(8, -1)
    codes, later = (layers.encode(x).view(2, 3, 10) for x in (frames, moved))
    empty = layers.encode(torch.zeros_like(frames)).view(2, 3, 10)
    assert (codes - empty).abs().max() > 0.01
    inner = slice(3, 7)  # away from the border, where zeros are seen
    torch.testing.assert_close(later[..., 4:8], codes[..., inner])
    shown, after = (layers.decode(z.reshape(1, -1)) for z in (codes, later))
    torch.testing.assert_close(after[..., 40:56], shown[..., 32:48])


def test_a_code_that_is_no_multiple_of_the_cells_is_refused():
    with pytest.raises(UserError, match=r"has 6 cells.*choose a code_size such as 12"):
        FullyConvolutionalLayers((24, 16), 13)


@pytest.mark.parametrize("layers", ["dense", "convolutional", "fully_convolutional"])
def test_frames_of_another_size_come_back_at_their_own(layers):
    clip = make_clip(torch.rand(2, 3, 3, 30, 40))
    model = PlainAutoencoder(layers, (16, 16), 8, width=4)
    out = model(clip)
    assert out.frames.shape == clip.frames.shape
    assert out.extras["code"].shape == (2, 3, 8)
    assert out.targets.tolist() == [0, 1, 2]


def test_each_frame_is_coded_by_itself():
    clip = make_clip(torch.rand(1, 3, 3, 16, 16))
    model = PlainAutoencoder(image_size=(16, 16), code_size=6, width=4)
    swapped = model(make_clip(clip.frames.flip(1))).frames.flip(1)
    torch.testing.assert_close(model(clip).frames, swapped)


def test_sizes_below_one_are_refused():
    with pytest.raises(UserError, match="at least 1"):
        PlainAutoencoder(code_size=0)
