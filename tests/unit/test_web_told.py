"""What goes wrong is told in Japanese on a Japanese page, whoever says it in English."""

import ast
from pathlib import Path
from string import Formatter

import pytest

from orchestrator.web.drawing import explained
from orchestrator.web.told import in_japanese
from orchestrator.web.told_by_pages import ERRORS
from orchestrator.web.told_by_sites import ALARMS
from orchestrator.words import Language
from vpp.commands import Action, Instruction
from vpp.dispatch.limits import OwnerLimits

ROOT = Path(__file__).parents[2]
WEB = ROOT / "orchestrator" / "web"
AT_THE_COMMAND_LINE = ("cli.py", "users.py", "disk.py", "accounts.py", "charts.py")
"""What is told at a command line, or of a file, is told in English there."""
RAISED = ("SettingError", "NotThere", "HTTPException", "_refusal")
BY_SITES = ("trust.py", "limits.py", "site.py")


def sentences(path, names):
    """Return the sentences that a module raises by some names, with 7 in each place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
            for argument in node.args:
                if text := spelled(argument):
                    yield text


def spelled(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values
        )
    return None


def test_every_error_that_a_page_raises_is_told_in_japanese():
    modules = [one for one in WEB.rglob("*.py") if one.name not in AT_THE_COMMAND_LINE]
    found = {(one.name, text) for one in modules for text in sentences(one, RAISED)}
    assert len(found) > 30
    assert [each for each in sorted(found) if not in_japanese(each[1])] == []


def test_every_reason_that_a_sites_dispatch_gives_is_told_in_japanese():
    found = []
    for name in BY_SITES:
        tree = ast.parse((ROOT / "vpp" / "dispatch" / name).read_text(encoding="utf-8"))
        parts = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        told = {spelled(node) or "" for node in ast.walk(tree) if id(node) not in parts}
        settings = set(sentences(ROOT / "vpp" / "dispatch" / name, ("SettingError",)))
        found += [
            one
            for one in told - settings
            if " must " in one and one[-1] != "." and one.isprintable()
        ]
    assert len(found) > 15
    assert [one for one in found if not in_japanese(one)] == []


def test_what_an_owner_refuses_is_told_with_its_value_and_limit():
    limits = OwnerLimits(charge_w=5_000, discharge_w=5_000)
    told = limits.refusal(Instruction(3, 1, Action.CHARGE, 0, 1_800, 60, 8_000))
    assert in_japanese(told) == "充電出力8000 Wが所有者の上限5000 Wを超える"


@pytest.mark.parametrize(("english", "japanese"), [*ERRORS, *ALARMS])
def test_each_pattern_says_in_japanese_what_it_found(english, japanese):
    places = {name: f"<{name}>" for name in _places(english)}
    assert _places(japanese) <= set(places)
    told = in_japanese(english.format(**places))
    assert told == japanese.format(**places)


def test_what_is_not_known_stays_as_it_is():
    assert explained(Language.JAPANESE, "smoke in the hall") == "smoke in the hall"
    assert explained(Language.ENGLISH, "power must be told, got none").startswith("power must")


def _places(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name}
