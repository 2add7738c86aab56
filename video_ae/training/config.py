"""YAML and command line -> the settings of a run, strictly: an unknown name is answered with the valid ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from video_ae.errors import UserError
from video_ae.losses.base import LossTerm
from video_ae.models.base import Autoencoder
from video_ae.registry import PARTS, RENAMED, announce_renamed, find_class, full_path, with_full_paths, with_short_names
from video_ae.training.config_problems import CONFIG_OPTION, options, refuse
from video_ae.training.settings import RunSettings, file_to_resume

_FORMAT = "video_ae"  # YAML whose classes are named as in `video_ae.registry`
_NOT_KEPT = ("config", "resume", "overwrite", "view", "host", "token")  # how a run is started


def parse_run(arguments: Sequence[str]) -> RunSettings:
    """The settings of a run from YAML files and single values. Values given later win over earlier ones.

    `--help` prints and leaves with SystemExit(0).

    Args:
        arguments: those of `video-ae train`, such as "--config=FILE" and "--data.size=[64,48]". "--resume" without
            "--config" reads the config.yaml of the run itself.

    Raises:
        UserError: something does not fit, in one sentence.
    """
    parser = run_parser()
    arguments = _with_config([_with_current_name(argument) for argument in arguments])
    try:
        values = parser.parse_args(arguments)
        kept = values.clone()
        for name in _NOT_KEPT:
            kept.pop(name, None)
        text = parser.dump(kept, format=_FORMAT, skip_unset=False, skip_validation=True)
        model = values.pop("model").as_dict()
        built = parser.instantiate(values)
    except UserError:
        raise
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        refuse(arguments)
        raise UserError(f"The settings do not fit: {' '.join(str(error).split()).rstrip('.')}.") from error
    if not built.losses:
        raise UserError("The configuration has no losses: give at least one, such as losses.l1: L1.")
    built.pop("config")
    if not built.view and (built.host, built.token) != (RunSettings.host, RunSettings.token):
        raise UserError("An address and a token are those of the page: show one (--view), or leave them out.")
    return RunSettings(model=model, **vars(built), text=text)


def run_parser() -> jsonargparse.ArgumentParser:
    """Every value of a run with its type, default and help."""
    for name in PARTS:  # classes may then be named without their module
        find_class(name)
    jsonargparse.set_loader(_FORMAT, _load_yaml, (yaml.YAMLError,))
    jsonargparse.set_dumper(_FORMAT, lambda values: yaml.safe_dump(with_short_names(values), sort_keys=False))
    parser = jsonargparse.ArgumentParser(
        prog="video-ae train", description="Train an autoencoder on videos.", exit_on_error=False, parser_mode=_FORMAT,
    )  # fmt: skip
    parser.add_argument("--config", action="config", help="a YAML file with any of the values below")
    parser.add_subclass_arguments(Autoencoder, "model", required=True, help="the autoencoder")
    parser.add_argument("--losses", type=dict[str, LossTerm], help="name -> loss term; their weighted sum is the loss")
    written_here = {"model", "losses", "resume", "overwrite", "view", "host", "token", "text"}
    parser.add_class_arguments(RunSettings, as_group=False, skip=written_here)
    parser.add_argument("--resume", action="store_true", help="continue the run in OUT exactly where it stands")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in OUT")
    parser.add_argument("--view", action="store_true", help="show cameras and structure on a web page meanwhile")
    reach = "who can reach that page, as of `video-ae view`"
    parser.add_argument("--host", metavar="ADDRESS", default=RunSettings.host, help=reach)
    secret = "in the page's address, as of `video-ae view`: random, none, or your own"
    parser.add_argument("--token", metavar="TEXT", default=RunSettings.token, help=secret)
    return parser


def _load_yaml(text: str) -> Any:
    """YAML as jsonargparse reads it, with today's paths of the classes that it names."""
    values = jsonargparse.get_loader("yaml")(text)
    announce_renamed(values)
    return with_full_paths(values)


def _with_current_name(argument: str) -> str:
    """The argument, with the name of today where its value is the earlier name of a class."""
    option, equals, value = argument.rpartition("=")
    if value not in RENAMED:
        return argument
    announce_renamed({"class_path": value})
    return f"{option}{equals}{full_path(value)}"


def _with_config(arguments: list[str]) -> list[str]:
    """The arguments, preceded by the configuration of the run that they resume, unless they name another."""
    given = dict(options(arguments))
    if "resume" not in given or CONFIG_OPTION in given:
        return arguments
    out = given.get("out")
    if not out:
        raise UserError("To resume a run, its folder is needed: name it.", "out")
    return [f"--{CONFIG_OPTION}={file_to_resume(Path(out), 'config.yaml')}", *arguments]
