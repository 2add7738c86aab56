#!/bin/sh
# jaxtyping 0.3.11 with beartype 0.23.1 (Python 3.11 to 3.13).
#
# jaxtyping's import hook, `install_import_hook(package, "beartype.beartype")`, checks every function of a package
# without a decorator in its source. A package in which one method returns `typing.Self` can then no longer be imported,
# although the annotation is right and the class passes when beartype decorates it: the hook decorates each method on its
# own, and beartype knows what Self is only where it decorates the class.
#
# So records that build themselves (`def moved(self) -> Self`) take a TypeVar for self instead.
#
# Output seen:
#   under the hook: BeartypeDecorHintPep673Exception
#   class decorated by beartype: Record(value=4)
#   under the hook with a TypeVar: Record(value=4)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jaxtyping==0.3.11 beartype==0.23.1 numpy==2.3.5

cat > "$folder/with_self.py" <<'PYTHON'
from dataclasses import dataclass
from typing import Self


@dataclass
class Record:
    value: int

    def doubled(self) -> Self:
        return type(self)(2 * self.value)
PYTHON
cat > "$folder/with_type_variable.py" <<'PYTHON'
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T", bound="Record")


@dataclass
class Record:
    value: int

    def doubled(self: T) -> T:
        return type(self)(2 * self.value)
PYTHON
cd "$folder"
"$folder/venv/bin/python" > seen.txt <<'PYTHON'
from importlib import import_module

from beartype import beartype
from jaxtyping import install_import_hook

with install_import_hook(["with_self", "with_type_variable"], "beartype.beartype"):
    try:
        import_module("with_self")
        print("under the hook: imported")
    except Exception as error:
        print(f"under the hook: {type(error).__name__}")
    checked = import_module("with_type_variable").Record
print(f"class decorated by beartype: {beartype(import_module('with_self').Record)(2).doubled()}")
print(f"under the hook with a TypeVar: {checked(2).doubled()}")
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
under the hook: BeartypeDecorHintPep673Exception
class decorated by beartype: Record(value=4)
under the hook with a TypeVar: Record(value=4)
SEEN
echo "as described"
