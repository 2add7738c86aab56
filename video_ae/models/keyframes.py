"""A whole video as multiplane volumes in one world: which frames hold them, and which of them render a view."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.covisibility import NEAR_SURFACES, view_displacement, viewpoint_distance
from video_ae.geometry.trajectories import spread_frames
from video_ae.renderers.base import Renderer
from video_ae.types import CameraEstimate, Cameras, RenderedViews, Scene

MOST_KEYFRAMES = 200  # for the sake of memory
FEWEST_CODES, MOST_CODES = 2, 5  # that render one view: more only where these leave some of it unseen
UNSEEN_SHARE = 0.005  # of a view's pixels that may stay unseen
CONTEXT_RANGE = (0.02, 0.20)  # image widths between a keyframe and the contexts that give it parallax


def choose_keyframes(estimate: CameraEstimate, spacing: float = 0.08) -> tuple[int, ...]:
    """Positions of frames that together see what the clip sees: a new one whenever the image has moved on.

    Far, typical and near surfaces count alike: round a thing that stays in the middle, the image moves on all the same.
    A clip that hardly moves has its middle frame only.

    Args:
        estimate: cameras of the clip.
        spacing: image widths that the scene moves from one keyframe to the next: where a camera moves fast, every frame
            is a keyframe. It grows as far as needed to keep to 200 in all, so that long walks stay affordable.
    """
    displacement = viewpoint_distance(estimate.cameras, estimate.median_inverse_depth, estimate.cameras)
    while len(keyframes := _spaced(displacement, spacing)) > MOST_KEYFRAMES:
        spacing *= 1.2
    return tuple(keyframes) if len(keyframes) > 1 else (len(estimate) // 2,)


def _spaced(displacement: Float[Tensor, "frame frame"], spacing: float) -> list[int]:
    keyframes = [0]
    for frame in range(1, displacement.shape[0]):
        if displacement[frame, keyframes].min() > spacing:
            keyframes.append(frame)
    return keyframes


def choose_contexts(estimate: CameraEstimate, keyframe: int, most: int) -> list[int]:
    """Positions of the keyframe and of others, spread evenly over the range of useful parallax.

    Args:
        estimate: cameras of the clip.
        keyframe: its position.
        most: contexts at most, the keyframe among them.
    """
    own = estimate.select([keyframe])
    distance = viewpoint_distance(own.cameras, own.median_inverse_depth, estimate.cameras)[0]
    near, far = CONTEXT_RANGE
    order = [i for i in distance.argsort().tolist() if i != keyframe]
    useful = [i for i in order if near <= distance[i] <= far] or order[: most - 1]
    return sorted({keyframe, *(useful[rank] for rank in spread_frames(len(useful), most - 1))})


def render_keyframes(scene: Scene, views: Cameras, renderer: Renderer, size: tuple[int, int]) -> RenderedViews:
    """Each view rendered from its nearest codes, blended by nearness and opacity.

    Two codes as a rule; up to five where these leave some of the view unseen.

    Args:
        scene: whose codes are multiplane volumes.
        views: cameras in the scene's world.
        renderer: of single codes.
        size: (width, height) of the images.
    """
    references = Cameras.cat([volume.reference for volume in scene.volumes])
    # Blends show near surfaces twice first, so these rank a view's codes.
    near = NEAR_SURFACES * scene.camera.median_inverse_depth[list(scene.keyframes)]
    distance = view_displacement(references, near, views).T  # [view, code]
    rendered = [_render_view(scene, distance[i], views.select([i]), renderer, size) for i in range(len(views))]
    return RenderedViews.cat(rendered)


def _render_view(
    scene: Scene, distance: Tensor, view: Cameras, renderer: Renderer, size: tuple[int, int]
) -> RenderedViews:
    nearest = distance.argsort()[:MOST_CODES]
    seen: list[RenderedViews] = []
    for code in nearest.tolist():
        seen.append(renderer(scene.volume(code)[None], view[None], size[1], size[0])[0])
        opacity = torch.stack([one.opacity for one in seen]).amax(0)
        if len(seen) >= FEWEST_CODES and (opacity < 0.5).float().mean() < UNSEEN_SHARE:
            break
    views = RenderedViews.stack(seen)
    # Nearer codes count more; the exponent keeps a clearly nearer one from being blurred by the others.
    nearness = 1 / (distance[nearest[: len(seen)]] + 0.02) ** 2
    weight = nearness[:, None, None, None] * (views.opacity + 1e-4) ** 2  # [code, view, height, width]
    weight = weight / weight.sum(0)
    rgb = (weight[:, :, None] * views.rgb).sum(0)
    return RenderedViews(rgb, (weight * views.disparity).sum(0), (weight * views.opacity).sum(0))
