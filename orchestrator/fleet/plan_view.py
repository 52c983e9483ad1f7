"""A joint plan on the screen, in English and Japanese, and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from energy.units import half_hour
from orchestrator.setting.fleet import municipality
from orchestrator.words import Language, phrase
from vpp.fleet.apart import Apart
from vpp.fleet.result import JointPlan

_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("A joint plan of {sites} sites", "{sites}拠点の共同運転計画"),
    "what": ("what", "項目"),
    "value": ("value", "値"),
    "money": ("money, JPY", "金額(円)"),
    "bound": ("no plan costs less than, JPY", "これより安い計画はない(円)"),
    "gap": ("gap, proven", "最適値との差(証明済み)"),
    "gap_of_money": ("  of the money alone", "  金額に対して"),
    "gain": ("the batteries earn, JPY", "蓄電池による利益(円)"),
    "gap_of_gain": ("  gap, of that", "  利益に対する差"),
    "nothing": ("they earn nothing", "利益なし"),
    "made_by": ("made by", "作成方法"),
    "made": (
        "{made_by}, {rounds} rounds, {seconds:.1f} s",
        "{made_by}、{rounds}回、{seconds:.1f}秒",
    ),
    "one program": ("one program", "単一の線形計画"),
    "prices": ("prices", "価格による分解"),
    "missed": ("half hours in which a shared limit is missed", "共有制約を守れない時間帯の数"),
    "apart_money": ("each with its share alone, JPY", "各拠点が単独で計画した場合(円)"),
    "apart_steering": ("  and for missing it, JPY of penalties", "  制約違反の罰点(円)"),
    "shared_gain": ("planning together gains, JPY", "共同計画の効果(円)"),
    "worth": ("What a unit of a shared limit is worth", "共有制約1単位の価値"),
    "limit": ("limit", "制約"),
    "half_hour": ("half hour", "時間帯"),
    "price": ("price JPY", "単価(円)"),
    "taken": ("taken", "使用量"),
    "limit_is": ("limit is", "上限・下限"),
    "accounts": ("Who pays for the limits", "制約の費用負担"),
    "municipality": ("municipality", "市町村"),
    "sites": ("sites", "拠点数"),
    "account_money": ("money JPY", "金額(円)"),
    "for": ("for {limit} JPY", "{limit}分(円)"),
    "settled": ("settled JPY", "精算額(円)"),
    "breach": (
        "missed: {limit} at {half_hour} by {amount:,.1f} {unit}",
        "未達: {limit} {half_hour} {amount:,.1f} {unit}",
    ),
    "fault": ("fault: {fault}", "不具合: {fault}"),
    "alarm": ("{site}: {alarm}", "{site}: {alarm}"),
    "round": (
        "round {number}: {cost:,.0f} JPY, none below {bound:,.0f}",
        "{number}回目: {cost:,.0f}円、下限 {bound:,.0f}円",
    ),
    "import": ("import", "受電"),
    "export": ("export", "逆潮流"),
    "reserve up": ("reserve up", "上げ調整力"),
    "reserve down": ("reserve down", "下げ調整力"),
}


def say_fleet(language: Language, word: str, **values: object) -> str:
    """Return a phrase about a fleet in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)


def say_limit(language: Language, kind: str) -> str:
    """Return what a shared limit is called, with its pool's name where it has one.

    >>> say_limit(Language.JAPANESE, "reserve up Sendai")
    '上げ調整力 Sendai'
    """
    known = next(
        word for word in ("import", "export", "reserve up", "reserve down") if kind.startswith(word)
    )
    return f"{say_fleet(language, known)}{kind.removeprefix(known)}"


def plan_parts(
    plan: JointPlan, language: Language, alone: Apart | None = None
) -> Iterator[RenderableType]:
    """Yield what is shown of a joint plan, and beside it what the sites would do apart."""
    yield _summary(plan, language, alone)
    if plan.prices:
        yield _prices(plan, language)
    yield _accounts(plan, language)
    first = plan.fleet.members[0].problem.first_slot
    for breach in plan.breaches:
        yield Text(
            say_fleet(
                language,
                "breach",
                limit=say_limit(language, breach.limit),
                half_hour=half_hour(first + breach.slot),
                amount=breach.amount,
                unit="kW" if breach.limit.startswith("reserve") else "kWh",
            ),
            style="red",
        )
    for site in plan.sites:
        for alarm in site.alarms:
            yield Text(say_fleet(language, "alarm", site=site.name, alarm=alarm), style="red")
    for fault in plan.faults:
        yield Text(say_fleet(language, "fault", fault=fault), style="bold red")


def _summary(plan: JointPlan, language: Language, alone: Apart | None) -> Table:
    def say(word: str, **values: object) -> str:
        return say_fleet(language, word, **values)

    table = Table(title=say("title", sites=f"{len(plan.sites):,}"), title_justify="left")
    table.add_column(say("what"))
    table.add_column(say("value"), justify="right")
    table.add_row(say("money"), f"{plan.money:,.0f}")
    table.add_row(say("bound"), f"{plan.bound:,.0f}")
    table.add_row(say("gap"), f"{plan.gap:.4%}")
    table.add_row(say("gap_of_money"), f"{plan.gap_of_money:.4%}")
    table.add_row(say("gain"), f"{plan.gain:,.0f}")
    part = f"{plan.gap_of_gain:.3%}" if np.isfinite(plan.gap_of_gain) else say("nothing")
    table.add_row(say("gap_of_gain"), part)
    if alone is not None:
        table.add_row(say("apart_money"), f"{alone.money:,.0f}")
        table.add_row(say("apart_steering"), f"{alone.steering:,.0f}")
        table.add_row(say("shared_gain"), f"{alone.cost - plan.cost:,.0f}")
    made = say("made", made_by=say(plan.made_by), rounds=plan.rounds, seconds=plan.seconds)
    table.add_row(say("made_by"), made)
    table.add_row(say("missed"), f"{len(plan.breaches)}")
    return table


def _prices(plan: JointPlan, language: Language) -> Table:
    table = Table(title=say_fleet(language, "worth"), title_justify="left")
    for word in ("limit", "half_hour", "price", "taken", "limit_is"):
        justify = "left" if word in ("limit", "half_hour") else "right"
        table.add_column(say_fleet(language, word), justify=justify)  # type: ignore[arg-type]
    first = plan.fleet.members[0].problem.first_slot
    for limit in plan.fleet.limits:
        prices, taken = plan.prices[limit.kind], plan.sums[limit.kind]
        edges = np.where(prices > 0, limit.upper, limit.lower)
        for number in np.flatnonzero(np.abs(prices) > 1e-6):
            table.add_row(
                say_limit(language, limit.kind),
                half_hour(first + int(limit.slots[number])),
                f"{prices[number]:,.2f}",
                f"{taken[number]:,.1f}",
                f"{edges[number]:,.1f}",
            )
    return table


def _accounts(plan: JointPlan, language: Language) -> Table:
    kinds = [limit.kind for limit in plan.fleet.limits]
    table = Table(title=say_fleet(language, "accounts"), title_justify="left")
    table.add_column(say_fleet(language, "municipality"))
    limits = [say_fleet(language, "for", limit=say_limit(language, kind)) for kind in kinds]
    titles = [say_fleet(language, word) for word in ("sites", "account_money", "settled")]
    for title in (*titles[:2], *limits, titles[2]):
        table.add_column(title, justify="right")
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * (len(kinds) + 3))
    for account in plan.accounts:
        values = [1.0, account.money, *(account.transfers[kind] for kind in kinds)]
        row = sums[municipality(account.name)]
        for place, value in enumerate([*values, account.settled]):
            row[place] += value
    for name, row in sorted(sums.items()):
        table.add_row(name, *(f"{round(value):,}" for value in row))
    return table


def plan_values(plan: JointPlan, alone: Apart | None = None) -> dict[str, object]:
    """Return a joint plan as JSON's values. `gap_of_gain` is null where batteries earn nothing,
    `apart` where that was not asked for."""
    return {
        "sites": len(plan.sites),
        "money_jpy": plan.money,
        "steering_jpy": plan.steering,
        "bound_jpy": plan.bound,
        "gap": plan.gap,
        "gap_of_money": plan.gap_of_money,
        "gain_jpy": plan.gain,
        "gap_of_gain": plan.gap_of_gain if np.isfinite(plan.gap_of_gain) else None,
        "apart": alone and {"money_jpy": alone.money, "steering_jpy": alone.steering},
        "made_by": plan.made_by,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "first_slot": plan.fleet.members[0].problem.first_slot,
        "limits": {
            limit.kind: {
                "slots": limit.slots.tolist(),
                "prices_jpy": plan.prices[limit.kind].tolist(),
                "taken": plan.sums[limit.kind].tolist(),
            }
            for limit in plan.fleet.limits
        },
        "breaches": [
            {"limit": each.limit, "slot": each.slot, "amount": each.amount}
            for each in plan.breaches
        ],
        "accounts": [
            {
                "site": each.name,
                "money_jpy": each.money,
                "transfers_jpy": each.transfers,
                "settled_jpy": each.settled,
            }
            for each in plan.accounts
        ],
        "faults": plan.faults,
    }
