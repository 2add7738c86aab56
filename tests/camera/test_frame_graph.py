"""Matches of wide pairs: chained over the frames between, so that repeated textures are followed."""

import torch

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph, frame_pairs

PERIOD, SPEED = 12.0, 3.0  # pixels: four frames on, a bar lies where the next one was


def bars(frames=6, height=40, width=72):
    """Bars that move to the right."""
    x = torch.arange(width) + 0.5
    wave = torch.stack([torch.sin(2 * torch.pi * (x - SPEED * frame) / PERIOD) for frame in range(frames)])
    return (0.5 + 0.4 * wave)[:, None, None, :].repeat(1, 3, height, 1)


def shifts(matches, gap):
    """Horizontal displacements of the points that stay well inside, for pairs `gap` apart, forwards."""
    chosen = (matches.target - matches.source) == gap
    inside = matches.points[:, 0].abs() < 14
    return (matches.matched - matches.points)[chosen][:, inside, 0]


def test_a_repeated_texture_is_followed_over_wide_gaps():
    graph = FrameGraph(bars(), LocalContrast(), levels=3, step=4)
    matches = graph.initial_correspondences((1, 3))
    for gap in (1, 3):
        assert (shifts(matches, gap) - SPEED * gap).abs().median() < 0.5, gap
    # What matching says that does not look at the frames between: the next bar is nearer.
    edges = frame_pairs(6, (3,))
    alone = graph.correspondences(edges, graph.flow(edges))
    assert (shifts(alone, 3) - (SPEED * 3 - PERIOD)).abs().median() < 0.5


def test_edges_are_those_of_the_gaps_also_where_the_clip_is_short():
    graph = FrameGraph(bars(3), LocalContrast(), levels=2, step=4)
    matches = graph.initial_correspondences((1, 2, 6))
    expected = frame_pairs(3, (1, 2))
    assert torch.equal(torch.stack([matches.source, matches.target]), expected)


def test_one_wrong_pair_takes_the_motion_of_its_neighbours():
    graph = FrameGraph(bars(8), LocalContrast(), levels=3, step=4)
    edges = frame_pairs(8, (1,))
    found = graph.flow(edges)
    broken = found.__class__(found.flow.clone(), found.structure, found.error.clone(), found.inside)
    broken.flow[6:8] = 0
    broken.error[6:8] += 1
    steadied = graph._steady(edges, broken)
    assert (steadied.flow[6, 0, 10:30, 20:50] - SPEED).abs().median() < 0.5
    untouched = (steadied.flow[0] - found.flow[0])[:, 10:30, 20:50]
    assert untouched.abs().max() < 0.3


def test_a_part_of_a_graph_is_the_graph_of_the_part():
    frames = bars(5)
    part = FrameGraph(frames, LocalContrast(), levels=2, step=4).part([3, 2, 1])
    own = FrameGraph(frames[[3, 2, 1]], LocalContrast(), levels=2, step=4)
    found, expected = part.initial_correspondences((1, 2)), own.initial_correspondences((1, 2))
    torch.testing.assert_close(found.matched, expected.matched)
    torch.testing.assert_close(found.information, expected.information)
