"""What is rendered next, and how large: with made-up times."""

import time

import numpy as np
import pytest

from video_ae.viewer.render_timing import (
    COARSE_SECONDS,
    FINE_SECONDS,
    MOST_SIDE,
    STILL_SECONDS,
    RenderSchedule,
    RenderTimeEstimate,
)
from video_ae.viewer.render_worker import RenderWorker
from video_ae.viewer.views import View


def view(x: float, aspect: float = 1.5) -> View:
    return View((1.0, 0.0, 0.0, 0.0), (float(x), 0.0, 0.0), 1.0, aspect)


def schedule(seconds_per_pixel: float = 2e-5) -> RenderSchedule:
    return RenderSchedule(RenderTimeEstimate(seconds_per_pixel))


def test_coarse_at_once_and_fine_when_still():
    plan = schedule()
    assert plan.next_request(0.0) is None
    assert plan.seconds_to_wait(0.0) is None
    plan.set_view(1, view(0), 0.0)
    first = plan.next_request(0.0)
    assert first is not None
    assert not first.fine
    assert plan.next_request(0.0) is None
    assert plan.seconds_to_wait(0.0) == pytest.approx(STILL_SECONDS)
    last = plan.next_request(STILL_SECONDS)
    assert last is not None
    assert last.fine
    assert last.size[0] > first.size[0]
    assert plan.next_request(99.0) is None
    assert plan.seconds_to_wait(99.0) is None


def test_only_the_latest_view_is_rendered():
    plan = schedule()
    for step in range(20):
        plan.set_view(1, view(step), step / 100)
    request = plan.next_request(0.3)
    assert request is not None
    assert request.view == view(19)
    plan.set_view(1, view(20), 0.31)  # moves on before the fine one was due
    request = plan.next_request(0.31)
    assert request is not None
    assert (request.view, request.fine) == (view(20), False)


def test_the_same_view_again_is_no_move():
    plan = schedule()
    plan.set_view(1, view(0), 0.0)
    assert plan.next_request(0.0) is not None
    plan.set_view(1, view(0), 0.2)
    assert plan.seconds_to_wait(0.2) == pytest.approx(STILL_SECONDS - 0.2)


def test_two_clients_take_turns_and_moving_goes_before_still():
    plan = schedule()
    plan.set_view(1, view(1), 0.0)
    plan.set_view(2, view(2), 0.01)
    assert [plan.next_request(0.02).client, plan.next_request(0.02).client] == [1, 2]
    plan.set_view(2, view(3), 1.0)  # by now both are due: the fine one of client 1, the coarse one of client 2
    assert [(o.client, o.fine) for o in (plan.next_request(1.0), plan.next_request(1.0))] == [(2, False), (1, True)]


def test_who_has_left_gets_nothing_and_who_comes_back_gets_the_same_view_anew():
    plan = schedule()
    plan.set_view(1, view(1), 0.0)
    plan.set_view(2, view(2), 0.0)
    while plan.next_request(9.0):
        pass
    plan.remove(1)
    plan.remove(2)
    assert plan.next_request(10.0) is None
    plan.set_view(2, view(2), 10.0)
    request = plan.next_request(10.0)
    assert request is not None
    assert (request.client, request.fine) == (2, False)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.78])
def test_sizes_keep_to_the_time_and_the_aspect(aspect):
    estimate = RenderTimeEstimate()
    estimate.update((100, 100), 0.2)
    for limit in (COARSE_SECONDS, FINE_SECONDS):
        width, height = estimate.largest_size(aspect, limit)
        assert width % 2 == height % 2 == 0
        assert width / height == pytest.approx(aspect, rel=0.05)
        assert width * height * 2e-5 == pytest.approx(limit, rel=0.15)


def test_a_fast_machine_renders_once_and_no_larger_than_codes_deserve():
    plan = schedule(1e-9)
    plan.set_view(1, view(0), 0.0)
    request = plan.next_request(0.0)
    assert request is not None
    assert request.fine
    assert min(request.size) == MOST_SIDE
    assert plan.next_request(9.0) is None


@pytest.mark.parametrize("seconds_per_pixel", [1e-9, 2e-5])
def test_who_sees_splats_meanwhile_gets_one_image_once_the_view_stands_still(seconds_per_pixel):
    plan = schedule(seconds_per_pixel)
    for step in range(5):
        plan.set_view(1, view(step), step / 100, at_rest=True)
        assert plan.next_request(step / 100) is None
    assert plan.seconds_to_wait(0.04) == pytest.approx(STILL_SECONDS)
    request = plan.next_request(0.05 + STILL_SECONDS)
    assert request is not None
    assert (request.view, request.fine) == (view(4), True)
    assert plan.next_request(9.0) is None


def test_the_worker_serves_two_and_survives_a_failure(capsys):
    delivered = []

    def render(where: View, size: tuple[int, int]) -> np.ndarray:
        if where.position[0] == 13:
            raise RuntimeError("bad luck")
        return np.full((size[1], size[0], 3), int(where.position[0]), np.uint8)

    worker = RenderWorker(render, lambda request, image: delivered.append((request.client, int(image[0, 0, 0]))))
    try:
        for client, x in ((1, 13), (1, 5), (2, 7)):
            worker.set_view(client, view(x))
            time.sleep(0.1)
        until = time.monotonic() + 5
        while not {(1, 5), (2, 7)} <= set(delivered) and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        worker.stop()
    assert {(1, 5), (2, 7)} <= set(delivered)
    assert "bad luck" in capsys.readouterr().err
