"""What the program says, in English and Japanese."""

from __future__ import annotations

from datetime import date

from energy.language import Language, Phrases, phrase
from energy.units import day_of, half_hour

__all__ = ["Language", "Phrases", "phrase", "say", "say_day", "say_slot", "say_span", "short"]

_WORDS = {
    "statement": ("Statement of {site}, {day}", "{site} 電力消費・供給元証明 {day}"),
    "consumed_at": ("Consumed", "消費日時"),
    "consumption": ("kWh", "消費量(kWh)"),
    "source": ("Supplied by", "電力供給元"),
    "origin_site": ("Generated at", "発電地"),
    "generated_at": ("Generated", "発電日時"),
    "generation": ("kWh", "発電量(kWh)"),
    "through": ("Through battery", "経由蓄電池"),
    "GENERATION": ("solar", "太陽光"),
    "own": ("own solar", "自家太陽光"),
    "office": ("another office", "他庁舎の太陽光"),
    "GRID": ("utility", "電力会社"),
    "INITIAL": ("battery's first stock", "蓄電池の初期残量"),
    "UNEXPLAINED": ("unexplained", "不明"),
    "battery_of": ("battery of {site}", "{site}の蓄電池"),
    "plan_title": ("Plan for {site}, {day}", "{site} 運転計画 {day}"),
    "plan_does": ("What the battery does", "蓄電池の運転"),
    "plan_hours": ("Time", "時刻"),
    "plan_way": ("it", "動作"),
    "plan_energy": ("kWh", "電力量(kWh)"),
    "plan_stored_after": ("stored then", "その後の残量"),
    "plan_rests": ("rests", "待機"),
    "plan_money": ("What it costs, JPY", "費用(円)"),
    "plan_day": ("the day", "当日"),
    "plan_both": ("with the next", "翌日まで"),
    "plan_without": ("without battery", "蓄電池なし"),
    "plan_bill": ("Bill", "電気料金"),
    "plan_purchases": ("  bought", "  買電"),
    "plan_sales": ("  sold", "  売電"),
    "plan_demand": ("  demand charge", "  基本料金(デマンド)"),
    "plan_reserve": ("  reserve", "  調整力"),
    "plan_wear": ("Battery wear", "蓄電池の劣化"),
    "plan_stored_value": ("Value of what is left in it", "残量の価値"),
    "plan_total": ("Together", "合計"),
    "plan_saves": (
        "Over both days the battery saves {saved} JPY, less its wear and what was in it. ",
        "2日間で蓄電池は、劣化と初めの残量を差し引いて{saved}円を節約する。",
    ),
    "plan_proof": (
        "No plan is cheaper by more than {gap} JPY ({by}).",
        "これより{gap}円を超えて安い計画はない({by})。",
    ),
    "plan_safe": ("The safe rule stands in for a plan.", "計画が得られず、安全則で代行している。"),
    "plan_most": ("at most {value} {unit}", "最大 {value} {unit}"),
    "plan_price": ("price", "買電単価"),
    "plan_load": ("load", "負荷"),
    "plan_pv": ("solar", "太陽光"),
    "plan_charge": ("charge", "充電"),
    "plan_discharge": ("discharge", "放電"),
    "plan_stored": ("stored", "残量"),
    "plan_stored_worth": ("a stored kWh's value", "蓄電1 kWhの価値"),
    "plan_imported": ("import", "買電"),
    "plan_exported": ("export", "売電"),
    "plan_quote": ("order", "注文"),
    "plan_ask": ("sell {energy} kWh at {price}", "売り {energy} kWh、{price}円"),
    "plan_bid": ("buy {energy} kWh at {price}", "買い {energy} kWh、{price}円"),
    "plan_why": ("why", "理由"),
    "plan_worth": ("worth here", "受電点の価値"),
    "plan_value": ("worth stored", "残量の価値"),
    "plan_below": ("charge <", "充電 <"),
    "plan_above": ("discharge >", "放電 >"),
    "plan_how": (
        "'Worth here' is what one kWh more at the meter would save in the half hour, 'worth "
        "stored' what one more in the battery would. The battery charges while a kWh here is worth "
        "less than 'charge <', discharges while it is worth more than 'discharge >', and rests in "
        "between: a price beyond either would change the plan. Where the two are equal, a little "
        "more or less costs the same.",
        "「受電点の価値」はその時間帯に受電点で1 kWh増えた場合の節約額、「残量の価値」は蓄電池内で"
        "1 kWh増えた場合の節約額。受電点の価値が「充電 <」を下回れば充電、「放電 >」を上回れば"
        "放電、その間は待機する。いずれかを越えれば計画が変わる。等しいときは多少増減しても費用は同じ。",
    ),
    "plan_breaches": ("Limits that no plan could keep", "守れなかった制限"),
    "plan_limit": ("limit", "制限"),
    "plan_amount": ("by kWh, kW", "超過量(kWh, kW)"),
    "plan_steering": ("steering, JPY (on no bill)", "制御上の評価(円、請求外)"),
    "limit_least stored energy": ("least stored energy", "残量の下限"),
    "limit_most stored energy": ("most stored energy", "残量の上限"),
    "limit_import limit": ("import limit", "受電の上限"),
    "limit_export limit": ("export limit", "逆潮流の上限"),
    "limit_energy called for": ("energy called for", "発動指令の電力量"),
    "limit_energy called for, exceeded": ("energy called for, exceeded", "発動指令の超過"),
    "limit_reserve sold, upward": ("reserve sold, upward", "約定済み調整力(上げ)"),
    "limit_reserve sold, downward": ("reserve sold, downward", "約定済み調整力(下げ)"),
    "plan_no_past": (
        "No past, no forecast: planned as if nothing were used or generated.",
        "実績がなく予測できないため、負荷も発電もないものとして計画した。",
    ),
    "plan_short_past": (
        "The forecast rests on {days} days of the past.",
        "予測は過去{days}日分の実績による。",
    ),
    "plan_forecast": (
        "Forecast from past days, without a weather report: solar {pv} kWh on the day, {low} to "
        "{high} on the days before.",
        "過去の実績による予測(天気予報は使わない)。"
        "当日の太陽光 {pv} kWh、これまでの実績 {low}〜{high} kWh。",
    ),
    "plan_unknown_price": (
        "The price is not known in {count} of {slots} half hours, from {when} on: taken from the "
        "other day, else from the utility's tariff.",
        "{slots}コマ中{count}コマ({when}以降)の単価は未公表のため、"
        "もう一方の日、なければ電力会社の単価で補った。",
    ),
    "plan_next_forecast": (
        "The next day's prices are not published yet: they are forecast.",
        "翌日の価格は未公表のため、予測による。",
    ),
    "tier_utility": ("utility", "買電単価"),
    "tier_utility, sold": ("utility, sold", "売電単価"),
    "tier_book, bought": ("book, bought", "市場(買い)"),
    "tier_book, sold": ("book, sold", "市場(売り)"),
    "per_kwh": ("JPY/kWh", "円/kWh"),
    "why_SURPLUS": ("stores surplus sun", "余剰太陽光を蓄電"),
    "why_OWN_USE": ("instead of buying", "買電の代わり"),
    "why_SPREAD": ("price spread pays", "価格差で得をする"),
    "why_PEAK": ("keeps the peak down", "ピーク抑制"),
    "why_RESERVE": ("holds reserve", "調整力の確保"),
    "why_LIMIT": ("keeps to the connection", "受電容量の制約"),
    "why_CALL": ("answers a call", "発動指令"),
    "why_WEAR": ("more is not worth the wear", "これ以上は劣化に見合わない"),
    "why_FULL": ("full", "満充電"),
    "why_EMPTY": ("empty", "放電しきった"),
    "why_POWER": ("at its full power", "出力上限"),
    "why_NO_SPREAD": ("prices too near each other", "価格差が小さい"),
    "why_EITHER": ("as good at another time", "他の時間帯でも同じ"),
    "why_RULE": ("self-consumption", "自家消費"),
    "day_title": ("{day}: {mode}", "{day} {mode}"),
    "ahead": ("orders close ahead of the slot", "事前入札"),
    "after-metering": ("orders close after metering", "事後入札(仮想取引所)"),
    "statement_of": ("Statement of origin: {site}", "電力供給元証明書 {site}"),
    "renewable": ("renewable", "再生可能エネルギー"),
    "region_share": ("of the region's own offices", "地域内(県内合同庁舎)発電"),
    "through_share": ("through a battery", "蓄電池経由"),
    "loss_share": ("lost in batteries on the way", "蓄電池損失(別途)"),
    "cost_bought": ("Bought from offices", "庁舎間購入"),
    "cost_sold": ("Sold to offices", "庁舎間売却"),
    "cost_fees": ("Network fees", "系統利用料"),
    "cost_rest": ("Utility and pool", "電力会社・プール精算"),
    "cost_corrections": ("Corrections", "訂正"),
    "page_energy": ("kWh", "電力量(kWh)"),
    "page_rows": ("Origin of the energy used", "消費電力の供給元"),
    "page_totals": ("Totals", "合計"),
    "page_costs": ("Costs, JPY", "料金内訳(円)"),
    "page_roots": ("Root of each day's rows", "日別ルート(証明の根)"),
    "page_leaf": ("Leaf", "証明の葉"),
    "page_rule": (
        "Each row has a proof against its day's root, which the offices' oracles attest on the "
        "chain. Nobody's word is needed: yui audit recomputes all of it.",
        "各明細は日別ルートに対する証明を持ち、ルートは各庁舎の計量端末がチェーン上で認証する。"
        "yui audit により誰でも全件を再計算できる。",
    ),
    "no_reading": ("no reading", "計量値なし"),
    "unread_slots": (
        "{count} half hours have no reading of this office: they have no rows.",
        "計量値のない時間帯が{count}コマあり、明細は無い。",
    ),
    "open_slots": (
        "{count} half hours are not final yet.",
        "未確定の時間帯が{count}コマある。",
    ),
    "went_to": ("Where the energy of {site} went, {day}", "{site} 発電電力の行き先 {day}"),
    "end": ("End", "用途"),
    "end_used": ("used", "消費"),
    "end_lost": ("lost", "損失"),
    "end_utility": ("sold to the utility", "電力会社へ売電"),
    "end_unmetered": ("not metered", "未計量"),
    "end_held": ("held", "蓄電中"),
    "end_site": ("Office", "庁舎"),
    "end_at": ("When", "日時"),
    "roots": ("roots", "ルート"),
    "attestations": ("attestations", "認証"),
    "claims": ("claims", "償却"),
    "claimed_wh": ("Wh claimed", "償却量(Wh)"),
    "trace_use": ("{site} {when}: {energy} kWh used", "{site} {when}: 消費 {energy} kWh"),
    "trace_generation": (
        "{site} {when}: {energy} kWh generated",
        "{site} {when}: 発電 {energy} kWh",
    ),
    "trace_part": ("{energy} kWh: {source} {site} {when}", "{energy} kWh: {source} {site} {when}"),
    "trace_reading": (
        "reading of {site} {when}: {figures}; {quality}; block {block}, signed by {key}{signature}",
        "{site} {when}の計量値: {figures}; {quality}; ブロック{block}, 署名鍵 {key}{signature}",
    ),
    "trace_no_reading": ("no reading of {site} {when}", "{site} {when}の計量値なし"),
    "trace_trade": (
        "trade {seller} > {buyer} {when}: {energy} kWh at {price} JPY/kWh, delivered {delivered} "
        "kWh; block {block}",
        "取引 {seller} > {buyer} {when}: {energy} kWh、{price} 円/kWh、受渡 {delivered} kWh; "
        "ブロック{block}",
    ),
    "trace_order": (
        "order of {site}: {side} {energy} kWh at {price} JPY/kWh, number {sequence}; block "
        "{block}, signed by {key}{signature}",
        "{site}の注文: {side} {energy} kWh、{price} 円/kWh、第{sequence}号; ブロック{block}, "
        "署名鍵 {key}{signature}",
    ),
    "trace_pool": (
        "pool {seller} > {buyer} {when}: {energy} kWh; block {block}",
        "プール {seller} > {buyer} {when}: {energy} kWh; ブロック{block}",
    ),
    "trace_battery": (
        "through the battery of {site}: {energy} kWh drawn, {loss} kWh lost for it",
        "{site}の蓄電池経由: 放電 {energy} kWh、その損失 {loss} kWh",
    ),
    "trace_charged": (
        "charged at {site} {when}: {energy} kWh of this origin",
        "{site} {when}に充電: 当該由来 {energy} kWh",
    ),
    "trace_end": (
        "{energy} kWh {end}: {site} {when}{through}",
        "{energy} kWh {end}: {site} {when}{through}",
    ),
    "trace_end_through": (", through the battery of {site}", "、{site}の蓄電池経由"),
    "bid": ("bid", "買い"),
    "ask": ("ask", "売り"),
    "trades_title": ("Trades and flows of the day", "当日の取引と電力の流れ"),
    "slots_with_trades": ("Half hours with trades", "取引成立コマ数"),
    "traded": ("Traded", "取引量"),
    "delivered": ("delivered", "受渡量"),
    "pooled": ("Met in the pool", "プール融通量"),
    "average_price": ("Average price", "平均価格"),
    "battery_charged": ("Battery charged", "蓄電池充電量"),
    "battery_discharged": ("discharged", "放電量"),
    "generated": ("Generated", "発電量"),
    "used": ("Used", "消費量"),
    "self_sufficiency": (
        "Own solar and neighbours' cover",
        "太陽光自給率(自家+融通)",
    ),
    "money_title": ("Money of each office, JPY", "各庁舎の電気料金(円)"),
    "office_column": ("Office", "庁舎"),
    "imported": ("imported kWh", "買電(kWh)"),
    "exported": ("exported kWh", "売電(kWh)"),
    "without": ("without Yui", "結なし"),
    "with": ("with Yui", "結あり"),
    "gain": ("gain", "便益"),
    "total": ("Together", "合計"),
    "utility": ("Utility", "電力会社"),
    "network": ("Network (fees)", "送配電側(系統利用料)"),
    "see_pages": (
        "The day as pages, half hour by half hour: {command} --open",
        "この日をページで見る(30分ごとに再生): {command} --open",
    ),
    "go_on": ("next: {command}", "次に: {command}"),
    "served_pages": (
        "The day as pages, half hour by half hour:",
        "この日をページで見る(30分ごとに再生):",
    ),
    "watch_line": (
        "{when} {stage}: {orders} orders, {trades} trades, {kwh} kWh at {price} JPY/kWh",
        "{when} {stage}: 注文{orders}件、約定{trades}件、{kwh} kWh、{price} 円/kWh",
    ),
    "audit_fine": (
        "Audit: nothing wrong. {counts}",
        "監査: 異常なし。{counts}",
    ),
    "blocks": ("blocks", "ブロック"),
    "transactions": ("transactions", "トランザクション"),
    "refused": ("refused", "拒否"),
    "signatures": ("signatures", "署名"),
    "orders": ("orders", "注文"),
    "trades": ("trades", "約定"),
    "readings": ("readings", "計量値"),
    "missed": ("readings missed", "計量値欠測"),
    "corrections": ("corrections", "訂正"),
    "slots": ("slots", "コマ"),
    "flows": ("flows", "融通"),
    "origin_rows": ("origin rows", "供給元明細"),
    "balances": ("balances", "残高"),
    "half_hour": ("Half hour", "時間帯"),
    "price": ("JPY/kWh", "単価(円/kWh)"),
    "yen_per_kwh": ("{yen} JPY/kWh", "{yen} 円/kWh"),
    "how_money": (
        "Without Yui: the same meter readings, billed by the utility alone.",
        "結なし: 同じ計量値を電力会社とのみ精算した場合。",
    ),
    "receives": ("{who} receives {yen} JPY", "{who}の受取額 {yen}円"),
    "seller": ("Seller", "売り手"),
    "buyer": ("Buyer", "買い手"),
    "flows_matrix": (
        "Solar energy from office (row) to office (column), kWh; own use on the diagonal",
        "太陽光電力の流れ(行: 発電庁舎、列: 消費庁舎、kWh。対角は自家消費)",
    ),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)


def short(name: str) -> str:
    """Return an office's name without what all have in common.

    >>> short("大河原合同庁舎")
    '大河原'
    """
    return name.removesuffix("合同庁舎")


_WEEKDAYS = "月火水木金土日"


def say_day(language: Language, day: date) -> str:
    """Return a date as people write it.

    >>> say_day(Language.JAPANESE, date(2019, 6, 4)), say_day(Language.ENGLISH, date(2019, 6, 4))
    ('2019年6月4日(火)', 'Tue 4 June 2019')
    """
    if language is Language.JAPANESE:
        return f"{day.year}年{day.month}月{day.day}日({_WEEKDAYS[day.weekday()]})"
    return f"{day:%a} {day.day} {day:%B %Y}"


def say_slot(language: Language, slot: int) -> str:
    """Return a slot's date and half hour, as on the trial's statements."""
    day = day_of(slot)
    if language is Language.JAPANESE:
        return f"{day.year}年{day.month}月{day.day}日 {half_hour(slot)}"
    return f"{day:%Y-%m-%d} {half_hour(slot)}"


def say_span(language: Language, slots: range) -> str:
    """Return the half hour, the day or the days that some slots are.

    >>> say_span(Language.ENGLISH, range(866_430, 866_430 + 96))
    'Tue 4 June 2019 – Wed 5 June 2019'
    """
    first, last = slots[0], slots[-1]
    if first == last:
        return say_slot(language, first)
    if day_of(first) == day_of(last):
        return say_day(language, day_of(first))
    return f"{say_day(language, day_of(first))} – {say_day(language, day_of(last))}"
