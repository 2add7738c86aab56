"""Recurrent: the past matters."""

import pytest
import torch
from moving_shapes import make_clip, moving_discs, train

from video_ae.errors import UserError
from video_ae.lecture.recurrent import RecurrentAutoencoder
from video_ae.losses.photometric import SquaredError

_SIZE = {"image_size": (16, 16), "code_size": 32, "width": 4, "hidden_size": 32}


def test_memory_predicts_a_moving_shape_better_than_none():
    known, unseen = moving_discs(256, 4), moving_discs(64, 4, seed=1)
    errors = {}
    for recurrent in (True, False):
        torch.manual_seed(0)
        model = RecurrentAutoencoder("convlstm", recurrent=recurrent, teacher_forcing=0.0, **_SIZE)
        train(model, known, 150, SquaredError(), lr=1e-2)
        with torch.no_grad():
            out = model(unseen)
        late = out.frames[:, 1:] - unseen.frames[:, 2:]  # from the second frame on a velocity can be known
        errors[recurrent] = late.square().mean().item()
    assert errors[True] < 0.85 * errors[False]


@pytest.mark.parametrize("cell", ["plain", "convlstm"])
def test_shuffling_the_past_changes_the_last_frame(cell):
    torch.manual_seed(0)
    clip = moving_discs(1, 5)
    shuffled = make_clip(clip.frames[:, [2, 0, 1, 3, 4]])
    memory = RecurrentAutoencoder(cell, **_SIZE).eval()
    assert (memory(clip).frames[:, -1] - memory(shuffled).frames[:, -1]).abs().max() > 1e-5
    none = RecurrentAutoencoder(cell, recurrent=False, **_SIZE).eval()
    torch.testing.assert_close(none(clip).frames[:, -1], none(shuffled).frames[:, -1])


@pytest.mark.parametrize("cell", ["plain", "convlstm"])
def test_outputs_never_see_the_future(cell):
    torch.manual_seed(0)
    clip = moving_discs(1, 5)
    changed = clip.frames.clone()
    changed[:, 3:] = 0
    for ahead in (0, 1):
        model = RecurrentAutoencoder(cell, ahead=ahead, teacher_forcing=1.0, **_SIZE)  # training: teacher forcing
        count = 3  # outputs that depend on frames 0, 1 and 2 alone
        a, b = model(clip), model(make_clip(changed))
        torch.testing.assert_close(a.frames[:, :count], b.frames[:, :count])
        assert not torch.allclose(a.frames[:, count:], b.frames[:, count:])
        assert a.targets.tolist() == list(range(ahead, 5))


def test_plain_cell_is_the_lectures_recurrence():
    torch.manual_seed(0)
    model = RecurrentAutoencoder("plain", ahead=0, **_SIZE).eval()
    clip = moving_discs(1, 3)
    cell, layers = model.cell, model.layers
    h, shown = torch.zeros(1, 32), torch.zeros(1, 32)
    for t in range(3):
        x = layers.encode(clip.frames[:, t])
        h = torch.sigmoid(x @ cell.from_input.weight.T + h @ cell.from_memory.weight.T + cell.from_input.bias)
        y = h @ cell.to_output.weight.T + shown @ cell.from_output.weight.T + cell.to_output.bias
        picture = layers.decode(y)
        torch.testing.assert_close(model(clip).frames[:, t], picture)
        shown = layers.encode(picture)


def test_teacher_forcing_and_free_running_differ():
    torch.manual_seed(0)
    clip = moving_discs(1, 4)
    model = RecurrentAutoencoder("plain", teacher_forcing=1.0, **_SIZE)
    forced = model(clip).frames
    free = model.eval()(clip).frames
    torch.testing.assert_close(forced[:, 0], free[:, 0])
    assert not torch.allclose(forced[:, 1:], free[:, 1:])


def test_continuing_reads_its_own_predictions():
    torch.manual_seed(0)
    clip = moving_discs(2, 4)
    model = RecurrentAutoencoder("convlstm", **_SIZE).eval()
    onward = model.continue_clip(clip.frames[:, :3], 2)
    assert onward.shape == (2, 2, 3, 16, 16)
    longer = model(make_clip(torch.cat([clip.frames[:, :3], onward], 1)))
    torch.testing.assert_close(longer.frames[:, -2:], onward)


def test_impossible_clips_are_refused():
    with pytest.raises(UserError, match="2 frames or more"):
        RecurrentAutoencoder(**_SIZE)(moving_discs(1, 1))
    with pytest.raises(UserError, match="ahead: 1"):
        RecurrentAutoencoder(ahead=0, **_SIZE).continue_clip(moving_discs(1, 2).frames, 1)
