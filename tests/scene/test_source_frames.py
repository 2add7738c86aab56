"""What frames know of themselves and of each other."""

from dataclasses import replace

import torch
from scene.test_depth_refinement import BAR, DEPTHS, PLACES, WALL_ALONE, camera, seen
from scene.test_image_based_rendering import SIZE, STRAIGHT, Wall, cameras, paint, scene_of

from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import to_bytes
from video_ae.scene.source import Source
from video_ae.scene.source_frames import SourceFrames
from video_ae.types import Cameras, Scene


def frames_of(scene: Scene, frame, size: tuple[int, int], given: torch.Tensor) -> SourceFrames:
    return SourceFrames(Reconstruction(Wall(), scene, Source("wall", size, lambda: None)), frame, size, given)


ALL = [*PLACES[:2], 0.0, *PLACES[2:]]
BARS = scene_of(Cameras.cat([camera(place) for place in ALL]))


def frames_of_bars(scene: Scene) -> SourceFrames:
    """The middle one of five frames has no depth of the bar before the wall."""
    given = torch.stack([*DEPTHS[:2], WALL_ALONE, *DEPTHS[2:]])
    images = [to_bytes(seen(place)[0].expand(3, -1, -1)) for place in ALL]
    return frames_of(scene, images.__getitem__, (64, 48), given)


def test_a_frame_takes_over_what_its_neighbours_see():
    frames = frames_of_bars(BARS)
    found, true = frames.inverse_depth(2), seen(0.0)[1]
    assert ((found - true).abs() < 0.02).float().mean() > 0.93
    assert ((found - true).abs() < 0.02)[true == 1 / BAR].float().mean() > 0.9
    assert frames.trust(2)[8:-8, 8:20].mean() > 0.8  # wall that all see


def test_what_moves_by_itself_keeps_the_depth_that_its_frame_has():
    left = (torch.arange(8) < 4).float().expand(5, 6, 8)  # stays where it is
    found = frames_of_bars(replace(BARS, camera=replace(BARS.camera, static=left))).inverse_depth(2)
    assert torch.equal(found[:, 32:], WALL_ALONE[:, 32:])
    assert (found[:, 28:32] == 1 / BAR).float().mean() > 0.9


def test_what_is_near_hides_what_lies_behind_it_and_a_pixel_more():
    both = cameras(STRAIGHT, STRAIGHT)
    given = torch.ones(2, *SIZE[::-1])
    given[1, :, 40:50] = 2.0
    frames = frames_of(scene_of(both), lambda i: to_bytes(paint(both.select([i]))), SIZE, given)
    agreement = frames.agreement(torch.ones(SIZE[::-1]), both.select([0]), {0: 0.25, 1: 0.75})
    assert agreement.shape == (2, 72, 96)
    assert agreement[1, :, 39:51].max() < 0.01  # less than the warped image counts
    assert agreement[1, 8:-8, 8:30].min() > 0.74
    assert agreement[0, 8:-8, 8:-8].min() > 0.24
