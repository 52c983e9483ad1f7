"""What the fleet's commands say, in English and Japanese."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.words import Language, phrase

_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Fleet {name}: {alive} of {all} sites alive", "{name}: {all}拠点中{alive}拠点が稼働"),
    "site": ("Site", "拠点"),
    "municipality": ("Municipality", "市町村"),
    "kind": ("Type", "種別"),
    "standing": ("State", "状態"),
    "charge": ("Charge %", "充電率(%)"),
    "battery": ("Battery kW", "蓄電池(kW)"),
    "target": ("Target kW", "指令値(kW)"),
    "solar": ("Solar kW", "太陽光(kW)"),
    "imported": ("Import kW", "受電(kW)"),
    "following": ("Following", "動作"),
    "alarms": ("Alarms", "警報"),
    "age": ("Age s", "経過(秒)"),
    "alive": ("alive", "稼働"),
    "lost": ("lost", "通信断"),
    "unheard": ("never heard", "未接続"),
    "out": ("out of dispatch", "制御対象外"),
    "override": ("override", "現地操作"),
    "call": ("call", "調整力発動"),
    "command": ("command", "指令"),
    "plan": ("plan", "計画"),
    "self": ("self-consumption", "自家消費"),
    "stop": ("stop", "停止"),
    "charge_action": ("charge", "充電"),
    "discharge": ("discharge", "放電"),
    "hold": ("hold", "待機"),
    "limit": ("limit", "出力制限"),
    "resume": ("resume", "再開"),
    "wish": ("{action}{power}{span} at {count} sites", "{count}拠点に{action}{power}{span}を指令"),
    "power": (" with {kw:g} kW", " {kw:g} kW"),
    "span": (" for {span}", "({span})"),
    "dry": ("Dry run: nothing was sent.", "確認のみ: 送信していない。"),
    "confirm": ("Send it?", "送信するか"),
    "outcome": ("Result", "結果"),
    "why": ("Why", "理由"),
    "answered": ("Answered s", "応答(秒)"),
    "changed": ("Power changed s", "出力変化(秒)"),
    "taken": ("taken", "受諾"),
    "refused": ("refused", "拒否"),
    "open": ("no answer", "応答なし"),
    "expired": ("expired", "期限切れ"),
    "sum": (
        "{taken} taken, {refused} refused, {open} without an answer; {seconds:.1f} s",
        "受諾{taken}、拒否{refused}、応答なし{open}({seconds:.1f}秒)",
    ),
    "unanswered": (
        "What has no answer stays open until it expires; `yui vpp room` sends it again.",
        "応答のない指令は期限まで有効。`yui vpp room` が再送する。",
    ),
    "skipped": (
        "{count} sites were left out: their state of charge is not known.",
        "{count}拠点は充電率が不明のため対象外。",
    ),
    "nobody": ("No site is meant.", "該当する拠点がない。"),
    # The fleet's files and certificates.
    "made": (
        "{folder}: fleet {name}, {count} sites, signed by {signer}",
        "{folder}: 蓄電池群{name}、{count}拠点、署名鍵 {signer}",
    ),
    "broker": ("broker: mosquitto -c {settings}", "ブローカー: mosquitto -c {settings}"),
    "carry": (
        "sites: carry each folder of {folder} to its site",
        "拠点: {folder}内の各フォルダーを該当拠点へ運ぶ",
    ),
    "off_line": (
        "keep {folder} off line: it is needed for certificates alone",
        "{folder}はオフラインで保管する(証明書の発行にだけ使う)",
    ),
    "revoked": ("{name}: revoked", "{name}: 失効済み"),
    "renewed": (
        "{name}: renewed for {days} days; carry {place} to the site",
        "{name}: {days}日間有効な証明書に更新した。{place}を拠点へ運ぶ",
    ),
    "restart_broker": (
        "restart the broker: it reads its list of revoked certificates when it starts",
        "ブローカーを再起動する(失効リストは起動時に読み込まれる)",
    ),
    "good_until": (
        "{name}: until {until}, {days} days{hint}",
        "{name}: {until}まで({days}日){hint}",
    ),
    "renew": (
        ", renew it: yui fleet certificate --site {site}",
        "、要更新: yui fleet certificate --site {site}",
    ),
    "trail": ("Audit trail", "監査記録"),
    "number": ("No.", "番号"),
    "at": ("When", "日時"),
    "event": ("What", "事象"),
    "said": ("Said", "内容"),
    "hash": ("Hash", "ハッシュ"),
    "sound": (
        "The trail is whole: {entries} entries, head {head}",
        "監査記録は完全: {entries}件、先頭ハッシュ {head}",
    ),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)
