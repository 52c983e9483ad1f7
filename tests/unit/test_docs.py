"""What README and `docs/` say is there, is there, and what is there is said."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from energy.errors import ChainError, Refusal, StoreError, YuiError, refusals
from energy.records import Quality
from orchestrator.cli import app
from orchestrator.reference import BEGIN, END, commands, errors_page, main, with_commands

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
RENEW = "python -m orchestrator.reference renews it"
SOURCE_FOLDERS = ("energy", "chain", "oracle", "vpp", "orchestrator", "deploy", "tests", "bench")
SETTING = re.compile(r"\bYUI_[A-Z]+(?:_[A-Z]+)*\b")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def sources() -> Iterator[Path]:
    yield ROOT / "Makefile"
    for folder in SOURCE_FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            is_text = path.suffix in (".py", ".sh") or (
                not path.suffix and os.access(path, os.X_OK)
            )
            if path.is_file() and is_text:
                yield path


def fenced(page: Path) -> list[str]:
    """The lines of a page's code blocks that carry no language."""
    return [
        line
        for block in re.findall(r"^```\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]


def shown_commands() -> list[str]:
    """Every `yui` command line on any page, in a block or within backticks."""
    shown: set[str] = set()
    for page in PAGES:
        inline = re.findall(r"`(yui [a-z][^`]*)`", text_of(page))
        shown.update(re.sub(r"\.$", "", line) for line in [*fenced(page), *inline])
    return sorted(line for line in shown if re.match(r"yui [a-z]", line))


def anchors_of(page: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_command_and_option_stands_in_the_commands_page_as_the_program_has_it():
    page = text_of(DOCS / "commands.md")
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == with_commands(page), RENEW
    names = [name for name, _ in commands()]
    assert {"demo", "trades", "statement", "trace", "audit"} <= set(names)
    for name, command in commands():
        part = page.partition(f"### `yui {name}")[2].partition("\n### ")[0]
        for parameter in command.params:
            spelled = parameter.name.upper() if parameter.param_type_name == "argument" else None
            for option in [spelled] if spelled else parameter.opts:
                assert f"`{option}`" in part or f" {option}" in part, (name, option)


def test_every_error_stands_in_the_errors_page_with_its_rule():
    page = text_of(DOCS / "errors.md")
    assert page == errors_page(), RENEW
    for refusal in refusals():
        assert refusal.rule, f"{refusal.__name__} must have a rule"
        values = ", ".join(field.name for field in fields(refusal))
        assert f"| `{refusal.__name__}({values})` | {refusal.rule} |" in page
    kinds: list[type[YuiError]] = [YuiError, *YuiError.__subclasses__(), Refusal]
    kinds += [*StoreError.__subclasses__(), *ChainError.__subclasses__()]
    for kind in kinds:
        if kind.__module__ == YuiError.__module__:
            assert f"| `{kind.__name__}` | " in page


def test_the_pages_are_renewed_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.reference.DOCS", tmp_path)
    (tmp_path / "commands.md").write_text(f"before\n{BEGIN}\nwritten before\n{END}\nafter\n")
    main()
    renewed = text_of(tmp_path / "commands.md")
    assert renewed.startswith("before\n")
    assert renewed.endswith("after\n")
    assert "written before" not in renewed
    assert "### `yui trace SITE SLOT`" in renewed
    assert text_of(tmp_path / "errors.md") == errors_page()


def test_every_setting_of_the_environment_is_documented_and_every_documented_one_is_read():
    used = {
        name
        for path in sources()
        if path != Path(__file__).resolve()
        for name in SETTING.findall(text_of(path))
    }
    assert "YUI_ANVIL" in used
    said = set(re.findall(r"^\| `(YUI_[A-Z_]+)` \|", text_of(DOCS / "commands.md"), re.MULTILINE))
    assert said == used


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_named_is_there(page):
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text_of(page))
    own = [name for name in named if name.split("/")[0] in {*SOURCE_FOLDERS, "contracts", "docs"}]
    for name in own:
        assert (ROOT / name).exists(), name


def test_every_make_target_named_is_there_and_every_one_that_is_there_is_documented():
    there = set(re.findall(r"^([a-z-]+):.*## ", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for line in [*fenced(page), *re.findall(r"`(make [^`]*)`", text_of(page))]
        for target in re.findall(r"^make ([a-z-]+)", line)
    }
    assert named <= there
    assert there - {"help"} <= named


def test_every_command_line_shown_is_one_that_the_program_takes():
    shown = shown_commands()
    assert "yui trades --site Kesennuma" in shown
    known = dict(commands())
    for line in shown:
        words = shlex.split(line)[1:]
        depth = next((n for n in (3, 2, 1) if " ".join(words[:n]) in known), 0)
        assert depth, line
        name, rest = " ".join(words[:depth]), words[depth:]
        answer = CliRunner().invoke(app, [*name.split(), "--help"])
        assert answer.exit_code == 0, line
        if not rest or any(word.strip("[]").isupper() for word in rest):
            continue  # a heading, or a command's mere name
        options = {option for each in known[name].params for option in each.opts}
        for word in rest:
            if word.startswith("--"):
                assert word.partition("=")[0] in options, line
        # Read as far as the command's own words go, without running it.
        known[name].make_context(name, list(rest))


def test_options_shown_with_make_demo_are_those_of_the_demo():
    known = dict(commands())["demo"]
    shown = [
        arguments
        for page in PAGES
        for arguments in re.findall(r'make demo ARGS="([^"]*)"', text_of(page))
    ]
    assert shown
    for arguments in shown:
        known.make_context("demo", shlex.split(arguments))


def test_every_quality_flag_is_documented():
    page = text_of(DOCS / "site.md")
    for flag in Quality:
        assert f"| `{flag.name}` | {flag.value} |" in page


def test_every_exception_from_slither_has_its_reason():
    settings = json.loads(text_of(ROOT / "slither.config.json"))
    off = set(settings["detectors_to_exclude"].split(","))
    part = (
        text_of(DOCS / "ledger.md").partition("*Exceptions from slither*")[2].partition("\n## ")[0]
    )
    assert set(re.findall(r"^\| `([a-z-]+)` \| \w", part, re.MULTILINE)) == off
    found = 0
    for path in sorted((ROOT / "contracts").rglob("*.sol")):
        lines = text_of(path).splitlines()
        for number, line in enumerate(lines):
            if "slither-disable" in line:
                found += 1
                assert re.match(r" *// slither-disable-next-line [a-z,-]+$", line), (
                    path.name,
                    line,
                )
                assert re.match(r" *// (?!slither)\w", lines[number - 1]), (path.name, line)
    assert found


def test_the_worked_example_of_the_market_holds():
    done = doctest.testfile(str(DOCS / "market.md"), module_relative=False, encoding="utf-8")
    assert done.attempted > 10
    assert done.failed == 0
