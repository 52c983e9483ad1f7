"""What the report concludes: each sentence follows from figures by a rule that stands here.

| rule           | what it looks at                                     | thresholds            |
| -------------- | ---------------------------------------------------- | --------------------- |
| worth          | the lesser gain (own use first, or the same meters)  | 2 %, 10 %             |
|                | as a part of the net bill without trading            |                       |
| transfer       | who lost what the offices gained                     |                       |
| coincidence    | exports that met an import in their half hour        | 50 %                  |
| alike          | correlation of generation between roofs              | 0.9; 0.995: one series |
| spread         | the largest and the least gain; who is worse off, by |                       |
|                | either measure                                       |                       |
| cover          | own roofs' cover, and what others' roofs add         | 5 points              |
| battery        | earned in the market less the wear of running        | 0                     |
|                | the same, had it served its own office first         | 1 % more              |
| forecast       | what broken trades cost, and how much left the group | 1 % of the gain       |
| quotes         | offices that quote one price a side all the time     | half of them          |
| edges          | energy traded within 1 JPY of the extreme prices     | 50 %                  |
| readings       | readings missed                                      | 0                     |
| audit          | whether it was made, and went through                |                       |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energy.units import SLOTS_PER_DAY
from orchestrator.verification import storage
from orchestrator.verification.cases import AS_RUN, IDLE, OWN_FIRST
from orchestrator.verification.queries import script
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Section, Table, Voice
from orchestrator.verification.sections_chain import audit_found
from orchestrator.verification.sections_energy import percent
from orchestrator.verification.sections_market import quoting_found
from orchestrator.verification.sections_money import yen
from orchestrator.verification.storage import Store, Strategy
from vpp.chemistry import DAYS_PER_YEAR

LITTLE, CLEAR = 2.0, 10.0
"""Below, and from, how many % of the bill a gain is called so."""
_WH = 1_000


def summary_section(figures: Figures, say: Voice) -> Section:
    """The key figures, and what follows from them."""
    energy, money = figures.energy, figures.money
    own = percent(energy.own.sum(), energy.consumption.sum())
    covered = percent(energy.own.sum() + energy.others.sum(), energy.consumption.sum())
    gain, bill = yen(money.gain.sum()), yen(money.without.sum())
    rows: list[tuple[Cell, ...]] = [
        (say("consumption"), _shown(energy.consumption.sum() / _WH), "kWh"),
        (say("generation"), _shown(energy.generation.sum() / _WH), "kWh"),
        (say("sufficiency_own"), _shown(own, 1), "%"),
        (say("sufficiency_all"), _shown(covered, 1), "%"),
        (say("others_used"), _shown(energy.others.sum() / _WH), "kWh"),
        (say("traded"), _shown(money.traded / _WH), "kWh"),
        (say("gain_all"), _shown(gain), say("yen")),
        (say("gain_of_bill"), _shown(percent(gain, abs(bill)), 1), "%"),
        (say("mean_price"), _shown(figures.prices.mean, 2), say("yen_per_kwh")),
        (say("through_share"), _shown(percent(energy.through.sum(), energy.consumption.sum()), 2),
         "%"),
        (say("missed"), f"{int(figures.facts.missed.sum()):,}", ""),
    ]  # fmt: skip
    if figures.batteries:
        fair = yen(money.gain_over_own_first.sum())
        paid = yen(money.cases[OWN_FIRST].alone.sum())
        rows += [
            (say("gain_fair"), _shown(fair), say("yen")),
            (say("gain_fair_of_bill"), _shown(percent(fair, abs(paid)), 1), "%"),
        ]
    table = Table(
        "key_figures",
        say("key_figures"),
        (say.column("what"), say.column("value"), say.column("unit")),
        tuple(rows),
    )
    return Section(
        "summary",
        say("summary"),
        findings=tuple(conclusions(figures, say)),
        tables=(table,),
        method=say.lines("summary_how"),
        again=script(figures.facts.slots, table),
    )


def conclusions(figures: Figures, say: Voice) -> list[str]:
    """Return a sentence a rule, in the order of the table above."""
    found = [*_worth(figures, say), *_spread(figures, say), *_cover(figures, say)]
    found += [*_battery(figures, say), *_forecast(figures, say), *_edges(figures, say)]
    missed = int(figures.facts.missed.sum())
    found.append(say("conclude_missed", missed=f"{missed:,}") if missed else say("conclude_read"))
    found.append(audit_found(figures.chain, say))
    return found


def _worth(figures: Figures, say: Voice) -> list[str]:
    money = figures.money
    gain, bill = yen(money.gain.sum()), abs(yen(money.without.sum()))
    fair = yen(money.gain_over_own_first.sum())
    pairs = [(gain, percent(gain, bill) or 0.0)]
    how = "worth_one"
    if figures.batteries:
        pairs.append((fair, percent(fair, abs(yen(money.cases[OWN_FIRST].alone.sum()))) or 0.0))
        how = "worth_range" if fair <= gain else "worth_range_more"
    part = min(parts for _, parts in pairs)
    level = "worth_little" if part < LITTLE else "worth_clear" if part >= CLEAR else "worth_some"
    gains, parts = zip(*pairs, strict=True)
    found = [
        say(level, gain=between(gains, 0, say), part=between(parts, 1, say), how=say(how)),
        say(
            "conclude_transfer",
            lost=_shown(yen(money.utility_without - money.utility)),
            gain=_shown(gain),
            network=_shown(yen(money.network)),
        ),
    ]
    met, alike = 100 * figures.met, figures.alike
    key = "conclude_met_little" if met < 50 else "conclude_met"
    found.append(say(key, met=f"{met:.0f}", alike=f"{alike:.2f}"))
    if alike >= 0.995:
        found.append(say("conclude_one_series"))
    elif alike >= 0.9:
        found.append(say("conclude_alike", alike=f"{alike:.2f}"))
    return found


def _spread(figures: Figures, say: Voice) -> list[str]:
    gains = figures.money.gain
    most, least = int(gains.argmax()), int(gains.argmin())
    found = [
        say(
            "conclude_spread",
            most=say.names[most],
            most_gain=_shown(yen(gains[most])),
            least=say.names[least],
            least_gain=_shown(yen(gains[least])),
        )
    ]
    for site in sorted(figures.facts.batteries):
        fair = figures.money.gain_over_own_first[site]
        if fair < gains[site]:
            values = {"fair": _shown(yen(fair)), "gain": _shown(yen(gains[site]))}
            found.append(say("conclude_owner", site=say.names[site], **values))
    lesser = np.minimum(gains, figures.money.gain_over_own_first)
    worse = [say.names[site] for site in np.flatnonzero(lesser < 0).tolist()]
    found.append(say("conclude_worse", sites=say("comma").join(worse)) if worse
                 else say("conclude_none_worse"))  # fmt: skip
    return found


def _cover(figures: Figures, say: Voice) -> list[str]:
    energy = figures.energy
    own = percent(energy.own.sum(), energy.consumption.sum()) or 0.0
    added = percent(energy.others.sum(), energy.consumption.sum()) or 0.0
    key = "conclude_cover_little" if added < 5 else "conclude_cover"
    return [say(key, own=f"{own:.1f}", all=f"{own + added:.1f}", added=f"{added:.1f}")]


def _battery(figures: Figures, say: Voice) -> list[str]:
    if not figures.batteries:
        return []
    cases = figures.money.cases
    earned = yen(cases[IDLE].together - cases[AS_RUN].together)
    alone = yen(cases[IDLE].alone.sum() - cases[AS_RUN].alone.sum())
    years = float(figures.facts.settled.sum()) / SLOTS_PER_DAY / DAYS_PER_YEAR
    wear = 0.0
    for battery in figures.batteries:
        ran = battery.strategy(storage.AS_RUN)
        wear += years * (ran.together - _net(ran))
    key = "conclude_battery_loss" if earned < wear else "conclude_battery_gain"
    found = [say(key, earned=_shown(earned), alone=_shown(alone), wear=_shown(wear))]
    for battery in figures.batteries:
        found += _own_use(battery, say)
    return found


def _own_use(battery: Store, say: Voice) -> list[str]:
    """Say whether a battery that serves its own office first would have left more, wear taken off,
    and what it spares without a market."""
    ran, own = battery.strategy(storage.AS_RUN), battery.strategy(storage.SELF_USE)
    left, left_own = _net(ran), _net(own)
    margin = abs(ran.together) / 100
    values = {
        "site": say.names[battery.site],
        "own": _shown(left_own), "ran": _shown(left),
        "own_worth": _shown(own.together), "ran_worth": _shown(ran.together),
    }  # fmt: skip
    found = []
    if left_own > left + margin:
        found.append(say("conclude_own_use", **values))
    elif own.together > ran.together + margin:
        found.append(say("conclude_own_worn", **values))
    if own.alone > own.together:
        worths = {"own": _shown(own.together), "alone": _shown(own.alone)}
        found.append(say("conclude_battery_market", site=values["site"], **worths))
    return found


def _net(strategy: Strategy) -> float:
    """Return what is left of a strategy a year, by the chemistry that leaves most."""
    return max(strategy.net(key) for key in strategy.outlooks)


def _forecast(figures: Figures, say: Voice) -> list[str]:
    if figures.orders is None:
        return []
    money = figures.money
    left = yen(money.network - money.fees)
    gain = yen(money.gain.sum())
    key = "conclude_forecast_inside" if left < abs(gain) / 100 else "conclude_forecast"
    share = percent(money.delivered, money.traded) or 0.0
    lost = yen(money.lost_to_breaking.sum())
    return [say(key, share=f"{share:.0f}", lost=_shown(lost), left=_shown(left))]


def _edges(figures: Figures, say: Voice) -> list[str]:
    prices = figures.prices
    if not prices.slots:
        return [say("conclude_no_trades")]
    edge = float(prices.yen_energy[0] + prices.yen_energy[-1]) if len(prices.yen) > 1 else 0.0
    part = 100 * edge / float(prices.yen_energy.sum())
    low, high = int(prices.yen[0]), int(prices.yen[-1])
    key = "conclude_edges" if part >= 50 else "conclude_prices"
    found = say(key, part=f"{part:.0f}", low=low, high=high, mean=f"{prices.mean:.2f}")
    return [found, *quoting_found(prices, say)]


def between(values: Sequence[float], digits: int, say: Voice) -> str:
    """Return a value, or the lowest and the highest."""
    low, high = (_shown(value, digits) for value in (min(values), max(values)))
    return low if low == high else say("to_range", low=low, high=high)


def _shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{float(value):,.{digits}f}"
