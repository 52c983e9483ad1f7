"""What is said of balancing calls, in English and Japanese."""

from __future__ import annotations

from orchestrator.words import Language

_WORDS = {
    "title": ("Call {name}: {state}", "調整指令 {name}: {state}"),
    "accepted": ("accepted", "受付済み"),
    "running": ("running", "実施中"),
    "ended": ("ended", "終了"),
    "cancelled": ("cancelled", "取消"),
    "up": ("up: more from the fleet", "上げ(放電増・受電減)"),
    "down": ("down: less from the fleet", "下げ(充電増・受電増)"),
    "direction": ("Direction", "方向"),
    "time": ("Time", "時間"),
    "asked_at_most": ("Asked, at most", "指令量(最大)"),
    "sites": ("Sites", "拠点数"),
    "came": ("Came by, notice", "受付経路・予告時間"),
    "answers": ("Instructions / taken / refused / silent", "指示/受諾/拒否/無応答"),
    "slowest": ("Slowest answer", "最も遅い応答"),
    "first_change": ("First change of power after", "出力変化まで"),
    "reached": ("{percent} delivered after (due after)", "{percent}到達まで(応動時間)"),
    "basis": ("Paid by", "精算の基準"),
    "meter": ("baseline at the meter (High 4 of 5)", "受電点ベースライン(High 4 of 5)"),
    "plan": ("the battery's plan", "蓄電池の計画"),
    "asked": ("asked", "指令量"),
    "asked_all": ("Asked", "指令量"),
    "delivered_all": ("Delivered", "実績"),
    "from": ("from", "開始"),
    "to": ("to", "終了"),
    "paid": ("Paid, less penalties", "支払額(違約控除後)"),
    "penalties": ("Penalties", "違約金"),
    "settled": ("Every half hour is measured", "全コマ計量済み"),
    "open": (
        "{count} of {all} site half hours are not measured yet",
        "{all}コマ中{count}コマが未計量",
    ),
    "half_hours": ("Half hours", "30分コマ"),
    "half_hour": ("half hour", "時間帯"),
    "by_site": ("Sites", "拠点別"),
    "site": ("site", "拠点"),
    "by_meter": ("by meter", "受電点基準"),
    "by_plan": ("by plan", "計画基準"),
    "missing": ("missing", "不足"),
    "energy_pay": ("energy JPY", "電力量料金(円)"),
    "ready_pay": ("standing ready JPY", "待機料金(円)"),
    "penalty_pay": ("penalty JPY", "違約金(円)"),
    "paid_pay": ("paid JPY", "支払額(円)"),
    "baseline": ("baseline", "ベースライン"),
    "actual": ("was", "実測"),
    "days": ("days averaged", "採用日"),
    "adjustment": ("same-day adjustment", "当日調整"),
    "minutes": ("Minutes", "1分値"),
    "minute": ("minute", "時刻"),
    "reporting": ("sites reporting", "報告拠点数"),
    "name": ("call", "指令"),
    "state": ("state", "状態"),
    "journal": ("What happened", "経過"),
    "event": ("event", "事象"),
    "detail": ("detail", "内容"),
    "at": ("at", "時刻"),
    "shares": ("Who serves it", "分担"),
    "together": ("Together", "合計"),
    "offer": ("What can be offered now, {minutes} minutes", "現在の供出可能量({minutes}分)"),
    "municipality": ("municipality", "自治体"),
    "none": ("No calls.", "調整指令はありません。"),
    "received": ("received", "受付"),
    "split": ("split", "配分"),
    "fault": ("fault", "異常"),
    "recovered": ("recovered", "回復"),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    english, japanese = _WORDS[word]
    return (japanese if language is Language.JAPANESE else english).format(**values)
