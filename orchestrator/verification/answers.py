"""What the report's readers want to know first, answered on its first page from its figures.

| question | what it looks at                                          | thresholds               |
| -------- | --------------------------------------------------------- | ------------------------ |
| trading  | the lesser gain as a part of the net bill without trading | 0, 2 %, 10 % (`summary`) |
| battery  | what running leaves, and what buying one would, by the    | 5 % of its worth counts  |
|          | chemistry by which running leaves most                    | as nothing left; 0       |
| calls    | whether calls are known, name a price, and would be paid  | 0                        |
| nature   | nothing: trading makes no energy                          |                          |
"""

from __future__ import annotations

from energy.units import SLOTS_PER_DAY
from orchestrator.verification.cases import OWN_FIRST
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Answer, Voice
from orchestrator.verification.sections_energy import percent
from orchestrator.verification.sections_money import yen
from orchestrator.verification.sections_turns import kinds_by_cost
from orchestrator.verification.storage import AS_RUN, Store
from orchestrator.verification.summary import CLEAR, LITTLE, between
from orchestrator.verification.turns import BUYING, RUNNING, assumed, break_even, left, spread
from vpp.calls.call import Basis
from vpp.chemistry import DAYS_PER_YEAR

EVEN = 5.0
"""Up to so many % of what a battery is worth, either way, nothing counts as left of it."""
_KWH = 1_000


def answers_of(figures: Figures, say: Voice) -> list[Answer]:
    """Return the questions with their answers."""
    return [
        _trading(figures, say),
        _battery(figures, say),
        _calls(figures, say),
        _nature(figures, say),
    ]


def _answer(key: str, verdict: str, because: str, say: Voice) -> Answer:
    return Answer(key, say(f"ask_{key}"), say(verdict), because)


def _trading(figures: Figures, say: Voice) -> Answer:
    money = figures.money
    gains = [yen(money.gain.sum())]
    bills = [abs(yen(money.without.sum()))]
    if figures.batteries:
        gains.append(yen(money.gain_over_own_first.sum()))
        bills.append(abs(yen(money.cases[OWN_FIRST].alone.sum())))
    parts = [percent(*pair) or 0.0 for pair in zip(gains, bills, strict=True)]
    part = min(parts)
    verdict = "trading_no" if part <= 0 else "trading_little" if part < LITTLE else "trading_some"
    each = [gain / figures.facts.sites / _years(figures) for gain in gains]
    because = say(
        "trading_because",
        days=f"{figures.facts.counts['settled'] / SLOTS_PER_DAY:,.0f}",
        gain=between(gains, 0, say),
        part=between(parts, 1, say),
        each=between(each, 0, say),
        least=f"{min(each):,.0f}",
        lost=f"{yen(money.utility_without - money.utility):,.0f}",
        met=f"{100 * figures.met:.0f}",
    )
    return _answer("trading", "trading_yes" if part >= CLEAR else verdict, because, say)


def _battery(figures: Figures, say: Voice) -> Answer:
    batteries = figures.batteries
    if not batteries:
        return _answer("battery", "battery_unasked", say("battery_none"), say)
    worth = sum(one.strategy(AS_RUN).together for one in batteries)
    run, buy = (sum(_left(one, question) for one in batteries) for question in (RUNNING, BUYING))
    even = abs(worth) * EVEN / 100
    verdict = "battery_no" if run < -even else "battery_even" if run <= even else "battery_run"
    values = {"worth": f"{worth:,.0f}", "wear": f"{worth - run:,.0f}", "left": f"{run:,.0f}",
              "bought": f"{buy:,.0f}"}  # fmt: skip
    if len(batteries) > 1:
        because = say("battery_because_all", count=len(batteries), **values)
    else:
        because = say("battery_because", **values, **_turning(figures, batteries[0], say))
    return _answer("battery", "battery_yes" if buy > 0 else verdict, because, say)


def _left(battery: Store, question: str) -> float:
    """Return what a battery leaves a year, by the chemistry by which running it leaves most."""
    kind = kinds_by_cost(battery)[0]
    return left(battery.strategy(AS_RUN), kind, question, assumed(kind))


def _turning(figures: Figures, battery: Store, say: Voice) -> dict[str, str]:
    """Return where a battery's verdict turns, in words."""
    kind = kinds_by_cost(battery)[0]
    apart = spread(figures.facts)
    found = {
        "site": say.names[battery.site],
        "kind": kind.upper(),
        "assumed": f"{assumed(kind).price:,.0f}",
        "spread": f"{apart:.1f}",
    }
    for question, name in ((RUNNING, "run"), (BUYING, "buy")):
        turn = break_even(battery, kind, question)
        found[f"{name}_price"] = say("never") if turn.price is None else f"{turn.price:,.0f}"
        dearer = turn.dearer
        found[f"{name}_spread"] = say("never") if dearer is None else f"{apart + dearer:.1f}"
    return found


def _calls(figures: Figures, say: Voice) -> Answer:
    calls = figures.calls
    if calls is None or not calls.answers:
        return _answer("calls", "calls_unasked", say("calls_unasked_because"), say)
    paid = yen(sum(one.found.paid_microyen for one in calls.answers))

    def met(basis: Basis) -> str:
        part = percent(calls.total(basis, met=True) or 0, calls.asked(basis))
        return say("unknown") if part is None else f"{part:.0f} %"

    because = say(
        "calls_because",
        calls=len(calls.answers),
        asked=f"{calls.asked() / _KWH:,.1f}",
        plan=met(Basis.PLAN),
        meter=met(Basis.METER),
        paid=f"{paid:,.0f}",
    )
    given = sum(one.discharged for one in figures.batteries)
    if given:
        worn = sum(one.strategy(AS_RUN).together - _left(one, RUNNING) for one in figures.batteries)
        each = f"{worn * _years(figures) / given:.1f}"
        because += say("space") + say("calls_cost", each=each)
    terms = [one.call.product for one in calls.answers]
    priced = any(product.price_kwh or product.price_kw for product in terms)
    unpaid = "calls_unpaid" if priced else "calls_unpriced"
    return _answer("calls", "calls_paid" if paid > 0 else unpaid, because, say)


def _nature(figures: Figures, say: Voice) -> Answer:
    energy = figures.energy
    own = percent(energy.own.sum(), energy.consumption.sum()) or 0.0
    added = percent(energy.others.sum(), energy.consumption.sum()) or 0.0
    because = say(
        "nature_because",
        own=f"{own:.1f}",
        all=f"{own + added:.1f}",
        added=f"{added:.1f}",
        lost=f"{energy.lost.sum() / _KWH:,.0f}",
    )
    return _answer("nature", "nature_no", because, say)


def _years(figures: Figures) -> float:
    return float(figures.facts.settled.sum()) / SLOTS_PER_DAY / DAYS_PER_YEAR
