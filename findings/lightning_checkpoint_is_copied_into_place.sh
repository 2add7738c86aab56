#!/bin/sh
# lightning 2.6.6 with fsspec 2026.9.0 (torch 2.13.0, Python 3.11), on Linux with two file systems.
#
# Lightning writes checkpoints "atomically", in a transaction of fsspec, and one expects what the word promises: whoever
# looks at the name sees the old checkpoint or the new one. fsspec's local transaction begins its file in the system's
# folder for temporary files, however, not beside the target. Where that is another file system (/tmp in memory, scratch
# disks, home folders over a network) the file cannot be renamed: it is copied onto the target, which is emptied first.
# A process that dies in between leaves neither the old checkpoint nor the new one.
#
# So a checkpoint is saved under another name in the folder where it belongs, and renamed there by oneself.
#
# Output seen:
#   temporary files beside the run: sizes seen under the name: only the whole checkpoint
#   temporary files on another file system: sizes seen under the name: also incomplete ones
set -eu
folder=$(mktemp -d)
other=$(mktemp -d /dev/shm/finding.XXXXXX)
trap 'rm -rf "$folder" "$other"' EXIT
if [ "$(stat -c %d "$folder")" = "$(stat -c %d "$other")" ]; then
    echo "needs two file systems, and the temporary folder lies in /dev/shm" >&2
    exit 1
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
"$folder/venv/bin/pip" install --quiet lightning==2.6.6 fsspec==2026.9.0

cat > "$folder/save.py" <<'PYTHON'
import sys
import threading
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer

target = Path(sys.argv[1])
module = LightningModule()
module.weight = torch.nn.Parameter(torch.zeros(40_000_000))
trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.strategy.connect(module)
trainer.save_checkpoint(target, weights_only=True)
whole, seen, done = target.stat().st_size, set(), threading.Event()


def look() -> None:
    while not done.is_set():
        seen.add(target.stat().st_size)


watching = threading.Thread(target=look)
watching.start()
for _ in range(3):
    trainer.save_checkpoint(target, weights_only=True)
done.set()
watching.join()
print("sizes seen under the name:", "only the whole checkpoint" if seen == {whole} else "also incomplete ones")
PYTHON
mkdir "$folder/tmp" "$folder/run"
for temporary in "$folder/tmp" "$other"; do
    where="beside the run"
    [ "$temporary" = "$other" ] && where="on another file system"
    printf 'temporary files %s: ' "$where"
    TMPDIR=$temporary "$folder/venv/bin/python" -W ignore "$folder/save.py" "$folder/run/last.ckpt" 2>/dev/null
done | tee "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
temporary files beside the run: sizes seen under the name: only the whole checkpoint
temporary files on another file system: sizes seen under the name: also incomplete ones
SEEN
echo "as described"
