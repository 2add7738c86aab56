"""`video-ae prepare`."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command, add_shared


def add_to(commands: Any) -> None:
    """Adds `prepare`.

    Args:
        commands: of the parser that the commands are added to.
    """
    parser = add_command(commands, "prepare", "a folder of videos -> small frames, packed to train from", _prepare)
    parser.add_argument("root", type=Path, metavar="FOLDER", help="videos and folders of images, nested as they are")
    parser.add_argument("--out", type=Path, required=True, metavar="PACKED", help="folder of the packed frames")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="shorter side of the frames (default: 128)")
    parser.add_argument("--workers", type=int, metavar="N", help="videos at a time (default: 1)")
    add_shared(parser, "decoder", "overwrite")


def _prepare(**given: Any) -> None:
    from video_ae.preparation.prepare import prepare

    packed = prepare(**given)
    kept = sum(len(segment.frames) for segment in packed.kept)
    print(
        f"Wrote {given['out']}: {len(packed.kept)} segments, {kept} of {packed.frames} frames, "
        f"{len(packed.skipped)} videos left out; report.md says why. Train with --data.root {given['out']}."
    )
