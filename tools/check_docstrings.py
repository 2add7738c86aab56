"""Checks that public functions and classes say what every argument means, in one style.

    python tools/check_docstrings.py [FILE_OR_FOLDER ...]     # default: video_ae

The style is Google's: a first sentence, then `Args:`, `Returns:` and `Raises:`, each where there is something to say
(https://google.github.io/styleguide/pyguide.html#383-functions-and-methods). What is checked:

* every module, public class, public function and public method has a docstring; a method that takes its contract from
  a base class may leave it out;
* every argument of a public function or method, and every field or constructor argument of a public class, has its
  line in `Args:` (dataclasses may say `Attributes:`); a constructor's arguments stand in the docstring of its class;
* `Args:` names nothing that is not there.

A name is public if neither it nor what it stands in begins with an underscore.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SECTIONS = ("Args", "Attributes")
_HEADING = re.compile(r"^( *)(Args|Attributes|Returns|Yields|Raises|Example|Examples|Note):\s*$")
_ENTRY = re.compile(r"^([*\w, ]+?)(?: \([^)]*\))?:(?: |$)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def documented(docstring: str) -> set[str]:
    """The names that a docstring explains.

    Args:
        docstring: cleaned of its indentation.

    >>> sorted(documented("Adds.\\n\\nArgs:\\n    a, b: numbers.\\n    c: more.\\n\\nReturns:\\n    d: no argument."))
    ['a', 'b', 'c']
    """
    names: set[str] = set()
    section = None
    for line in docstring.splitlines():
        heading = _HEADING.match(line)
        if heading:
            section = heading[2]
        elif line and not line.startswith(" "):
            section = None
        elif section in SECTIONS and re.match(r" {4}\S", line) and (entry := _ENTRY.match(line.strip())):
            names |= {name.strip().lstrip("*") for name in entry[1].split(",")}
    return names


def arguments(function: Function) -> list[str]:
    """The names of a function's arguments but `self` and `cls`, and those that begin with an underscore.

    Args:
        function: its definition.
    """
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    names = [one.arg for one in every] + [one.arg for one in (given.vararg, given.kwarg) if one]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def problems(path: Path) -> Iterator[str]:
    """What is wrong in a file, one sentence each.

    Args:
        path: a Python file.
    """
    tree = ast.parse(path.read_text())
    if not ast.get_docstring(tree) and tree.body:
        yield f"{path}:1 the module has no docstring"
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield from _of_function(path, node, node.name, required=True)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _of_class(path, node)


def _of_class(path: Path, node: ast.ClassDef) -> Iterator[str]:
    docstring = ast.get_docstring(node)
    if not docstring:
        yield f"{path}:{node.lineno} {node.name} has no docstring"
        return
    constructor = next((one for one in node.body if isinstance(one, Function) and one.name == "__init__"), None)
    if constructor is not None:
        expected = arguments(constructor)
        known = documented(docstring) | documented(ast.get_docstring(constructor) or "")
    else:
        expected, known = _fields(node), documented(docstring)
        expected = expected if _is_dataclass(node) else []
    yield from _compare(path, node.lineno, node.name, expected, known, strict=constructor is not None)
    for method in node.body:
        if not isinstance(method, Function) or method.name.startswith("_"):
            continue
        is_property = any("property" in ast.unparse(one) for one in method.decorator_list)
        if is_property or any("setter" in ast.unparse(one) for one in method.decorator_list):
            continue
        overload = any(ast.unparse(one) == "overload" for one in method.decorator_list)
        if not overload:
            yield from _of_function(path, method, f"{node.name}.{method.name}", required=not node.bases)


def _of_function(path: Path, node: Function, name: str, required: bool) -> Iterator[str]:
    docstring = ast.get_docstring(node)
    if not docstring:
        if required:
            yield f"{path}:{node.lineno} {name} has no docstring"
        return
    yield from _compare(path, node.lineno, name, arguments(node), documented(docstring), strict=True)


def _compare(path: Path, line: int, name: str, expected: list[str], known: set[str], strict: bool) -> Iterator[str]:
    missing = [one for one in expected if one not in known]
    if missing:
        yield f"{path}:{line} {name} does not say what {', '.join(missing)} means"
    foreign = sorted(known - set(expected)) if strict else []
    if foreign:
        yield f"{path}:{line} {name} explains {', '.join(foreign)}, which it does not take"


def _fields(node: ast.ClassDef) -> list[str]:
    """Annotated fields that a constructor takes: public, and no class variables."""
    found = []
    for one in node.body:
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        if not one.target.id.startswith("_") and "ClassVar" not in ast.unparse(one.annotation):
            found.append(one.target.id)
    return found


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(one) for one in node.decorator_list)


def main() -> None:
    """Prints the problems; the exit code is 1 where there are any."""
    roots = [Path(given) for given in sys.argv[1:]] or [Path("video_ae")]
    files = [file for root in roots for file in (sorted(root.rglob("*.py")) if root.is_dir() else [root])]
    found = [problem for file in files for problem in problems(file)]
    print("\n".join(found) if found else f"{len(files)} files, every public argument is documented")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
