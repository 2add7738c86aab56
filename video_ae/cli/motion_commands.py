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
    parser = add_command(commands, "follow", "one scene seen along the camera path of another video", _follow)
    parser.add_argument("--motion", type=Path, required=True, metavar="A.mp4", help="whose camera path is taken")
    parser.add_argument("--scene", type=Path, required=True, metavar="B", help="what is shown: a video or an image")
    length = "length of the path (default: 1, or less where that goes far)"
    parser.add_argument("--scale", type=float, metavar="S", help=length)
    _add_settings(parser)

    parser = add_command(commands, "stabilize", "a video with a smoothed or locked camera", _stabilize)
    parser.add_argument("source", type=Path, metavar="A.mp4")
    how, spread = parser.add_mutually_exclusive_group(), "spread of the average (default: 0.5)"
    how.add_argument("--smooth", type=float, metavar="SECONDS", dest="smooth_seconds", help=spread)
    how.add_argument("--lock", action="store_true", help="one camera for the whole video")
    _add_settings(parser)

    parser = add_command(commands, "interpolate", "new frames between those of a video", _interpolate)
    parser.add_argument("source", type=Path, metavar="A.mp4")
    parser.add_argument("--factor", type=int, metavar="N", help="times as many frames a second (default: 4)")
    _add_settings(parser)

    parser = add_command(commands, "animate", "a photo or painting moved in 3D", _animate)
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


def _with_settings(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, with the shared settings as one record."""
    from dataclasses import fields

    from video_ae.pipelines.inputs import Settings

    shared = {field.name: given.pop(field.name) for field in fields(Settings) if field.name in given}
    return {**given, "settings": Settings(**shared)}


def _follow(**given: Any) -> None:
    from video_ae.pipelines.follow import follow_motion

    _report_path(given["out"], follow_motion(**_with_settings(given)))


def _animate(**given: Any) -> None:
    from video_ae.pipelines.follow import animate_image

    _report_path(given["out"], animate_image(**_with_settings(given)))


def _report_path(out: Path, report: Any) -> None:
    from video_ae.pipelines.follow import FAR

    smaller = f" A smaller motion, {report.part:g} of its size, stays near what was seen." if report.part < 1 else ""
    print(
        f"Wrote {out}: starts at frame {report.start} of the scene, {report.seen:.0%} of the images were seen, the "
        f"farthest is {report.farthest:.2f} image widths from any frame.{smaller}"
    )
    if report.seen < 0.8 or report.farthest > FAR:
        print("It goes far from what was seen: a smaller --scale or fewer frames look better.", file=sys.stderr)


def _stabilize(**given: Any) -> None:
    from video_ae.pipelines.stabilize import describe, stabilize_video

    report, out = stabilize_video(**_with_settings(given)), given["out"]
    print(f"Wrote {out}: {describe(report.before, report.after)}.")
    print(f"Zoom {report.zoom:.2f}; borders: {report.borders}. The same as JSON: {out.with_suffix('.json')}.")


def _interpolate(**given: Any) -> None:
    from video_ae.pipelines.interpolate import interpolate_video

    print(f"Wrote {interpolate_video(**_with_settings(given))}.")
