"""What is wrong with a configuration, in one sentence: asked after jsonargparse has refused it.

What was given is compared with the types of `RunSettings` and of the constructors that it names, so that nothing here
depends on the wording of jsonargparse's own messages.
"""

import difflib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jsonargparse
import yaml
from torch import nn

from video_ae.errors import UserError
from video_ae.models.base import Autoencoder
from video_ae.registry import find_class, name_of
from video_ae.training.settings import RunSettings

CONFIG_OPTION = "config"
_OWN_CLASS = "package.module.Class for one of your own"


def refuse(arguments: Sequence[str]) -> None:
    """Says what does not fit in the arguments of a run.

    Args:
        arguments: those of `parse_run`.

    Raises:
        UserError: with the first problem that is found. It returns where nothing is.
    """
    kinds = {name: kind for name, kind in get_type_hints(RunSettings).items() if name != "text"}
    kinds |= {"model": Autoencoder, CONFIG_OPTION: Any}
    given: Any = {}
    for name, value in options(arguments):
        if name == CONFIG_OPTION:
            given = _merged(given, _flattened(_read(value or "")))
            _check_names(given, kinds, "")
        elif name.rpartition(".")[2] not in ("help", "print_config"):
            nested: Any = value
            for key in reversed(name.split(".")):
                nested = {key: nested}
            given = _merged(given, _flattened(nested))
    _check_names(given, kinds, "")
    if "model" not in given:
        raise UserError("The configuration names no model: give one, such as PerspectiveAutoencoder.", "model")


def options(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The name and the value of each option; the value is None where there is none.

    Args:
        arguments: words such as "--seed=1", or "--seed" and "1".

    >>> list(options(["--seed=1", "--out", "runs/a", "--resume"]))
    [('seed', '1'), ('out', 'runs/a'), ('resume', None)]
    """
    words = list(arguments)
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option.startswith("--"):
            separate = not equals and bool(words) and not words[0].startswith("--")
            yield option[2:], words.pop(0) if separate else value if equals else None


def _read(text: str) -> dict[str, Any]:
    """A YAML file, or YAML itself."""
    try:
        values = yaml.safe_load(Path(text).read_text() if Path(text).is_file() else text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark, reason = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        line = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"The configuration {text!r} is not valid YAML: {line}{reason}.") from error
    if isinstance(values, dict):
        return values
    if values == text:
        raise UserError(f"The configuration {text!r} does not exist: give a YAML file.")
    raise UserError(f"A configuration is a YAML file with lines such as `seed: 1`, and {text!r} is none.")


def _flattened(value: Any) -> Any:
    """Nested values with the arguments of a class beside its `class_path`, as the command line may write them."""
    if not isinstance(value, dict):
        return value
    arguments = value.get("init_args")
    beside = {key: _flattened(one) for key, one in value.items() if key != "init_args"}
    return beside | _flattened(arguments) if isinstance(arguments, dict) else beside


def _merged(first: Any, second: Any) -> Any:
    """Nested values with later ones over them; another class starts without the arguments of the one before."""
    first = {"class_path": first} if isinstance(first, str) else first
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second
    if second.get("class_path", first.get("class_path")) != first.get("class_path"):
        return second
    return {**first, **{key: _merged(first.get(key), value) for key, value in second.items()}}


def _check_names(values: dict[str, Any], kinds: dict[str, Any], group: str) -> None:
    for name, value in values.items():
        if name not in kinds:
            names = [group + one for one in kinds] if group else sorted(kinds)
            raise UserError(f"There is no setting {group + name!r}{_hint(group + name, names)}: {_listed(names)}.")
        _check(value, kinds[name], group + name)


def _check(value: Any, kind: Any, name: str) -> None:
    """Raises UserError where the value of a setting does not fit its type."""
    if isinstance(value, str) and value.startswith("{"):
        value = _flattened(yaml.safe_load(value))
    parts = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, nn.Module)]
    if kind is Any or (value is None and NoneType in get_args(kind)):
        return
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise UserError(
                f"{name} is {_shown(value)}, and a group of values is needed: leave the line out for their defaults."
            )
        _check_names(value, get_type_hints(kind), f"{name}.")
    elif parts and get_origin(kind) is dict and isinstance(value, dict):
        for key, one in value.items():
            _check(one, parts[0], f"{name}.{key}")
    elif parts and isinstance(value, dict | str | NoneType):
        _check_part({"class_path": value} if isinstance(value, str) else value or {}, parts[0], name)
    elif value is None or not _fits(value, kind):
        raise UserError(
            f"{name} has a value that does not fit: {_shown(value)} was given, {_described(kind)} is needed"
            f"{_quotes(value, kind)}."
        )


def _check_part(value: dict[str, Any], base: type[nn.Module], name: str) -> None:
    """The same for a class and its arguments."""
    known = {} if base is nn.Module else {one.__name__: one for one in _concrete_classes(base)}
    given = str(value.get("class_path", base.__name__))
    kind = known.get(given) or _find(given, base)
    if kind is None:
        names = _listed([*sorted(known), _OWN_CLASS])
        if "class_path" not in value:
            raise UserError(f"{name} names no {base.__name__}: {names}.")
        raise UserError(f"There is no {base.__name__} {given!r}{_hint(given, known)} for {name}: {names}.")
    parameters, hints = inspect.signature(kind).parameters, get_type_hints(kind.__init__)  # type: ignore[misc]
    if any(one.kind == inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return
    for key, one in value.items():
        if key in ("class_path", "dict_kwargs"):
            continue
        if key not in parameters:
            takes = ", ".join(parameters) or "none"
            raise UserError(f"{name_of(kind)} has no argument {key!r}{_hint(key, parameters)}: it takes {takes}.")
        _check(one, hints.get(key, Any), f"{name}.{key}")


def _concrete_classes(base: type) -> set[type]:
    """`base` and all that derives from it and has been imported, without abstract classes."""
    found = set() if inspect.isabstract(base) else {base}
    return found.union(*map(_concrete_classes, base.__subclasses__()))


def _find(path: str, base: type) -> type | None:
    """The class at that path, or of that earlier name, if it derives from `base`."""
    try:
        kind: Any = find_class(path)
    except (ImportError, AttributeError, ValueError, TypeError):
        return None
    return kind if isinstance(kind, type) and issubclass(kind, base) and not inspect.isabstract(kind) else None


def _fits(value: Any, kind: Any) -> bool:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=kind)
    try:
        parser.parse_object({"value": value})
    except (jsonargparse.ArgumentError, TypeError, ValueError):
        return False
    return True


def _described(kind: Any) -> str:
    """A type as a person writes its values.

    >>> _described(int | None), _described(Literal["a", "b"]), _described(tuple[int, int])
    ('int or null', "one of ['a', 'b']", 'tuple[int, int]')
    """
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_described, get_args(kind)))
    if get_origin(kind) is Literal:
        return f"one of {list(get_args(kind))}"
    return "null" if kind is NoneType else str(kind) if get_origin(kind) else getattr(kind, "__name__", str(kind))


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def _quotes(value: Any, kind: Any) -> str:
    """What helps where text was needed and YAML read a number, such as 45000 from 12:30:00 (digits to the base 60).

    >>> _quotes(45000, str), _quotes(45000, Literal["a"]), _quotes("x", int)
    (' (put quotes around it: without them YAML reads a number, also from 12:30:00)', '', '')
    """
    if isinstance(value, int | float) and _fits(str(value), kind):
        return " (put quotes around it: without them YAML reads a number, also from 12:30:00)"
    return ""


def _hint(given: str, names: Iterable[str]) -> str:
    return "".join(f" (did you mean {name!r}?)" for name in difflib.get_close_matches(given, names, 1))


def _listed(names: Sequence[str]) -> str:
    return f"the names are {', '.join(names)}"
