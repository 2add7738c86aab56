"""What the pages say is there: links, anchors, pictures, files, commands and their options."""

import argparse
import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from video_ae.cli.main import build_parser
from video_ae.errors import UserError
from video_ae.training.config import run_parser

ROOT = Path(__file__).parents[1]
SITE = sorted((ROOT / "docs").glob("**/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *SITE]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`([^`\n]+)`")
FOLDERS = {".ci", ".github", "configs", "data", "docs", "examples", "notebooks", "scripts", "tests"}
FOLDERS |= {"tools", "video_ae"}
MADE = {"data/RealEstate10K/train", "docs/results/"}  # by the reader; a folder of generated files
OURS = re.compile(r"(\w+=\S+ )*(video-ae|python (scripts|tools)/)")
SYNOPSIS = re.compile(r"[\[\]{}]|\.\.\.")  # a line that shows what is possible, not what one types


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


pages = pytest.mark.parametrize("page", PAGES, ids=name)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """As GitHub and mkdocs both write them: only headings on which they agree have one."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
        github = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        mkdocs = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip())
        found |= {github} & {mkdocs}
    return found


def typed(page: Path) -> list[str]:
    """Lines of code that call video-ae, a script or a tool, without comments, continued lines joined."""
    text = page.read_text()
    blocks = [body for _, kind, body in FENCE.findall(text) if kind in ("", "sh", "bash", "console")]
    blocks += INDENTED.findall(prose(page))
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return list(filter(OURS.match, (line.split(" #")[0].strip() for line in lines)))


def commands(page: Path) -> list[str]:
    """The same, and those that are named in the text, which may be shortened."""
    return typed(page) + [span for span in NAMED.findall(prose(page)) if " " in span and OURS.match(span)]


@cache
def parsers() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Every command of `build_parser`, by its words."""
    found: dict[tuple[str, ...], argparse.ArgumentParser] = {}
    todo: list[tuple[tuple[str, ...], argparse.ArgumentParser]] = [((), build_parser())]
    while todo:
        words, parser = todo.pop()
        found[words] = parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                todo += [((*words, word), sub) for word, sub in action.choices.items()]
    return found


@cache
def training() -> set[str]:
    return {option for option in options_of(run_parser()) if option.startswith("--")}


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def unknown_training_option(option: str) -> bool:
    """Whether `train` lacks it; what stands below a chosen class is known only when that class is."""
    return option not in training() and not option.startswith(("--losses.", "--model.init_args."))


def wrong_in(line: str) -> str | None:
    """What video-ae does not know in a command line."""
    words = [word for word in shlex.split(re.sub(r"[\[\]{}|]", " ", line)) if not re.match(r"\w+=", word)]
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    if words[0] == "python":
        source = ROOT / words[1]
        if "video-ae" in words and source.is_file():  # a tool that runs another command
            return wrong_in(shlex.join(words[words.index("video-ae") :]))
        missing = [option for option in options if not source.is_file() or f'"{option}"' not in source.read_text()]
        return str(missing) if missing or not source.is_file() else None
    command = words[1:]
    if command[:1] == ["train"]:
        return next(filter(unknown_training_option, options), None)
    depth = 2 if tuple(command[:2]) in parsers() else 1
    parser = parsers().get(tuple(command[:depth]))
    if parser is None:
        return None if command[:1] and command[0].startswith("-") else f"no command {command[:1]}"
    return next((option for option in options if option not in options_of(parser)), None)


def test_what_is_checked_below_is_found_in_the_pages() -> None:
    found = [sum(len(find(prose(page))) for page in PAGES) for find in (LINK.findall, NAMED.findall)]
    found += [sum(len(find(page)) for page in PAGES) for find in (typed, commands, anchors)]
    assert min(found) > 80, found


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for picture, link in LINK.findall(prose(page)):
        if re.match(r"https?://", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{name(page)} links to {link}"
        if page.parent != ROOT:
            assert target.is_relative_to(ROOT / "docs"), f"{link} in {name(page)} is not part of the site"
        if picture:
            assert target.suffix in (".png", ".jpg"), link
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {name(target)} has no heading {anchor!r}"


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    for span in NAMED.findall(prose(page)):
        path = re.sub(r":\d+$", "", span)
        if not re.fullmatch(r"[\w./*-]+", path) or path in MADE or "/" not in path:
            continue
        if path.split("/")[0] in FOLDERS:
            assert list(ROOT.glob(path.rstrip("/"))), f"{name(page)} names {path}"
        elif path.endswith(".py"):
            assert (ROOT / "video_ae" / path).is_file(), f"{name(page)} names {path}"


@pages
def test_commands_are_possible(page: Path) -> None:
    for line in commands(page):
        assert wrong_in(line) is None, f"{name(page)}: {line!r} holds {wrong_in(line)}"
        for config in re.findall(r"configs/\w+\.yaml", line):
            assert (ROOT / config).is_file(), config


@pages
def test_whole_command_lines_parse(page: Path) -> None:
    refused = []
    for line in typed(page):
        words = shlex.split(line)
        if words[0] == "video-ae" and words[1] != "train" and not SYNOPSIS.search(line):
            try:
                parsers()[()].parse_args(words[1:])
            except (SystemExit, UserError) as error:
                refused.append((line, error))
    assert refused == []


@pages
def test_options_in_the_text_exist(page: Path) -> None:
    scripts = "".join(path.read_text() for folder in ("scripts", "tools") for path in (ROOT / folder).glob("*.py"))
    ours = set(re.findall(r'"(--[a-z][\w-]*)"', scripts)).union(*map(options_of, parsers().values()))
    for span in NAMED.findall(prose(page)):
        if not re.match(r"--[a-z]", span):
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", span):
            if option.endswith(".NAME"):
                option = option.removesuffix(".NAME")
                assert not unknown_training_option(option + ".x") or any(o.startswith(option) for o in training())
                continue
            assert option in ours or not unknown_training_option(option), f"{name(page)} names {option}"


def messages() -> str:
    """All strings of the package, with `...` for what an f-string fills in."""
    found = []
    for path in (ROOT / "video_ae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant):
                found.append(str(node.value))
    return "\n".join(found)


def test_messages_that_troubleshooting_explains_exist() -> None:
    tables = (ROOT / "docs/troubleshooting.md").read_text().split("\n## Messages\n")[1].split("\n## ")[0]
    said = messages()
    quotes = [quote for cell in re.findall(r"^\| (.+?) \|", tables, re.MULTILINE) for quote in cell.split(";")]
    parts = [part.strip(" `,:()") for quote in quotes for part in quote.split("...")]
    assert len(parts) > 40
    assert [part for part in parts if part not in said] == []


def test_every_page_of_the_readme_and_every_configuration_is_explained() -> None:
    readme, training_page = (ROOT / "README.md").read_text(), (ROOT / "docs/training.md").read_text()
    for page in SITE:
        assert page.name == "index.md" or f"({name(page)})" in readme, f"README.md does not name {name(page)}"
    for config in (ROOT / "configs").glob("*.yaml"):
        assert f"`configs/{config.name}`" in training_page


def test_every_setting_of_a_run_stands_on_the_training_page() -> None:
    page = (ROOT / "docs/training.md").read_text()
    for option in training():
        group, _, setting = option.removeprefix("--").partition(".")
        word = setting if group in ("data", "optimizer", "trainer") else group
        if word not in ("", "help", "config") and "." not in word and not option.endswith("+"):
            assert re.search(rf"`(--)?{re.escape(word)}[` .]", page), option


def test_the_menu_of_the_site_holds_every_page() -> None:
    def files(entry):
        if isinstance(entry, str):
            return [entry]
        return [file for value in (entry.values() if isinstance(entry, dict) else entry) for file in files(value)]

    menu = files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    rooms = ["video_ae", *(path.parent.name for path in (ROOT / "video_ae").glob("*/__init__.py"))]
    assert sorted(menu) == sorted([page.name for page in SITE] + [f"reference/{room}.md" for room in rooms])


def test_hooks_before_a_commit_run_the_versions_of_the_constraints() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    pinned = {pin for hook in hooks for pin in hook.get("additional_dependencies", ())}
    assert {pin.split("==")[0] for pin in pinned} == {"ruff", "typos"}
    assert pinned <= set((ROOT / "constraints.txt").read_text().splitlines())


@pytest.mark.parametrize(
    "line",
    [
        "video-ae reconstrukt a.mp4",
        "video-ae view walk --prot 80",
        "video-ae train --data.rot x",
        "python scripts/no.py",
    ],
)
def test_wrong_commands_are_noticed(line: str) -> None:
    assert wrong_in(line) is not None


def test_site_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed (`make docs`)")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    results = (tmp_path / "results.html").read_text()
    assert results.count("<table>") == (ROOT / "docs/results.md").read_text().count("|---|\n") > 5
    for file in tmp_path.rglob("*.html"):  # nothing on a page waits for the network
        assert not re.search(r"<(script|img)[^>]+src=\"?https?://|<link[^>]+stylesheet[^>]+https?://", file.read_text())
    for page in SITE:
        html = (tmp_path / page.relative_to(ROOT / "docs")).with_suffix(".html").read_text()
        for paragraph in re.findall(r"<p>(.*?)</p>", html, re.DOTALL):  # lists and tables that are taken for text
            assert not re.search(r"^\s*([*-] |\d\. )|\|---|```", paragraph, re.MULTILINE), paragraph
    geometry = (tmp_path / "reference" / "geometry.html").read_text()
    assert 'id="video_ae.geometry.se3.invert"' in geometry
    assert "<blockquote>" not in geometry  # doctests are code
