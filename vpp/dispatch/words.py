"""What the battery's commands say, in English and Japanese."""

from __future__ import annotations

from energy.language import Language, Phrases, phrase

_WORDS: Phrases = {
    "go_on": (
        "next: describe the devices in {path}, then yui vpp check and yui vpp run",
        "次に: {path}に機器を記入し、yui vpp check、yui vpp run の順に実行",
    ),
    "let_go": ("let go: self-consumption", "制御を解除した: 自家消費で運転"),
    "still_stopped": (
        "stopped: it stays so until it is released",
        "停止中: 解除(release)するまで停止のまま",
    ),
    "stopped": (
        "stopped, within the second; yui vpp override release ends it",
        "1秒以内に停止する。yui vpp override release で解除",
    ),
    "stopped_now": (
        "stopped, on the device itself: no yui vpp run is there; release ends it at its next run",
        "機器を直接停止した(yui vpp run は動いていない)。解除(release)は次の起動時に効く",
    ),
    "released": ("released", "解除した"),
    "released_later": (
        "released: yui vpp run will know it",
        "解除した。yui vpp run の起動時に効く",
    ),
    "taken_over": ("override: {power} W {until}{when}", "現地操作: {power} W、{until}{when}"),
    "until_released": ("until it is released", "解除するまで"),
    "minutes": ("for {minutes:g} minutes", "{minutes:g}分間"),
    "once_run": (" (once yui vpp run is there)", "(yui vpp run の起動後)"),
    "stop_stays": (
        "the stop stays until yui vpp override release",
        "停止は yui vpp override release まで続く",
    ),
    # How a site stands.
    "on_disk": (
        "no yui vpp run answers; this is what is on disk",
        "yui vpp run が応答しないため、保存済みの状態を表示",
    ),
    "kept_sequence": ("sequence", "最後の指令番号"),
    "kept_stopped": ("stopped", "停止"),
    "kept_stopped_here": ("stopped_here", "現地での停止"),
    "kept_override_w": ("override_w", "現地操作(W)"),
    "kept_told": ("told", "受けた指令"),
    "kept_planned_half_hours": ("planned_half_hours", "計画済みコマ数"),
    "True": ("True", "あり"),
    "False": ("False", "なし"),
    "alarm": ("alarm  {said}", "警報  {said}"),
    "trouble": ("trouble  {said}", "異常  {said}"),
    "half_hours": (
        "half hours (Wh out of the battery)",
        "時間帯別の放電電力量(Wh、充電は負)",
    ),
    "half_hour": ("half hour", "時間帯"),
    "planned": ("planned", "計画"),
    "called": ("called", "発動指令"),
    "delivered": ("delivered", "実績"),
    "missed": ("missed", "差"),
    "partly": (" (partly)", "(一部)"),
    "site": ("site", "庁舎"),
    "follows": ("follows", "動作"),
    "set-point": ("set-point", "設定値"),
    "no_set_point": ("none: self-consumption", "なし(自家消費)"),
    "target": ("target", "目標"),
    "battery": ("battery", "蓄電池"),
    "stored": ("stored", "残量"),
    "imported": ("from the network", "受電"),
    "generated": ("generated", "発電"),
    "room": ("room", "余力"),
    "room_is": (
        "charge {charge} W, discharge {discharge} W",
        "充電 {charge} W、放電 {discharge} W",
    ),
    "this_half_hour": ("this half hour", "このコマ"),
    "of_planned": ("{delivered:.0f} of {planned} Wh", "{delivered:.0f} Wh(計画 {planned} Wh)"),
    "stored_of": ("{stored} of {capacity} Wh", "{capacity} Wh中 {stored} Wh"),
    "ages": ("ages", "計測からの経過"),
    "age": ("{name} {age} s", "{name} {age}秒"),
    "comma": (", ", "、"),
    "meter": ("meter", "計量器"),
    "inverter": ("inverter", "インバーター"),
    "commands": ("commands", "指令回数"),
    "last_hour": ("{count} in the last hour", "直近1時間に{count}回"),
    # What a check found.
    "holds": ("holds", "保持中の設定値"),
    "revert_timer": ("revert timer", "復帰タイマー"),
    "ranges": ("ranges", "範囲での指令"),
    "yes": ("yes", "あり"),
    "no": ("no", "なし"),
    "can": ("yes", "可"),
    "one_power": ("no: one power", "不可(単一の出力)"),
    "would": ("would", "起動時の動作"),
    "would_leave": ("leave it to itself", "制御せず自家消費に任せる"),
    "would_set": ("set {setpoint}", "{setpoint}に設定する"),
    "would_nothing": (
        "nothing: the device is out of dispatch",
        "何もしない(機器は制御対象外)",
    ),
    # What is followed, and what was told.
    "out": ("out", "制御対象外"),
    "stop": ("stop", "停止"),
    "override": ("override", "現地操作"),
    "call": ("call", "調整力発動"),
    "command": ("command", "指令"),
    "plan": ("plan", "計画"),
    "self": ("self", "自家消費"),
    "charge": ("charge", "充電"),
    "discharge": ("discharge", "放電"),
    "hold": ("hold", "待機"),
    "limit": ("limit", "出力制限"),
    "resume": ("resume", "再開"),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)
