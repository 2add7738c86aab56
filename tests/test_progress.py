"""What a command says of its progress where nobody sees bars."""

import pytest

from video_ae import progress
from video_ae.progress import Stages


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_without_a_terminal_stages_are_lines_with_the_time_left(capsys, clock):
    with Stages() as stages:
        for second, stage, done in [
            (0, "cameras", 0), (12, "cameras", 0.1), (20, "cameras", 0.3), (24, "cameras", 0.4), (30, "cameras", 0.7),
            (40, "cameras", 1), (40, "writing", 0), (41, "writing", 1),
        ]:  # fmt: skip
            clock[0] = float(second)
            stages(stage, done)
    assert capsys.readouterr().err.splitlines() == [
        "cameras ...", "cameras: 10%", "cameras: 40%, about 24 s left", "writing ...",
    ]  # fmt: skip
    assert stages.seconds == {"cameras": 40.0, "writing": 1.0}


def test_whoever_gives_a_function_gets_calls_and_no_lines(capsys):
    calls = []
    with Stages(lambda stage, done: calls.append((stage, done))) as stages:
        stages("cameras", 0.5)
    assert calls == [("cameras", 0.5)]
    assert capsys.readouterr().err == ""
