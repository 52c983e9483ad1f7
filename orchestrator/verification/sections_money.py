"""The report's section on money: gains against no trading, where they come from, terms, peaks."""

from __future__ import annotations

from energy.units import MICROYEN_PER_YEN
from orchestrator.verification.cases import AS_RUN, IDLE, OWN_FIRST
from orchestrator.verification.charts import bars
from orchestrator.verification.money import TERMS, Money
from orchestrator.verification.queries import script
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Cell, Chart, Column, Section, Table, Voice
from orchestrator.verification.sections_energy import month_label, percent


def yen(microyen: float) -> float:
    """Return money in JPY."""
    return float(microyen) / MICROYEN_PER_YEN


def money_section(figures: Figures, say: Voice) -> Section:
    """Money against no trading: each office, the utility, the network."""
    money, batteries = figures.money, bool(figures.batteries)
    tables = (
        _offices(money, say, batteries),
        _parties(money, say),
        _squares(money, say, batteries),
        _peaks(money, say, batteries),
        _terms(money, say),
        _months(money, say),
    )
    gains = {"gain": money.gain}
    if batteries:
        gains = {"gain_same_meters": money.gain, "gain_own_first_short": money.gain_over_own_first}
    series = [(say(key), [yen(gain) for gain in values]) for key, values in gains.items()]
    chart = bars(say("gain_chart"), say.names, series, say("yen"), style=say.style)
    return Section(
        "money",
        say("money"),
        findings=(
            say("money_agrees", agreeing=f"{money.agreeing:,}", slots=f"{money.slots:,}"),
            *([_fair(money, say)] if batteries else []),
        ),
        tables=tables,
        charts=(Chart("gain", say("gain_chart"), chart, "money"),),
        method=say.lines("money_how"),
        again=script(figures.facts.slots, *tables),
    )


def _fair(money: Money, say: Voice) -> str:
    over = yen(money.cases[OWN_FIRST].alone.sum())
    gain = yen(money.gain_over_own_first.sum())
    return say(
        "money_own_first",
        gain=f"{gain:,.0f}",
        part=f"{percent(gain, abs(over)) or 0:.1f}",
        meters=f"{yen(money.gain.sum()):,.0f}",
    )


def _offices(money: Money, say: Voice, batteries: bool) -> Table:
    """Each office: what it pays, and its gain; where there are batteries, also over own use."""
    gain = yen(money.gain.sum())
    fair, fair_gain = money.cases[OWN_FIRST].alone, money.gain_over_own_first

    def row(name: str, at: slice) -> tuple[Cell, ...]:
        of_all = yen(money.gain[at].sum())
        cells: list[Cell] = [yen(money.without[at].sum()), yen(money.paid[at].sum()), of_all]
        cells.append(percent(of_all, gain))
        if batteries:
            cells += [yen(fair[at].sum()), yen(fair_gain[at].sum())]
        return name, *cells

    rows = [row(name, slice(site, site + 1)) for site, name in enumerate(say.names)]
    columns = [
        say.column("office"),
        say.column("without", "JPY"),
        say.column("paid", "JPY"),
        say.column("gain", "JPY"),
        say.column("gain_share", "%", 1),
    ]
    if batteries:
        columns += [say.column("without_own_first", "JPY"), say.column("gain_own_first", "JPY")]
    rows.append(row(say("all"), slice(None)))
    note = say("money_note") if batteries else ""
    return Table("money", say("money_table"), tuple(columns), tuple(rows), 1, note)


def _parties(money: Money, say: Voice) -> Table:
    """What the offices, the utility and the network receive: the sum is nothing."""
    without, paid = yen(money.utility_without), yen(money.paid.sum())
    utility, network = yen(money.utility), yen(money.network)
    return Table(
        "parties",
        say("parties"),
        (
            say.column("party"),
            say.column("received_without", "JPY"),
            say.column("received", "JPY"),
            say.column("change", "JPY"),
        ),
        (
            (say("offices"), -without, -paid, without - paid),
            (say("utility"), without, utility, utility - without),
            (say("network"), 0.0, network, network),
            (say("sum"), 0.0, utility + network - paid, utility + network - paid),
        ),
        1,
    )


def _cases(say: Voice, batteries: bool) -> dict[str, str]:
    """Return the names of the cases that are shown, by key."""
    if not batteries:
        return {AS_RUN: say("as_metered")}
    return {key: say(key) for key in (IDLE, AS_RUN, OWN_FIRST)}


def _squares(money: Money, say: Voice, batteries: bool) -> Table:
    """What all pay the utility, by case, alone and together."""
    cases = money.cases
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            yen(cases[key].alone.sum()),
            yen(cases[key].together),
            yen(cases[key].worth_of_trading),
        )
        for key, name in _cases(say, batteries).items()
    ]
    if batteries:
        idle = cases[IDLE]
        for key, word in ((AS_RUN, "worth_batteries"), (OWN_FIRST, "worth_own_first")):
            saved = idle.alone.sum() - cases[key].alone.sum(), idle.together - cases[key].together
            rows.append((say(word), *map(yen, saved), None))
    columns = (
        say.column("case"),
        say.column("alone", "JPY"),
        say.column("together_pay", "JPY"),
        say.column("worth_trading", "JPY"),
    )
    return Table("squares", say("squares"), columns, tuple(rows), note=say("squares_note"))


def _peaks(money: Money, say: Voice, batteries: bool) -> Table:
    """The mean of the months' peaks of import, by office and case."""
    shown = _cases(say, batteries)
    peaks = [money.cases[key].peak for key in shown]
    return Table(
        "peaks",
        say("peaks"),
        (say.column("office"), *(Column(key, name, "kW", 1) for key, name in shown.items())),
        tuple(
            (name, *(float(peak[site]) for peak in peaks)) for site, name in enumerate(say.names)
        ),
        note=say("peaks_note"),
    )


def _terms(money: Money, say: Voice) -> Table:
    """What settlements owe, by term."""

    def row(name: str, at: slice) -> tuple[Cell, ...]:
        terms = (yen(money.terms[term][at].sum()) for term in TERMS)
        return name, *terms, yen(money.corrections[at].sum()), -yen(money.paid[at].sum())

    rows = [row(name, slice(site, site + 1)) for site, name in enumerate(say.names)]
    columns = (
        say.column("office"),
        *(say.column(f"term_{term}", "JPY") for term in TERMS),
        say.column("corrections", "JPY"),
        say.column("owed", "JPY"),
    )
    rows.append(row(say("all"), slice(None)))
    return Table("terms", say("terms"), columns, tuple(rows), 1, say("terms_note"))


def _months(money: Money, say: Voice) -> Table:
    rows = [
        (month_label(name, say), yen(gain))
        for name, gain in zip(money.month_names, money.month_gain, strict=True)
    ]
    rows.append((say("sum"), yen(money.month_gain.sum())))
    columns = (say.column("month"), say.column("gain", "JPY"))
    return Table("gain_by_month", say("gain_by_month"), columns, tuple(rows), 1)
