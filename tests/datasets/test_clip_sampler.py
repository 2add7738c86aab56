"""Clips are pure functions of (seed, position)."""

from collections import Counter

import pytest

from video_ae.datasets.clip_sampler import ClipChoice, ClipSampler
from video_ae.errors import UserError

COUNTS = [30, 5, 90, 12]


def clip_indices(seed, position, frame_counts, length, gap=(1, 1), reverse=False) -> ClipChoice:
    return ClipSampler(frame_counts, length, gap, reverse).choose(seed, position)


def test_same_seed_and_position_same_clip_whatever_was_asked_before() -> None:
    forwards = [clip_indices(1, p, COUNTS, 5, (1, 4), reverse=True) for p in range(50)]
    backwards = [clip_indices(1, p, COUNTS, 5, (1, 4), reverse=True) for p in reversed(range(50))]
    assert forwards == backwards[::-1]
    assert forwards != [clip_indices(2, p, COUNTS, 5, (1, 4), reverse=True) for p in range(50)]


def test_clips_are_evenly_spaced_and_lie_in_their_video() -> None:
    gaps = Counter()
    for position in range(2000):
        choice = clip_indices(0, position, COUNTS, 5, (2, 4))
        steps = {b - a for a, b in zip(choice.indices, choice.indices[1:], strict=False)}
        assert len(steps) == 1
        assert len(choice.indices) == 5
        assert 0 <= choice.indices[0] <= choice.indices[-1] < COUNTS[choice.video]
        assert choice.video != 1, "five frames cannot hold a clip of five at gap two"
        gaps[steps.pop()] += 1
    assert set(gaps) == {2, 3, 4}


def test_videos_come_as_often_as_they_have_windows() -> None:
    drawn = Counter(clip_indices(0, position, [11, 31], 2, (1, 1)).video for position in range(4000))
    assert drawn[1] / drawn[0] == pytest.approx(3, rel=0.15)


def test_every_start_is_reached() -> None:
    starts = {clip_indices(0, position, [8], 3, (2, 2)).indices[0] for position in range(200)}
    assert starts == {0, 1, 2, 3}


def test_reversal_is_for_half_of_the_clips() -> None:
    down = [clip_indices(0, p, COUNTS, 4, (1, 3), reverse=True).indices for p in range(1000)]
    up = [clip_indices(0, p, COUNTS, 4, (1, 3)).indices for p in range(1000)]
    turned = sum(a[0] > a[-1] for a in down)
    assert 430 < turned < 570
    assert [sorted(indices) for indices in down] == up


def test_clips_of_one_frame() -> None:
    assert {clip_indices(0, p, [3], 1).indices[0] for p in range(50)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("length", "gap", "message"),
    [
        (0, (1, 1), "not possible"),
        (3, (0, 2), "not possible"),
        (3, (3, 2), "not possible"),
        (92, (1, 1), "needs 92 frames; the longest has 90"),
    ],
)
def test_impossible_clips(length: int, gap: tuple[int, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        clip_indices(0, 0, COUNTS, length, gap)
