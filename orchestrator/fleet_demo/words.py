"""What the fleet's demo says, in English and Japanese."""

from __future__ import annotations

from energy.language import Language, Phrases, phrase

_WORDS: Phrases = {
    "title": ("What was done to the fleet", "蓄電池群に起こした障害"),
    "time": ("time", "時刻"),
    "what": ("what", "内容"),
    "overfull": (
        "{site}: its battery shows a state of charge of 140 %",
        "{site}: 蓄電池の充電率が140 %と表示された",
    ),
    "mended": ("{site}: its battery is mended", "{site}: 蓄電池を修復した"),
    "killed": ("{site}: its daemon is killed", "{site}: 制御プログラムを強制終了した"),
    "started": ("{site}: its daemon is started again", "{site}: 制御プログラムを再起動した"),
    "broker_killed": ("the broker is killed", "ブローカーを強制終了した"),
    "broker_started": (
        "the broker is started again, and all sites have found it",
        "ブローカーを再起動し、全拠点が再接続した",
    ),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)
