"""YAML and command line -> the settings of a run, strictly: an unknown name is answered with the valid ones."""

import importlib
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jsonargparse
import yaml

from video_ae.errors import UserError
from video_ae.losses.base import LossTerm
from video_ae.models.base import Autoencoder
from video_ae.registry import (
    PARTS,
    RENAMED,
    announce_renamed,
    find_class,
    full_path,
    short_name,
    with_full_paths,
    with_short_names,
)
from video_ae.training.settings import DataSettings, OptimizerSettings, RunSettings, TrainerSettings

_FORMAT = "video_ae"  # YAML whose classes are named as in `video_ae.registry`
_WRONG_CLASS = (
    r"dot import path string: (\S+)|Expected a path but (\S+)|Import path (\S+) does not|class_path '([\w.]+)':(?! P)"
)


def parse_run(arguments: Sequence[str]) -> RunSettings:
    """The settings that `video-ae train ARGUMENTS` stands for. Values given later win over earlier ones.

    `--resume` without `--config` reads the run's own config.yaml. Raises UserError with one sentence for anything that
    does not fit; `--help` prints and leaves with SystemExit(0).
    """
    parser = run_parser()
    arguments = _with_config([_renamed(argument) for argument in arguments])
    try:
        values = parser.parse_args(arguments)
        text = parser.dump(values, format=_FORMAT, skip_unset=False)
        model = values.pop("model").as_dict()
        built = parser.instantiate(values)
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        raise UserError(explain(str(error), parser)) from error
    if not built.losses:
        raise UserError("The configuration has no losses: give at least one, such as --losses.l1 L1.")
    keep = "\n".join(line for line in text.splitlines() if not re.match(r"(config|resume|overwrite|view):", line))
    names = ("losses", "data", "optimizer", "trainer", "seed", "out", "wandb", "resume", "overwrite", "view")
    return RunSettings(model=model, **{name: built[name] for name in names}, text=keep + "\n")


def run_parser() -> jsonargparse.ArgumentParser:
    """Every value of a run with its type, default and help."""
    for module in dict.fromkeys(PARTS.values()):  # classes may then be named without their module
        importlib.import_module(module)
    jsonargparse.set_loader(_FORMAT, _load_yaml, (yaml.YAMLError,))
    jsonargparse.set_dumper(_FORMAT, lambda values: yaml.safe_dump(with_short_names(values), sort_keys=False))
    parser = jsonargparse.ArgumentParser(
        prog="video-ae train",
        description="Train an autoencoder on videos.",
        exit_on_error=False,
        parser_mode=_FORMAT,
    )
    parser.add_argument("--config", action="config", help="a YAML file with any of the values below")
    parser.add_subclass_arguments(Autoencoder, "model", required=True, help="the autoencoder")
    parser.add_argument("--losses", type=dict[str, LossTerm], help="name -> loss term; their weighted sum is the loss")
    parser.add_class_arguments(DataSettings, "data")
    parser.add_class_arguments(OptimizerSettings, "optimizer")
    parser.add_class_arguments(TrainerSettings, "trainer")
    parser.add_argument("--seed", type=int, default=0, help="of weights, samples and random numbers in the model")
    parser.add_argument("--out", type=str, default="runs/run", help="the folder of the run")
    parser.add_argument("--wandb", type=Literal["disabled", "offline", "online"], default="disabled")
    parser.add_argument("--resume", action="store_true", help="continue the run in OUT exactly where it stands")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in OUT")
    parser.add_argument("--view", action="store_true", help="show cameras and structure on a web page meanwhile")
    return parser


def _load_yaml(text: str) -> Any:
    """YAML as jsonargparse reads it, with today's paths of the classes that it names."""
    values = jsonargparse.get_loader("yaml")(text)
    announce_renamed(values)
    return with_full_paths(values)


def _renamed(argument: str) -> str:
    """An argument of the command line whose value is the earlier name of a class, with the name of today."""
    option, equals, value = argument.rpartition("=")
    if value not in RENAMED:
        return argument
    announce_renamed({"class_path": value})
    return f"{option}{equals}{full_path(value)}"


def explain(message: str, parser: jsonargparse.ArgumentParser) -> str:
    """jsonargparse's message as one sentence that names what was given and the valid names."""
    text = " ".join(message.split()).split(" - Expected a <class 'NoneType'>")[0]  # None is never what was meant
    if match := re.search(r"Problem with given class_path '([\w.]+)': Option '([\w.]+)' is not accepted", text):
        valid = list(inspect.signature(find_class(match[1])).parameters)
        return f"{short_name(match[1])} has no argument {match[2]!r}: it takes {_list(valid)}."
    key = ".".join(re.findall(r'Parser key "([\w.]+)":', text))
    if match := re.search(_WRONG_CLASS, text):
        return _no_such_class(key, next(filter(None, match.groups())))
    if match := re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", text):
        return _no_such_setting(parser, f"{match[1]}.{match[2]}")
    if match := re.search(r"unrecognized arguments: (--[\w.]+)|Option '([\w.]+)' is not accepted", text):
        return _no_such_setting(parser, (match[1] or match[2]).removeprefix("--"))
    if key:
        reason = re.split(r'Parser key "[\w.]+": (?:Expected an? )?', text)[-1].replace("typing.Literal", "one of ")
        reason = re.sub(r"(?:<class ')?([\w ,'\[\]]+?)(?:'>)?\. Got value: (.*)", r"\2 was given, \1 is needed", reason)
        return f"--{key} has a value that does not fit: {reason.rstrip('.')}."
    if text.startswith("Unexpected config:"):
        return "A configuration is a YAML file with lines such as `seed: 1`, and the given one holds something else."
    if match := re.search(r"the following arguments are required: (\w+)", text):
        return f"--{match[1]} is missing: give it, or a configuration with --config."
    return text.rstrip(".") + "."


def _no_such_class(key: str, given: str) -> str:
    base = {"losses": LossTerm, "model": Autoencoder}.get(key)
    if base is None:
        return f"There is no class {given!r} for --{key}: give its full name, such as package.module.Class."
    return f"There is no {base.__name__} {given!r}: the names are {_list(_names(base))}."


def _no_such_setting(parser: jsonargparse.ArgumentParser, given: str) -> str:
    return f"There is no setting {given!r}: the names are {_list(_settings(parser, given))}."


def _with_config(arguments: list[str]) -> list[str]:
    named = [argument.split("=", 1)[0] for argument in arguments]
    if "--resume" not in named or "--config" in named:
        return arguments
    outs = [place for place, name in enumerate(named) if name == "--out"]
    if not outs:
        raise UserError("--resume needs to know which run: give --out RUN.")
    word = arguments[outs[-1]]
    out = word.split("=", 1)[1] if "=" in word else "".join(arguments[outs[-1] + 1 : outs[-1] + 2])
    if not (Path(out) / "config.yaml").is_file():
        raise UserError(f"--resume needs a run in {out!r}, but config.yaml is not there: start it without --resume.")
    return ["--config", str(Path(out) / "config.yaml"), *arguments]


def _settings(parser: jsonargparse.ArgumentParser, given: str) -> list[str]:
    """The names beside the one that was given, else those of the top level."""
    prefix = given.rpartition(".")[0]
    names = [action.dest for action in parser._actions if action.dest != "help"]
    beside = [name for name in names if prefix and name.startswith(prefix + ".") and not name.endswith(".help")]
    return beside or sorted({name.split(".")[0] for name in names})


def _names(base: type) -> list[str]:
    found, todo = set(), [base]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if not inspect.isabstract(kind):
            found.add(kind.__name__)
    return sorted(found)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"
