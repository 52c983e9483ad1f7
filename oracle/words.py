"""What the terminal's commands say, in English and Japanese."""

from __future__ import annotations

from energy.language import Language, Phrases, phrase

_WORDS: Phrases = {
    "enrol": (
        "address to enrol for site {site}: {address}",
        "庁舎{site}として登録するアドレス: {address}",
    ),
    "go_on": (
        "next: describe the devices in {settings}, then yui oracle probe and yui oracle run",
        "次に: {settings}に機器を記入し、yui oracle probe、yui oracle run の順に実行",
    ),
    "asking": ("asking unit {unit} of {address}", "{address}のユニット{unit}に照会中"),
    "waits": ("{slot}: waits to be sent", "{slot}: 送信待ち"),
    "corrected": (
        "{slot}: revision {revision} waits to be sent",
        "{slot}: 第{revision}回訂正が送信待ち",
    ),
    # What a device answers.
    "unit_title": ("{where} unit {number}", "{where} ユニット{number}"),
    "model": ("model", "モデル"),
    "point": ("point", "項目"),
    "value": ("value", "値"),
    "unit": ("unit", "単位"),
    "other_models": ("other models: {models}", "読まないモデル: {models}"),
    "silent": ("unit {number}: {reason}", "ユニット{number}: {reason}"),
    # What the terminal holds.
    "last_sample": (
        "last sample: {when}; readings: {tally}",
        "最終計測: {when}、計量値: {tally}",
    ),
    "none": ("none", "なし"),
    "tally": ("{number} {state}", "{state}{number}件"),
    "comma": (", ", "、"),
    "latest": ("latest half hours (Wh)", "直近の時間帯(Wh)"),
    "refused_title": ("refused by the chain", "チェーンが拒否した計量値"),
    "waiting": ("waiting for a device to tell: {slots}", "機器の応答待ち: {slots}"),
    "absent": ("no reading of {slot}: {why}", "{slot}の計量値なし: {why}"),
    "wrong": ("what went wrong, last day", "直近1日の異常"),
    "from": ("from", "開始"),
    "until": ("until", "終了"),
    "samples": ("samples", "計測回数"),
    "at": ("at", "箇所"),
    "kind": ("kind", "種別"),
    "what": ("what", "内容"),
    "half_hour": ("half hour", "時間帯"),
    "imported": ("imported", "受電"),
    "exported": ("exported", "送電"),
    "generated": ("generated", "発電"),
    "charged": ("charged", "充電"),
    "discharged": ("discharged", "放電"),
    "stored": ("stored", "残量"),
    "quality": ("quality", "品質"),
    "state": ("state", "状態"),
    "remark": ("remark", "備考"),
    "revision": (" r{number}", " 訂正{number}"),
    "late": ("{state}, late", "{state}(期限後)"),
    "made": ("made", "作成済"),
    "sent": ("sent", "送信済"),
    "final": ("final", "確定"),
    "refused": ("refused", "拒否"),
    "measured": ("measured", "実測"),
    "interpolated": ("interpolated", "補間"),
    "integrated": ("integrated", "積算"),
    "reconciled": ("reconciled", "調整"),
    "partial": ("partial", "一部欠測"),
    "assumed": ("assumed", "推定"),
    # The simulated site.
    "stage": (
        "meter 1, inverter 2, battery 3 at {where}; type help for faults",
        "{where}で応答中(1: 計量器、2: インバーター、3: 蓄電池)。helpと入力すると故障の一覧",
    ),
    "pulled": ("pulled", "ケーブルを全て抜いた"),
    "plugged": ("plugged", "ケーブルを挿し直した"),
    "slow": ("slow: {seconds} s", "slow: {seconds}秒"),
    "jumped": ("jumped {seconds} s", "{seconds}秒進めた"),
    "stands": (
        "imported {imported} exported {exported} generated {generated} charged {charged} "
        "discharged {discharged} stored {stored} Wh; faults: {faults}",
        "受電 {imported} 送電 {exported} 発電 {generated} 充電 {charged} 放電 {discharged} "
        "残量 {stored} Wh、故障: {faults}",
    ),
    "help": (
        """\
UNIT is {units} or all.
  UNIT FAULT       be faulty: {faults}
  UNIT ok          be well again
  UNIT replace WH  be another device, whose counters show so much
  slow SECONDS     how late a slow unit answers
  jump SECONDS     let so much time pass at once
  pull             stop the server: all cables out
  plug             start it again
  show             say how things stand""",
        """\
UNITは{units}のいずれか、またはall(全て)。
  UNIT FAULT       故障させる: {faults}
  UNIT ok          復旧させる
  UNIT replace WH  別の機器に交換する(積算値はWHから)
  slow SECONDS     slowの機器が応答するまでの秒数
  jump SECONDS     時刻を一度に進める秒数
  pull             サーバーを止める(ケーブルを全て抜く)
  plug             再び動かす
  show             現在の状態を表示する""",
    ),
}
KINDS: Phrases = {
    "no-answer": ("no-answer", "応答なし"),
    "garbage": ("garbage", "応答が不正"),
    "exception-code": ("exception-code", "例外応答"),
    "not-implemented": ("not-implemented", "未実装"),
    "declined": ("declined", "要求を拒否"),
    "implausible": ("implausible", "異常値"),
    "clock-step": ("clock-step", "時計の飛び"),
    "clock-back": ("clock-back", "時刻の逆行"),
    "counter-zero": ("counter-zero", "積算値がゼロに戻った"),
    "counter-replaced": ("counter-replaced", "計器の交換"),
    "counter-jump": ("counter-jump", "積算値の飛び"),
    "counter-stuck": ("counter-stuck", "積算値の停止"),
    "low-funds": ("low-funds", "残高不足"),
}
"""What can be wrong with a sample, by the kind of the incident."""


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)


def say_kind(language: Language, kind: str) -> str:
    """Return an incident's kind in a language; one that another release kept stays as it is.

    >>> say_kind(Language.JAPANESE, "clock-back"), say_kind(Language.JAPANESE, "of-old")
    ('時刻の逆行', 'of-old')
    """
    return phrase(KINDS, language, kind) if kind in KINDS else kind
