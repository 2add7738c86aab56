"""Which walks are worth rendering: views with room before them, bright and textured images that change."""

import numpy as np

from walkthroughs import engine, images, paths, phone

FAR = 1000.0  # metres, for the sky


def roomy(space: paths.FreeSpace, path: paths.Path) -> bool:
    """Whether the planned views are worth rendering: never near a wall, some depth in each, mostly not sky.

    Args:
        space: the map.
        path: a proposed path.
    """
    for index in range(0, len(path.yaw), 6):
        lens = images.Lens.of(path, index)
        depth = images.depth_map(space, path.eye[index], float(path.yaw[index]), lens, 24, 18)
        near, front, middle, back = np.percentile(np.minimum(depth, FAR), [4, 15, 50, 85])
        if near < 1.2 or middle < 3.0 or back < max(5.0, 2.2 * front) or np.isinf(depth).mean() > 0.2:
            return False
    return True


def clear(image: np.ndarray) -> bool:
    """Whether an image is bright, textured and not all of one glaring colour.

    Args:
        image: (height, width, 3) of bytes.
    """
    colours = image.astype(np.float32)
    grey = colours.mean(-1)
    detail = np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=0)).mean()
    glaring = (colours.max(-1) > 2.5 * np.median(colours, -1) + 40).mean()
    return bool(70 < grey.mean() < 215 and (grey < 20).mean() < 0.08 and detail > 6 and glaring < 0.2)


def film_good(
    session: engine.DoomGame, path: paths.Path, size: tuple[int, int], least_change: float
) -> list[images.Frame] | None:
    """All frames along a path, or None at the first one that is poor, frozen or not covered by the engine's image.

    Args:
        session: a game in the path's map.
        path: the cameras wanted.
        size: width and height in pixels.
        least_change: mean difference of neighbouring frames, of 255, below which the image counts as frozen.
    """
    frames: list[images.Frame] = []
    for frame in phone.film(phone.Walk(session, path, 1), phone.Phone(), size):
        if frame is None or not clear(frame.image):
            return None
        if frames and np.abs(frames[-1].image.astype(float) - frame.image).mean() < least_change:
            return None
        frames.append(frame)
    return frames
