"""`video-ae annotate`."""

from typing import Any

from video_ae.cli.arguments import add_command

EXTRAS = ("depth", "masks", "splats")  # repeated here, since their module needs torch


def add_to(commands: Any) -> None:
    """Adds the command.

    Args:
        commands: of the parser that it is added to.
    """
    help = "many videos -> cameras of each and one table, on one machine or many (docs/many-machines.md)"
    parser = add_command(commands, "annotate", help, "annotation.annotate:annotate", _say_what_was_done)
    sources = "a folder, a list (.txt), or an address such as s3://bucket/videos"
    parser.add_argument("source", metavar="SOURCE", help=sources)
    parser.add_argument("--out", required=True, metavar="DEST", help="folder or address of the results")
    beside = f"written beside the cameras: {', '.join(EXTRAS)} (default: none)"
    parser.add_argument("--with", dest="extras", nargs="+", choices=EXTRAS, metavar="NAME", help=beside)
    parser.add_argument("--workers", type=int, metavar="N", help="videos at a time (default: as many as cores)")
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of a Ray cluster, or auto (default: this machine alone)"
    )
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="that a video may take (default: 3600)")
    parser.add_argument("--memory-limit", type=float, metavar="GB", help="that a video may take (default: 8)")
    parser.add_argument("--dry-run", action="store_true", help="say how long it will take")
    parser.add_shared("--refine", "--decoder")
    parser.add_argument("--weights", metavar="RUN_OR_FILE", help="trained weights (default: the package's own)")
    parser.add_argument("--overwrite", action="store_true", help="add to the results of another source")


def _say_what_was_done(result: Any, out: str, dry_run: bool = False, **given: Any) -> None:
    if dry_run:
        print(result)
        return
    print(f"Wrote {out}: {result.finished} videos, {result.failed} of this run without cameras.")
    print(f"{out}/annotations.parquet has a row a shot. Train with --data.root {out}.")
