"""`video-ae follow`, `stabilize`, `interpolate` and `animate`: one video made from another."""

import sys
from pathlib import Path
from typing import Any

from video_ae.cli.arguments import Parser, add_command


def add_to(commands: Any) -> None:
    """Adds `follow`, `stabilize`, `interpolate` and `animate`.

    Args:
        commands: of the parser that the commands are added to.
    """
    help, work = "one scene seen along the camera path of another video", "pipelines.follow:follow_motion"
    parser = add_command(commands, "follow", help, work, _report_path)
    parser.add_argument("--motion", type=Path, required=True, metavar="A.mp4", help="whose camera path is taken")
    parser.add_argument("--scene", type=Path, required=True, metavar="B", help="what is shown: a video or an image")
    length = "length of the path (default: 1, or less where that goes far)"
    parser.add_argument("--scale", type=float, metavar="S", help=length)
    _add_settings(parser)

    help, work = "a video with a smoothed or locked camera", "pipelines.stabilize:stabilize_video"
    parser = add_command(commands, "stabilize", help, work, _report_stability)
    parser.add_argument("source", type=Path, metavar="A.mp4")
    how, spread = parser.add_mutually_exclusive_group(), "spread of the average (default: 0.5)"
    how.add_argument("--smooth", type=float, metavar="SECONDS", dest="smooth_seconds", help=spread)
    how.add_argument("--lock", action="store_true", help="one camera for the whole video")
    _add_settings(parser)

    help, work = "new frames between those of a video", "pipelines.interpolate:interpolate_video"
    parser = add_command(commands, "interpolate", help, work, "Wrote {result}.")
    parser.add_argument("source", type=Path, metavar="A.mp4")
    parser.add_argument("--factor", type=int, metavar="N", help="times as many frames a second (default: 4)")
    _add_settings(parser)

    help, work = "a photo or painting moved in 3D", "pipelines.follow:animate_image"
    parser = add_command(commands, "animate", help, work, _report_path)
    parser.add_argument("image", type=Path, metavar="IMAGE")
    paths = "spiral, dolly, orbit, or follow:A.mp4 (the path of a video)"
    parser.add_argument("--path", required=True, metavar="PATH", help=paths)
    _add_settings(parser)


def _add_settings(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="shorter side (default: the input's, at most 1080)")
    parser.add_shared("--stride", "--frames")
    parser.add_argument("--focal", type=float, metavar="F", help="known fx / width of the scene (default: found)")
    parser.add_shared("--weights", "--refine", "--device", "--overwrite")


def _report_path(result: Any, out: Path, path: str = "", **given: Any) -> None:
    from video_ae.pipelines.follow import FAR, FOLLOW

    smaller = f" A smaller motion, {result.part:g} of its size, stays near what was seen." if result.part < 1 else ""
    print(
        f"Wrote {out}: starts at frame {result.start} of the scene, {result.seen:.0%} of the images were seen, the "
        f"farthest is {result.farthest:.2f} image widths from any frame.{smaller}"
    )
    if result.seen < 0.8 or result.farthest > FAR:
        if "motion" in given:
            advice = ": a smaller --scale or fewer frames look better"
        else:  # an orbit, spiral or dolly is as long in any number of frames
            advice = ": fewer frames of that video look better" if path.startswith(FOLLOW) else ""
        print(f"It goes far from what was seen{advice}.", file=sys.stderr)


def _report_stability(result: Any, out: Path, **given: Any) -> None:
    from video_ae.pipelines.stabilize import describe

    print(f"Wrote {out}: {describe(result.before, result.after)}.")
    print(f"Zoom {result.zoom:.2f}; borders: {result.borders}. The same as JSON: {out.with_suffix('.json')}.")
