"""What `yui network` says, in English and Japanese."""

from __future__ import annotations

from orchestrator.words import Language, Phrases, phrase

_WORDS: Phrases = {
    "hand_out": (
        "{file}: hand it out. Validator {validator}.",
        "{file}: 他のメンバーに渡す。検証者 {validator}。",
    ),
    "off_line": (
        "{file} and council.passphrase sign for the council: off line.",
        "{file}とcouncil.passphraseは評議会の署名用。ネットワークから切り離して保管する。",
    ),
    "created": (
        "{network}: chain {chain}, {members} members, final {depth} blocks deep, council {safe} "
        "({threshold} of {members} sign)",
        "{network}: チェーン{chain}、メンバー{members}、{depth}ブロックで確定、評議会{safe}"
        "({members}名中{threshold}名が署名)",
    ),
    "genesis": ("SHA-256 of genesis.json: {hash}", "genesis.jsonのSHA-256: {hash}"),
    "joined": ("nodes joined: {done} of {total}", "接続したノード: {done} / {total}"),
    "up": (
        "{name}: process {process}, {url}, block {block}",
        "{name}: プロセス{process}、{url}、ブロック{block}",
    ),
    "warning": ("warning: {said}", "注意: {said}"),
    "own": (
        "{folder}: chain {chain}, {peers} peers. `yui network run {folder}` runs it; "
        "yui-validator.service and compose.yaml are beside.",
        "{folder}: チェーン{chain}、相手ノード{peers}。`yui network run {folder}` で動かす。"
        "同じ場所にyui-validator.serviceとcompose.yamlがある。",
    ),
    "knows": (
        "{who} knows {name} at {host}:{port}",
        "{who}は{name}({host}:{port})を知っている",
    ),
    "votes": (
        "{when}: block {block}, {count} validators: {names}",
        "{when}: ブロック{block}、検証者{count}: {names}",
    ),
    "before": ("before", "投票前"),
    "after": ("after", "投票後"),
    "passed": (
        "passed; a block is final {depth} blocks deep",
        "可決。ブロックは{depth}段で確定する",
    ),
    "not_passed": (
        "{votes} votes of {needed} needed: others must vote",
        "必要な{needed}票のうち{votes}票: 他のメンバーの投票が要る",
    ),
    "renewed": (
        "{count} validators, final {depth} blocks deep",
        "検証者{count}、{depth}ブロックで確定",
    ),
    "paid": ("{name} has {coins:,.3f} coins", "{name}の残高 {coins:,.3f}コイン"),
    "status": (
        "{name}: chain {chain}, final {depth} blocks deep",
        "{name}: チェーン{chain}、{depth}ブロックで確定",
    ),
    "member": ("member", "メンバー"),
    "process": ("process", "プロセス"),
    "seen": ("seen", "最新"),
    "final": ("final", "確定"),
    "peers": ("peers", "相手"),
    "seals": ("seals", "生成"),
    "of_last": ("of last 64", "64中"),
    "hash": ("hash", "ハッシュ"),
    "yes": ("yes", "はい"),
    "no": ("no", "いいえ"),
    "down": ("down", "停止"),
    "few": (
        "{sealing} validators run, and blocks need {depth}",
        "動作中の検証者は{sealing}、ブロックの生成には{depth}が要る",
    ),
    "differs": (
        "{name}: {sealing} validators seal, and the profile knows {known}: `yui network refresh` "
        "renews it",
        "{name}: 検証者は実際{sealing}、設定{known}: `yui network refresh` で更新する",
    ),
    "still_votes": ("{name} still votes: {votes}", "{name}は投票を続けている: {votes}"),
    "funds": ("Funds", "ガス代の残高"),
    "account": ("account", "口座"),
    "address": ("address", "アドレス"),
    "coins": ("coins", "コイン"),
    "transactions": ("transactions", "取引件数"),
    "days": ("days", "残り日数"),
    "low": ("LOW", "不足"),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)
