"""What errors say stands in both languages, and is known again wherever it comes from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from energy import errors
from energy.errors import ChainError, GateClosed, SettingError, YuiError, refusals
from energy.japanese import PACKAGES, Phrase, catalogue_of, in_japanese, phrases, told_in_japanese
from oracle.told import of_the_system, told
from orchestrator.service.alerts import NAMES
from orchestrator.service.words import alert_line
from orchestrator.words import Language

ROOT = Path(__file__).resolve().parents[2]
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
OF_THE_SYSTEM = "[Errno "
"""What the system says carries a number that tells a Japanese reader nothing."""


@cache
def modules_of(package: str) -> list[ast.Module]:
    """A folder's modules, read once."""
    paths = sorted((ROOT / package).rglob("*.py"))
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


@cache
def kinds() -> set[str]:
    """The names of all errors that carry a sentence, wherever they are defined."""
    names = {"YuiError", "ValueError"}
    classes = [
        node
        for package in PACKAGES
        for tree in modules_of(package)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    while True:
        more = {
            one.name
            for one in classes
            if {base.id for base in one.bases if isinstance(base, ast.Name)} & (names - {"Refusal"})
        }
        if more <= names:
            return names - {"Refusal"} - {refusal.__name__ for refusal in refusals()}
        names |= more


def sentences_of(node: ast.expr) -> list[str]:
    """What an expression says, with `{}` for each value; nothing if it is not spelled out."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        return ["".join(map(str, parts))]
    if isinstance(node, ast.BinOp):
        ends = sentences_of(node.right) or ["{}"]
        return [begin + end for begin in sentences_of(node.left) for end in ends]
    if isinstance(node, ast.IfExp):
        return sentences_of(node.body) + sentences_of(node.orelse)
    return []


def said_in(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """What a module's errors say, and every other text that says what was got instead."""
    docs = {
        id(body[0].value)
        for node in ast.walk(tree)
        if (body := getattr(node, "body", None)) and isinstance(body, list)
        if isinstance(body[0], ast.Expr)
    }
    within = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in names:
                yield from sentences_of(node.args[0])
            elif name == "error" and len(node.args) == 3:
                # A key of a settings file, what it must be, and what it is.
                yield from sentences_of(node.args[1])
        elif isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in docs | within:
            yield from (one for one in sentences_of(node) if ", got " in one and "\n" not in one)


@cache
def said(package: str) -> frozenset[str]:
    """What a folder's errors say, each sentence with `{}` for its values."""
    names = kinds()
    return frozenset(
        sentence
        for tree in modules_of(package)
        for sentence in said_in(tree, names)
        if re.search("[a-z]{2}", sentence)
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sentence_of_a_folder_s_errors_has_its_japanese(package):
    everywhere = {phrase.english for phrase in phrases()}
    assert len(said(package)) >= 5
    missing = said(package) - everywhere
    assert not missing, f"{package}/errors.ja.toml must have these too"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_catalogue_keeps_a_sentence_that_nobody_says_any_more(package):
    rules = {refusal.rule for refusal in refusals()}
    spoken = {one for each in PACKAGES for one in said(each)} | rules
    # A sentence may stand with one of its values spelled out, where Japanese needs it.
    wide = [Phrase(one, "") for one in spoken if len(one) > 20]
    for english in catalogue_of(package):
        if ", got " in english and english not in spoken:
            assert any(each.values_in(english) for each in wide), english


def test_every_sentence_is_known_again_with_all_its_values():
    assert len(phrases()) > 700
    for phrase in phrases():
        if phrase.english.startswith(OF_THE_SYSTEM):
            continue
        values = [f"<{number}>" for number in range(phrase.english.count("{}"))]
        parts = phrase.english.split("{}")
        english = "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))
        japanese = phrase.japanese.format(*values)
        assert in_japanese(english) == japanese, phrase.english
        assert all(japanese.count(value) == 1 for value in values), phrase.english
        assert JAPANESE.search(japanese) or not re.search("[a-z]{2}", english), phrase.english


def test_every_documented_error_has_both_languages():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    documented: list[type[YuiError]] = [YuiError, *YuiError.__subclasses__()]
    documented = [kind for kind in documented if kind.__module__ == errors.__name__]
    assert len(documented) > 8
    for kind in documented:
        assert JAPANESE.search(kind.kind_ja)
        assert f"| {kind.kind_ja} |" in page
    assert len({kind.kind_ja for kind in documented}) == len(documented)
    for refusal in refusals():
        japanese = in_japanese(refusal.rule)
        assert JAPANESE.search(japanese), refusal.rule
        assert f"| {refusal.rule} | {japanese} |" in page


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        (
            "sites.toml: site 3.pv_kw must be a text, got 4",
            "sites.toml: site 3.pv_kwは文字列とすること(実際: 4)",
        ),
        (
            "oracle.toml: [chain] market must be there, got None",
            "oracle.toml: [chain] marketは記載すること(実際: なし)",
        ),
        (
            "plan.json must be a plan, got: starts_at must begin a half hour, in unix seconds, "
            "got 7",
            "plan.jsonは計画であること(実際: starts_atは30分の始まり(unix秒)であること(実際: 7))",
        ),
        (
            "oracle.toml must be a readable settings file, got: [Errno 13] Permission denied: "
            "'oracle.toml'",
            "oracle.tomlは読める設定ファイルであること(実際: 'oracle.toml': 権限がない)",
        ),
        (
            "order 3 of site 2 for slot 5 must be before its gate at 9000 (unix seconds), got 9001",
            "庁舎2のコマ5の注文3は、入札締切9000(unix秒)より前であること(実際: 9001)",
        ),
        (
            "discharging from 10:00-10:30 must be at most 7500 Wh (the owner's limit), got 9000 Wh",
            "10:00-10:30からの放電は7500 Wh以下であること(所有者の制限。実際: 9000 Wh)",
        ),
    ],
)
def test_a_sentence_within_another_is_put_into_japanese_as_well(english, japanese):
    assert in_japanese(english) == japanese


def test_every_alert_has_its_japanese():
    for meaning in NAMES.values():
        assert JAPANESE.search(in_japanese(meaning)), meaning
    told = {"about": "site 3", "details": "2 half hours, the newest 2019-06-04 10:00-10:30"}
    line = alert_line(Language.JAPANESE, {"name": "reading-missing", "since": 0, **told})
    assert "庁舎3: 2コマ、最新は2019-06-04 10:00-10:30(1970-01-01 09:00:00から)" in line
    line = alert_line(Language.ENGLISH, {"name": "reading-missing", "since": 0, **told})
    assert "site 3: 2 half hours, the newest 2019-06-04 10:00-10:30; since 1970-01-01" in line


def test_what_no_catalogue_knows_stays_as_it_is():
    assert in_japanese("Sendai") == "Sendai"
    assert in_japanese("a quite different sentence") == "a quite different sentence"


def test_words_made_to_be_read_in_many_ways_are_read_in_one():
    # Of 10,000 letters and six values: to try all places would take days.
    hostile = "x" + " by " + ": " * 240 + " must be as on the chain: root " * 240
    hostile += " by " * 240 + " sites, got " * 240
    known = "{}: {} must be as on the chain: root {} by {} sites, got {} by {}"
    assert Phrase(known, "").values_in(hostile) is None
    assert Phrase("{} to {}", "").values_in("1 to 2 to 3") == ("1", "2 to 3")
    assert Phrase("a{}a", "").values_in("a") is None
    assert Phrase("none", "").values_in("none") == ()


def test_a_refusal_is_told_by_its_name_its_rule_and_its_values():
    refused = GateClosed(866_450, 1_559_610_000)
    line = (
        "契約が拒否: GateClosed: コマの注文は入札締切(unix秒)より前に届くこと "
        "(slot=866450, gate=1559610000)"
    )
    assert told_in_japanese(refused) == line
    # The same words, come back from a node or a store as text.
    assert in_japanese(f"{refused}") == line.removeprefix("契約が拒否: ")


def test_an_error_is_told_in_the_language_that_is_asked_for():
    error = SettingError("--json and --csv must not be given together")
    assert told(error, japanese=False) == "--json and --csv must not be given together"
    assert told(error, japanese=True) == "指定または設定に誤り: --jsonと--csvは同時に指定しないこと"
    assert told(ChainError("unheard of"), japanese=True).endswith(": unheard of")


def test_what_the_system_refuses_is_told_in_the_language_that_is_asked_for():
    refused = PermissionError(13, "Permission denied", "/etc/x")
    assert of_the_system(refused, japanese=False) == "/etc/x: Permission denied"
    assert of_the_system(refused, japanese=True) == "/etc/x: 権限がない"
