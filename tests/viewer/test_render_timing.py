"""What is rendered next, and how large: with made-up times."""

import time

import numpy as np
import pytest

from video_ae.viewer.frusta import View
from video_ae.viewer.pacing import COARSE_SECONDS, FINE_SECONDS, MOST_SIDE, STILL_SECONDS, Pace, Schedule
from video_ae.viewer.worker import RenderWorker


def view(x: float, aspect: float = 1.5) -> View:
    return View((1.0, 0.0, 0.0, 0.0), (float(x), 0.0, 0.0), 1.0, aspect)


def schedule(seconds_per_pixel: float = 2e-5) -> Schedule:
    return Schedule(Pace(seconds_per_pixel))


def test_coarse_at_once_and_fine_when_still():
    plan = schedule()
    assert plan.next(0.0) is None
    assert plan.wait(0.0) is None
    plan.look(1, view(0), 0.0)
    first = plan.next(0.0)
    assert first is not None
    assert not first.fine
    assert plan.next(0.0) is None
    assert plan.wait(0.0) == pytest.approx(STILL_SECONDS)
    last = plan.next(STILL_SECONDS)
    assert last is not None
    assert last.fine
    assert last.size[0] > first.size[0]
    assert plan.next(99.0) is None
    assert plan.wait(99.0) is None


def test_only_the_latest_view_is_rendered():
    plan = schedule()
    for step in range(20):
        plan.look(1, view(step), step / 100)
    order = plan.next(0.3)
    assert order is not None
    assert order.view == view(19)
    plan.look(1, view(20), 0.31)  # moves on before the fine one was due
    order = plan.next(0.31)
    assert order is not None
    assert (order.view, order.fine) == (view(20), False)


def test_the_same_view_again_is_no_move():
    plan = schedule()
    plan.look(1, view(0), 0.0)
    assert plan.next(0.0) is not None
    plan.look(1, view(0), 0.2)
    assert plan.wait(0.2) == pytest.approx(STILL_SECONDS - 0.2)


def test_two_visitors_take_turns_and_moving_goes_before_still():
    plan = schedule()
    plan.look(1, view(1), 0.0)
    plan.look(2, view(2), 0.01)
    assert [plan.next(0.02).visitor, plan.next(0.02).visitor] == [1, 2]
    plan.look(2, view(3), 1.0)  # by now both are due: the fine one of visitor 1, the coarse one of visitor 2
    assert [(o.visitor, o.fine) for o in (plan.next(1.0), plan.next(1.0))] == [(2, False), (1, True)]


def test_who_has_left_gets_nothing_and_a_new_scene_is_for_everybody():
    plan = schedule()
    plan.look(1, view(1), 0.0)
    plan.look(2, view(2), 0.0)
    while plan.next(9.0):
        pass
    plan.forget(1)
    plan.again(10.0)
    order = plan.next(10.0)
    assert order is not None
    assert (order.visitor, order.fine) == (2, False)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.78])
def test_sizes_keep_to_the_time_and_the_shape(aspect):
    pace = Pace()
    pace.took((100, 100), 0.2)
    for limit in (COARSE_SECONDS, FINE_SECONDS):
        width, height = pace.size(aspect, limit)
        assert width % 2 == height % 2 == 0
        assert width / height == pytest.approx(aspect, rel=0.05)
        assert width * height * 2e-5 == pytest.approx(limit, rel=0.15)


def test_a_fast_machine_renders_once_and_no_larger_than_codes_deserve():
    plan = schedule(1e-9)
    plan.look(1, view(0), 0.0)
    order = plan.next(0.0)
    assert order is not None
    assert order.fine
    assert min(order.size) == MOST_SIDE
    assert plan.next(9.0) is None


def test_the_worker_serves_two_and_survives_a_failure(capsys):
    delivered = []

    def render(where: View, size: tuple[int, int]) -> np.ndarray:
        if where.position[0] == 13:
            raise RuntimeError("bad luck")
        return np.full((size[1], size[0], 3), int(where.position[0]), np.uint8)

    worker = RenderWorker(render, lambda order, picture: delivered.append((order.visitor, int(picture[0, 0, 0]))))
    try:
        for visitor, x in ((1, 13), (1, 5), (2, 7)):
            worker.look(visitor, view(x))
            time.sleep(0.1)
        until = time.monotonic() + 5
        while not {(1, 5), (2, 7)} <= set(delivered) and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        worker.stop()
    assert {(1, 5), (2, 7)} <= set(delivered)
    assert "bad luck" in capsys.readouterr().err
