"""What `yui orchestrator` says, in English and Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy.japanese import in_language
from orchestrator.dates import moment
from orchestrator.service.alerts import NAMES
from orchestrator.words import Language, Phrases, phrase

_WORDS: Phrases = {
    "payer": ("address that pays for gas: {address}", "ガス代を払うアドレス: {address}"),
    "go_on": (
        "next: fund it, then yui orchestrator check --settings {settings}",
        "次に: このアドレスに入金し、yui orchestrator check --settings {settings} を実行",
    ),
    "ok": ("ok    {what}: {said}", "良好  {what}: {said}"),
    "wrong": ("WRONG {what}: {said}", "異常  {what}: {said}"),
    "key": ("key", "鍵"),
    "node": ("node", "ノード"),
    "second": ("second node", "2台目のノード"),
    "store": ("store", "記録"),
    "inbox": ("inbox", "受付箱"),
    "to_be_made": ("not there yet; run makes it", "まだない(runで作成)"),
    "older": ("opens; run brings it up to date", "開ける(runで最新の形式に更新)"),
    "wait": ("{count} orders wait", "待機中の注文{count}件"),
    "sites": ("sites", "施設ファイル"),
    "agent": ("agent of site {site}", "庁舎{site}のエージェント"),
    "opens": ("opens", "開ける"),
    "has": (
        "{address} has {coins:g} coins; market {market}",
        "{address}の残高 {coins:g}コイン、市場 {market}",
    ),
    "block": ("block {block}", "ブロック{block}"),
    "count": ("{count} of them", "{count}庁舎"),
    "no_inbox": ("block {block}, the inbox does not answer", "ブロック{block}、受付箱が応答しない"),
    "waiting": ("block {block}, {count} orders wait", "ブロック{block}、待機中の注文{count}件"),
    "alert": (
        "{name}: {meaning}. {about}: {details}; since {since}",
        "{name}: {meaning}。{about}: {details}({since}から)",
    ),
    "site": ("site", "庁舎"),
    "slot": ("slot", "コマ"),
    "healthy": ("healthy", "正常"),
    "alerts": ("{count} alerts", "警報{count}件"),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)


def alert_line(language: Language, alert: Mapping[str, Any]) -> str:
    """Return an alert as a service tells of it, in a language.

    >>> told = {"name": "settlement-late", "about": "slot 7", "details": "x", "since": 0}
    >>> alert_line(Language.JAPANESE, told)
    'settlement-late: 精算できるコマが精算されていない。コマ7: x(1970-01-01 09:00:00から)'
    """
    about, space, number = str(alert["about"]).partition(" ")
    if about in _WORDS:
        space = "" if language is Language.JAPANESE else space
        about = say(language, about)
    return say(
        language,
        "alert",
        name=alert["name"],
        meaning=in_language(language, NAMES.get(alert["name"], alert["name"])),
        about=f"{about}{space}{number}",
        details=in_language(language, alert["details"]),
        since=moment(alert["since"]),
    )
