"""What the report concludes: each sentence follows from figures by a rule that stands here.

| rule           | what it looks at                                     | thresholds            |
| -------------- | ---------------------------------------------------- | --------------------- |
| worth          | the gain as a part of the net bill without trading   | 2 %, 10 %             |
| transfer       | who lost what the offices gained                     |                       |
| coincidence    | exports that met an import in their half hour        | 50 %                  |
| alike          | correlation of generation between roofs              | 0.9; 0.995: one series |
| spread         | the largest and the least gain; who is worse off     |                       |
| cover          | own roofs' cover, and what others' roofs add         | 5 points              |
| battery        | earned in the market less wear; less own use first   | 0                     |
| forecast       | what broken trades cost, and how much left the group | 1 % of the gain       |
| edges          | energy traded within 1 JPY of the extreme prices     | 50 %                  |
| readings       | readings missed                                      | 0                     |
| audit          | whether it was made, and went through                |                       |
"""

from __future__ import annotations

from energy.units import SLOTS_PER_DAY
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Section, Table, Voice
from orchestrator.verification.sections_chain import audit_found
from orchestrator.verification.sections_energy import percent
from orchestrator.verification.sections_money import yen
from orchestrator.verification.storage import AS_RUN, SELF_USE
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
    part = percent(gain, bill) or 0.0
    level = "worth_little" if part < LITTLE else "worth_clear" if part >= CLEAR else "worth_some"
    found = [
        say(level, gain=_shown(gain), part=f"{part:.1f}", bill=_shown(bill)),
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
    worse = [say.names[site] for site in range(len(gains)) if gains[site] < 0]
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
    money = figures.money
    earned = yen(money.without_batteries.together - money.with_batteries.together)
    alone = yen(money.without_batteries.alone - money.with_batteries.alone)
    years = float(figures.facts.settled.sum()) / SLOTS_PER_DAY / DAYS_PER_YEAR
    wear = 0.0
    for battery in figures.batteries:
        ran = battery.strategy(AS_RUN)
        wear += years * min(ran.wear(key) for key in ran.outlooks)
    key = "conclude_battery_loss" if earned < wear else "conclude_battery_gain"
    found = [say(key, earned=_shown(earned), alone=_shown(alone), wear=_shown(wear))]
    for battery in figures.batteries:
        ran, own = battery.strategy(AS_RUN), battery.strategy(SELF_USE)
        for key, better, than in (
            ("conclude_own_use", own.together, ran.together * 1.01),
            ("conclude_battery_market", own.alone, own.together),
        ):
            if better > than:
                worths = {"own": _shown(own.together), "ran": _shown(ran.together)}
                worths["alone"] = _shown(own.alone)
                found.append(say(key, site=say.names[battery.site], **worths))
    return found


def _forecast(figures: Figures, say: Voice) -> list[str]:
    if figures.foresight is None:
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
    return [say(key, part=f"{part:.0f}", low=low, high=high, mean=f"{prices.mean:.2f}")]


def _shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{float(value):,.{digits}f}"
