"""Runs every command that writes on a disk that becomes full: one sentence, exit code 2, nothing half-written.

    python tools/fill_disk.py --out runs/full [--only render export ...]

As root, the disk is a tmpfs that holds a part of what the command writes; otherwise, and where that is only some pages,
it is a limit for each file. After each attempt it gets room, and the same command must end as if nothing had happened.
Exit code 1 where one does not.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # commands are forked, and threads do not survive that

ROOT = Path(__file__).parents[1]
PARTS = (0.02, 0.5, 0.9)  # of what a command writes
ENOUGH = 256 << 20
FINE = 64 << 10  # bytes from which on a file system that counts in pages is a fine measure
GOES_ON = ("prepare", "train")  # keep what is done in the folder of the result
REPLACES = ("train", "evaluate")  # leave whole files, such as the poses of the first clips: given --overwrite then
FEW = "--frames 4 --refine 0"
TRAIN = ("--model PlainAutoencoder --model.image_size [32,24] --losses.l1 L1 --data.root VIDEOS --data.size [32,24] "
         "--data.length 1 --trainer.max_steps 4 --trainer.checkpoint_every 2 --trainer.accelerator cpu")  # fmt: skip
COMMANDS = {
    "reconstruct": f"VIDEO {FEW} --export points tum colmap nerfstudio depth",
    "render": "WALK --path orbit --frames 8 --size 480",
    "export": "WALK --to all --steps 0",
    "stabilize": f"VIDEO {FEW} --size 480",
    "interpolate": f"VIDEO {FEW} --size 480",
    "follow": f"--motion VIDEO --scene VIDEO {FEW} --size 480",
    "animate": "IMAGE --path spiral --frames 4 --size 480",
    "train": TRAIN,
    "prepare": "VIDEOS --size 32",
    "latent": "--weights PLAIN --data VIDEOS",
    "convert-checkpoint": "AUTHORS",
    "evaluate poses": "--data ONE --refine 0",
    "evaluate views": "--data ONE --refine 0 --gaps 2 --no-perceptual --save-frames",
    "evaluate reconstruction": "--data ONE --refine 0",
    "evaluate transfer": "--data ONE --refine 0",
}
FILES = ("render", "stabilize", "interpolate", "follow", "animate")  # write a video, and perhaps something beside it


def inputs(folder: Path) -> dict[str, str]:
    """Words of `COMMANDS` -> paths of small inputs.

    Args:
        folder: that they are written to.
    """
    before, test = ROOT / "tests" / "golden" / "before", ROOT / "data" / "walkthroughs" / "test"
    name = sorted((test / "videos").iterdir())[0].stem
    for part in ("videos", "cameras", "depth"):
        (folder / "one" / part).mkdir(parents=True, exist_ok=True)
        for file in (test / part).glob(f"{name}.*"):
            shutil.copy(file, folder / "one" / part)
    shutil.copytree(before / "videos", folder / "videos", dirs_exist_ok=True)
    paths = {
        "VIDEO": folder / "videos" / "small.mp4", "VIDEOS": folder / "videos", "ONE": folder / "one",
        "WALK": folder / "walk", "IMAGE": ROOT / "docs" / "images" / "overview.png", "PLAIN": before / "plain",
        "AUTHORS": folder / "authors.tar",
    }  # fmt: skip
    return {word: str(path) for word, path in paths.items()}


def make_input(words: dict[str, str], command: str) -> None:
    """Makes what takes longer, for the commands that need it.

    Args:
        words: of `inputs`.
        command: of `COMMANDS`.
    """
    if "WALK" in command and not Path(words["WALK"]).exists():
        run(["reconstruct", words["VIDEO"], *FEW.split(), "--out", words["WALK"]])
    if "AUTHORS" in command:
        import torch

        from video_ae.models.video_autoencoder.convert_checkpoint import PARTS as NETWORKS
        from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder

        model = PaperVideoAutoencoder(width=64, image_size=(256, 256))
        published = {name: torch.nn.DataParallel(getattr(model, name)).state_dict() for name in NETWORKS}
        torch.save(published, words["AUTHORS"])


def run(arguments: list[str]) -> tuple[int, str]:
    """(exit code, what was said) of a command in a process of its own, forked from this one.

    Args:
        arguments: of `video-ae`.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
        from video_ae.cli.main import main

        os._exit(main(arguments))
    os.close(writer)
    with os.fdopen(reader, errors="replace") as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def written(folder: Path) -> dict[str, bytes]:
    """Files below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Disk:
    """A folder with little room: a tmpfs, or a limit for each file where this process may not mount one.

    Args:
        folder: that is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.mounted = os.geteuid() == 0 and not self._mount(ENOUGH)

    def _mount(self, room: int, *options: str) -> int:
        mount = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={room}"]), "tmpfs", str(self.folder)]
        return subprocess.run(mount, stderr=subprocess.DEVNULL).returncode

    @contextmanager
    def room(self, part: float, files: dict[str, bytes]) -> Iterator[None]:
        """Has room for a part of some files meanwhile.

        Args:
            part: from 0 to 1.
            files: of `written`.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        room = round(part * sum(map(len, files.values())))
        if self.mounted and room >= FINE:
            self._mount(room, "remount")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (round(part * max(map(len, files.values()))), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
            if self.mounted:
                self._mount(ENOUGH, "remount")

    def empty(self) -> None:
        """Removes everything on it."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """Removes it."""
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=True)


def attempt(name: str, arguments: list[str], disk: Disk, part: float, whole: dict[str, bytes]) -> list[str]:
    """What is wrong with a command that finds room for a part of its result only.

    Args:
        name: of `COMMANDS`.
        arguments: of `video-ae`.
        disk: with nothing on it.
        part: of the result.
        whole: the result.
    """
    with disk.room(part, whole):
        code, said = run(arguments)
    own = [line for line in said.splitlines() if line.startswith("video-ae: ")]
    wrong = []
    if code == 0 and part > 0.5:
        return []  # files of a page each, and what the file system keeps for itself, are no exact measure
    if code != 2 or len(own) != 1 or ("disk" not in own[0] and "room" not in own[0]):
        wrong.append(f"exit code {code}: {said[-500:].strip()}")
    left = [file for file in written(disk.folder) if not file.startswith(".made-unfinished/")]
    if not name.startswith(GOES_ON + REPLACES) and left:
        wrong.append(f"left behind: {left}")
    code, said = run([*arguments, "--overwrite"] if name.startswith(REPLACES) else arguments)
    if code:
        wrong.append(f"with room, exit code {code}: {said[-500:].strip()}")
    elif written(disk.folder).keys() - whole.keys():
        wrong.append(f"not in the result: {sorted(written(disk.folder).keys() - whole.keys())}")
    return wrong


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    given = parser.parse_args()
    words, disk = inputs(given.out), Disk(given.out / "disk")
    os.environ["TMPDIR"] = str(disk.folder)
    failed = 0
    try:
        for name in given.only:
            out = str(disk.folder / ("made.mp4" if name in FILES else "made"))
            arguments = [*name.split(), *(words.get(word, word) for word in COMMANDS[name].split()), "--out", out]
            make_input(words, COMMANDS[name])
            code, said = run(arguments)
            whole = written(disk.folder)
            wrong = [] if code == 0 else [f"exit code {code}: {said}"]
            for part in PARTS if code == 0 else ():
                disk.empty()
                wrong += [f"room for {part:.0%}: {one}" for one in attempt(name, arguments, disk, part, whole)]
            disk.empty()
            print(f"{name}: {'; '.join(wrong) or 'one sentence, nothing left, and the result with room'}", flush=True)
            failed += bool(wrong)
    finally:
        disk.close()
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
