"""What the pages say, in English and Japanese; what the command line says too is in its words."""

from __future__ import annotations

from datetime import date

from energy.units import day_of, half_hour
from orchestrator import words
from orchestrator.web.access import words as access_words
from orchestrator.web.reads import Ref
from orchestrator.web.words_fleet import FLEET_WORDS
from orchestrator.web.words_plant import PLANT_WORDS
from orchestrator.words import Language, short

_WORDS = {
    "yui": ("Yui", "結"),
    "tagline": ("electricity between neighbours", "庁舎間電力融通"),
    "skip": ("Skip to the content", "本文へ移動"),
    "pages": ("Pages", "ページ一覧"),
    "now": ("Now", "現在"),
    "slot": ("Half hour", "時間帯"),
    "site": ("Office", "庁舎"),
    "battery": ("Battery", "蓄電池"),
    "fleet": ("Fleet", "全拠点"),
    "audit": ("Audit", "監査"),
    "switch": ("日本語", "English"),
    "as_json": ("These numbers as JSON", "この数値をJSONで"),
    "api": ("OpenAPI description", "OpenAPI仕様"),
    "table": ("The numbers as a table", "数値を表で見る"),
    "record": ("Recorded", "記録"),
    "stop_renewing": ("Stop updates", "更新を止める"),
    "go_on_renewing": ("Go on updating", "更新を再開"),
    "live": ("Live", "最新"),
    "final": ("final", "確定"),
    "not_final": ("not final yet", "未確定"),
    "not_settled": ("not settled yet", "未精算"),
    "settled": ("settled", "精算済"),
    "none": ("none", "なし"),
    "hidden": (
        "The load of this office is shown to the office itself, operators and auditors.",
        "この庁舎の負荷の詳細は、当該庁舎・運用者・監査人にのみ表示される。",
    ),
    "day": ("Day", "日"),
    "month": ("Month", "月"),
    "show": ("Show", "表示"),
    "busiest": ("the busiest", "取引最多"),
    "steps": ("Half hour before and after", "前後の時間帯"),
    "before": ("Before", "前へ"),
    "after": ("After", "次へ"),
    "print": ("Statement to print", "証明書(印刷用)"),
    "csv": ("Statement as CSV", "証明書(CSV)"),
    "back": ("Back to the office", "庁舎のページへ戻る"),
    "covers": (
        "Of this, {first} to {last} is on record.",
        "このうち記録があるのは{first}~{last}。",
    ),
    "kwh": ("kWh", "kWh"),
    "jpy": ("JPY", "円"),
    "price_unit": ("JPY/kWh", "円/kWh"),
    "together": ("Together", "合計"),
    "replay": ("Replay of the day", "一日の再生"),
    "play": ("Play", "再生"),
    "pause": ("Pause", "停止"),
    "half_hour_of_day": ("Half hour of the day", "時間帯の選択"),
    # Now
    "to_slot": (
        "Half hour {half_hour}: order book, settlement, proof",
        "{half_hour}の注文板・精算・証明",
    ),
    "now_title": ("{day}, {half_hour}", "{day} {half_hour}"),
    "map": ("Map", "地図"),
    "map_title": ("Map of the offices and what flows between them", "庁舎と電力融通の地図"),
    "map_text": (
        "{offices} offices; {flows} flows of {kwh} kWh together. The table below has them all.",
        "庁舎{offices}か所、融通{flows}件、計{kwh} kWh。全件は下の表にある。",
    ),
    "map_source": (
        "Outline of Miyagi: svg-maps.com (CC BY 4.0), changed. Places to about a kilometre.",
        "宮城県の輪郭: svg-maps.com (CC BY 4.0、加工)。位置は約1 kmの精度。",
    ),
    "map_circle": (
        "Drawn as a circle: the sites file gives no places in Miyagi.",
        "拠点ファイルに宮城県内の位置がないため、円形に配置。",
    ),
    "arrow": ("{seller} to {buyer}: {kwh} kWh ({kind})", "{seller}→{buyer}: {kwh} kWh({kind})"),
    "delivery": ("delivered", "受渡"),
    "trade": ("traded", "約定"),
    "pool": ("pool", "プール"),
    "pool_how": (
        "Pool: what was not traded ahead and met at the settlement, at the middle of the "
        "utility's two prices.",
        "プール: 事前に約定せず、精算時に余剰と不足を突き合わせた分"
        "(単価は電力会社の販売・買取単価の中間)。",
    ),
    "next_gate": ("Next gate", "次の締切"),
    "gate_text": ("{time}, for {half_hour}", "{time} ({half_hour}分)"),
    "price": ("Price", "価格"),
    "no_trade": ("no trade", "約定なし"),
    "traded": ("Traded", "約定量"),
    "delivered": ("Delivered", "受渡量"),
    "used": ("Used", "消費量"),
    "generated": ("Generated", "発電量"),
    "own_share": ("Own and neighbours' share", "自家・融通の割合"),
    "offices": ("Offices", "庁舎一覧"),
    "imported": ("Imported", "受電"),
    "exported": ("Exported", "送電"),
    "charged": ("Charged", "充電"),
    "discharged": ("Discharged", "放電"),
    "stored": ("Stored", "残量"),
    "charge": ("State of charge", "充電率"),
    "flows": ("Flows", "融通"),
    "no_flows": ("Nothing flows between offices.", "庁舎間の融通なし。"),
    "from": ("From", "送り側"),
    "to": ("To", "受け側"),
    "kind": ("Kind", "種別"),
    "surplus": ("surplus", "余剰"),
    "needs": ("needs energy", "不足"),
    "balanced": ("balanced", "均衡"),
    # Slot
    "slot_title": ("{day}, {half_hour}", "{day} {half_hour}"),
    "book": ("Order book", "注文板"),
    "book_text": (
        "Bids from the highest price ask {bids} kWh, asks from the lowest offer {asks} kWh, fee "
        "included. {met}",
        "買いは高値から計{bids} kWh、売りは安値から(系統利用料込み)計{asks} kWh。{met}",
    ),
    "book_met": (
        "They meet at {kwh} kWh for {price} JPY/kWh, fee included.",
        "{kwh} kWh、系統利用料込み{price} 円/kWhで成立。",
    ),
    "book_apart": ("They do not meet.", "成立なし。"),
    "demand": ("Demand (bids)", "需要(買い)"),
    "supply": ("Supply (asks and fee)", "供給(売り+系統利用料)"),
    "orders": ("Orders", "注文"),
    "no_orders": ("No order came for this half hour.", "この時間帯の注文なし。"),
    "side": ("Side", "売買"),
    "bid": ("bid", "買い"),
    "ask": ("ask", "売り"),
    "energy": ("Energy", "電力量"),
    "sequence": ("Number", "番号"),
    "state": ("State", "状態"),
    "alive": ("live", "有効"),
    "void": ("void", "無効"),
    "trades": ("Trades", "約定"),
    "no_trades": ("No trades.", "約定なし。"),
    "seller": ("Seller", "売り手"),
    "buyer": ("Buyer", "買い手"),
    "readings": ("Readings", "計量値"),
    "quality": ("Quality", "品質"),
    "measured": ("measured", "実測"),
    "interpolated": ("interpolated", "補間"),
    "integrated": ("integrated", "積算"),
    "reconciled": ("reconciled", "調整"),
    "partial": ("partial", "一部欠測"),
    "assumed": ("assumed", "推定"),
    "missing": ("Missing: {sites}", "欠測: {sites}"),
    "settlement": ("Settlement", "精算"),
    "account_of": ("Account", "口座"),
    "owed": ("Receives, JPY (− pays)", "受取額(円、−は支払)"),
    "mode_ahead": (
        "Orders close before the half hour begins.",
        "注文は時間帯の開始前に締め切る(事前入札)。",
    ),
    "mode_after-metering": (
        "Orders close after metering.",
        "注文は計量後に締め切る(事後入札・仮想取引所)。",
    ),
    "tariff": (
        "The utility sells at {selling} and buys at {buying}, the network's fee is {fee} JPY/kWh.",
        "電力会社の販売単価{selling}、買取単価{buying}、系統利用料{fee} 円/kWh。",
    ),
    "proof": ("Proof", "証明"),
    "block_of": ("Block of the {what}", "{what}のブロック"),
    "what_orders": ("first order", "最初の注文"),
    "what_clearing": ("clearing", "約定処理"),
    "what_readings": ("first reading", "最初の計量値"),
    "what_settlement": ("settlement", "精算"),
    "recomputed": ("Price and trades, computed again", "価格・約定の再計算"),
    "same": ("the same", "一致"),
    "differs": ("DIFFERENT from the chain's", "チェーンと不一致"),
    "zero_sum": ("Sum of all accounts", "全口座の合計"),
    "day_root": ("Root of the day's rows", "日別ルート"),
    "no_root": ("the day is not settled to its end", "当日分が未精算"),
    "leaves": ("Origin of each Wh used, with its leaf", "消費電力の由来と証明の葉"),
    "origin": ("Origin", "由来"),
    "leaf": ("Leaf", "葉"),
    # Site
    "used_by_origin": ("Used, by origin", "消費電力の由来"),
    "used_text": (
        "{used} kWh used; {share} from own roofs and neighbours.",
        "消費{used} kWh、うち自家・融通の太陽光{share}。",
    ),
    "generated_by_end": ("Generated, by where it went", "発電電力の行き先"),
    "generated_text": (
        "{generated} kWh generated; {here} kWh used here, {there} kWh in other offices.",
        "発電{generated} kWh、自家消費{here} kWh、他庁舎{there} kWh。",
    ),
    "own": ("own solar", "自家太陽光"),
    "office": ("neighbours' solar", "他庁舎の太陽光"),
    "grid": ("utility", "電力会社"),
    "initial": ("battery's first stock", "蓄電池の初期残量"),
    "unexplained": ("unexplained", "不明"),
    "generation": ("solar", "太陽光"),
    "used_here": ("used here", "自家消費"),
    "used_there": ("used by neighbours", "他庁舎で消費"),
    "held": ("held", "蓄電中"),
    "lost": ("lost", "損失"),
    "utility": ("to the utility", "電力会社へ"),
    "unmetered": ("not metered", "未計量"),
    "money": ("Money", "料金"),
    "bill_bought": ("Bought from offices", "庁舎間購入"),
    "bill_sold": ("Sold to offices", "庁舎間売却"),
    "bill_fees": ("Network fees", "系統利用料"),
    "bill_rest": ("Utility and pool", "電力会社・プール精算"),
    "bill_corrections": ("Corrections", "訂正"),
    "bill_total": ("Paid together", "支払合計"),
    "paid": ("Pays", "支払額"),
    "received": ("Receives", "受取額"),
    "bill_without_yui": ("The utility alone would bill", "電力会社のみの場合"),
    "bill_gain": ("Gain by Yui", "Yuiによる便益"),
    "money_sign": (
        "Below zero is received. Without Yui: the same readings, billed by the utility alone.",
        "負は受取。「電力会社のみ」は同じ計量値を電力会社とのみ精算した場合。",
    ),
    "neighbours": ("Neighbours", "他庁舎との融通"),
    "from_there": ("Received from it", "受けた電力"),
    "to_there": ("Sent to it", "送った電力"),
    "renewable": ("From roofs", "太陽光の割合"),
    "through_battery": ("Through a battery", "蓄電池経由"),
    "no_rows": ("Nothing of it is settled.", "精算済みのデータなし。"),
    "unread": ("{count} half hours have no reading.", "計量値のない時間帯が{count}コマある。"),
    "open": ("{count} half hours are not settled yet.", "未精算の時間帯が{count}コマある。"),
    "pv": ("Solar", "太陽光"),
    "kw": ("kW", "kW"),
    "part": ("Time", "時間帯"),
    "choose": ("Choose an office", "庁舎を選ぶ"),
    # Errors
    "error": ("This cannot be shown", "表示できません"),
    "error_back": ("To the first page", "最初のページへ"),
}

TABLES = (_WORDS, PLANT_WORDS, FLEET_WORDS, access_words.WORDS)
"""No two have a word in common."""
_ALL = {word: phrase for table in TABLES for word, phrase in table.items()}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    if word not in _ALL:
        return words.say(language, word, **values)
    return words.phrase(_ALL, language, word, **values)


def knows(word: str) -> bool:
    """Return whether the pages have a phrase of their own for a word."""
    return word in _ALL


def name_of(language: Language, ref: Ref) -> str:
    """Return an office's name, short."""
    return short(ref.ja) if language is Language.JAPANESE else ref.en


def say_month(language: Language, month: str) -> str:
    """Return a month, given as 2019-06, as people write it.

    >>> say_month(Language.JAPANESE, "2019-06"), say_month(Language.ENGLISH, "2019-06")
    ('2019年6月', 'June 2019')
    """
    first = date.fromisoformat(f"{month}-01")
    if language is Language.JAPANESE:
        return f"{first.year}年{first.month}月"
    return f"{first:%B %Y}"


def say_when(language: Language, slot: int) -> str:
    """Return a slot's day and half hour as people write them."""
    return f"{words.say_day(language, day_of(slot))} {half_hour(slot)}"
