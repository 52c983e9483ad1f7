"""What the pages say: each word once, in both languages, and there wherever it is asked for."""

import re
from collections import Counter
from pathlib import Path
from string import Formatter

from orchestrator.web.words import TABLES, knows, say
from orchestrator.words import Language
from vpp.room.store import Outcome

TEMPLATES = Path(__file__).resolve().parents[2] / "orchestrator" / "web" / "templates"


def test_no_two_tables_have_a_word_in_common():
    counted = Counter(word for table in TABLES for word in table)
    assert [word for word, count in counted.items() if count > 1] == []


def test_each_phrase_is_there_in_both_languages_with_the_same_values():
    for table in TABLES:
        for word, phrases in table.items():
            fields = [{part[1] for part in Formatter().parse(one) if part[1]} for one in phrases]
            assert len(phrases) == len(Language), word
            assert all(phrases), word
            assert fields[0] == fields[1], word


def test_every_word_that_a_template_says_by_name_is_there():
    for path in TEMPLATES.rglob("*.html"):
        for word in re.findall(r"""\bsay\(["']([\w-]+)["'][,)]""", path.read_text()):
            assert say(Language.JAPANESE, word, **_values(word)), (path, word)


def _values(word):
    phrases = [table[word] for table in TABLES if word in table]
    return {part[1]: "x" for one in phrases for part in Formatter().parse(one[0]) if part[1]}


def test_a_refused_command_is_called_otherwise_than_a_refused_log_in():
    assert say(Language.JAPANESE, "outcome_refused") == "拒否"
    assert say(Language.JAPANESE, "attempt_refused") == "失敗"
    assert all(knows(f"outcome_{outcome.value}") for outcome in Outcome)
    outcomes = ("logged-in", "refused", "held", "logged-out", "added", "removed")
    assert all(knows(f"attempt_{outcome}") for outcome in outcomes)
