"""Where a published report states what its readings say: the only place that names its tables and
columns, by the keys of `figures.json`."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from tests.recount import (
    ALL,
    ANY,
    ASSUMED,
    DAYS_PER_YEAR,
    MICROYEN,
    WH_PER_KWH,
    Cells,
    Expected,
    Recount,
)
from tests.recount_wear import TEN_YEARS, worn

PRICES = range(10_000, 80_001, 10_000)
LIVES, RESTS = (0.5, 0.75, 1, 1.5, 2, 3), (0.5, 0.75, 1.5, 2)
SPREADS = (-6, -4, -2, 0, 2, 4, 6, 8)
"""What the report varies: a battery's price (JPY/kWh), times the cycles, times the loss at rest,
JPY/kWh that the utility sells dearer."""
IDLE, RAN = 0, 1
"""Of the strategies in the table of ten years, each with all chemistries."""
ROUNDED = 0.5
"""JPY: what a battery would have done is not whole Wh, and each half hour's is rounded."""


def expected(recount: Recount) -> list[tuple[tuple[str, str], Expected]]:
    """Return what should stand in a report, by table and column; a column may come twice."""
    parts = (_energy, _months, _matrix, _money, _own_first, _batteries, _wear, _turns, _readings)
    return [item for part in parts for item in part(recount).items()]


def _energy(recount: Recount) -> dict[tuple[str, str], Expected]:
    rows, slots, slack = recount.traced, recount.slots, recount.slack
    used, made, own = (recount.by_site(rows[name], 1) for name in ("used", "generated", "own"))
    met, bought = slots["met"].sum(), slots["bought"].sum()
    roofs = own[ALL] + met
    loose, percent = slack / WH_PER_KWH, 100 * slack
    factor = recount.given["co2_kg_per_kwh"]
    names = ("generated", "imported", "exported")
    plain = {"consumption": "used", "generation": "generated"} | {n: n for n in names[1:]}
    return {
        **{("energy", column): Expected(_kwh(recount, name)) for column, name in plain.items()},
        ("energy", "from_own"): Expected(_kwh(recount, "own")),
        ("energy", "from_others"): Expected({ALL: met / WH_PER_KWH}, loose),
        ("energy", "from_utility"): Expected({ALL: bought / WH_PER_KWH}, loose),
        **({("energy", "rest"): Expected(_kwh(recount, "stock"), loose)} if recount.stock else {}),
        ("energy", "sufficiency_own"): Expected(_percent(own, used)),
        ("energy", "sufficiency_all"): Expected(
            {ALL: 100 * roofs / used[ALL]}, percent / used[ALL]
        ),
        ("energy", "self_consumption_own"): Expected(_percent(own, made)),
        ("energy", "self_consumption_all"): Expected(
            {ALL: 100 * roofs / made[ALL]}, percent / made[ALL]
        ),
        ("carbon", "co2_own"): Expected(recount.by_site(rows["own"], WH_PER_KWH / factor)),
        ("carbon", "co2_others"): Expected({ALL: factor * met / WH_PER_KWH}, factor * loose),
        ("carbon", "co2_bought"): Expected({ALL: factor * bought / WH_PER_KWH}, factor * loose),
    }


def _months(recount: Recount) -> dict[tuple[str, str], Expected]:
    months = recount.slots.groupby("month")[["used", "own", "met", "bought"]].sum()
    months = months.reset_index(drop=True)
    months.loc[ALL] = months.sum()
    balance = recount.slots[["half", "exported", "imported"]].assign(
        both=recount.slots[["exported", "imported"]].min(axis=1)
    )
    halves = balance.groupby("half").sum() / recount.days
    loose, least = recount.slack / WH_PER_KWH, months["used"].min()
    kwh = months / WH_PER_KWH
    own = 100 * months["own"] / months["used"]
    covered = own + 100 * months["met"] / months["used"]
    return {
        ("energy_by_month", "consumption"): Expected(kwh["used"].to_dict()),
        ("energy_by_month", "from_own"): Expected(kwh["own"].to_dict()),
        ("energy_by_month", "from_others"): Expected(kwh["met"].to_dict(), loose),
        ("energy_by_month", "from_utility"): Expected(kwh["bought"].to_dict(), loose),
        ("energy_by_month", "sufficiency_own"): Expected(own.to_dict()),
        ("energy_by_month", "sufficiency_all"): Expected(
            covered.to_dict(), 100 * recount.slack / least
        ),
        ("prices_by_half_hour", "exports_day"): Expected(
            (halves["exported"] / WH_PER_KWH).to_dict()
        ),
        ("prices_by_half_hour", "imports_day"): Expected(
            (halves["imported"] / WH_PER_KWH).to_dict()
        ),
        ("prices_by_half_hour", "met_day"): Expected((halves["both"] / WH_PER_KWH).to_dict()),
    }


def _matrix(recount: Recount) -> dict[tuple[str, str], Expected]:
    own, used, loose = _kwh(recount, "own"), _kwh(recount, "used"), recount.slack / WH_PER_KWH
    sold, bought = (recount.slots[name].sum() / WH_PER_KWH for name in ("sold", "bought"))
    roofs = {site: wh for site, wh in _kwh(recount, "generated").items() if site != ALL}
    lost = {**_kwh(recount, "lost_own"), ALL: _kwh(recount, "lost")[ALL]}
    return {
        **{
            ("matrix", f"to_{site}"): Expected({site: own[site], ALL: used[site]})
            for site in recount.sites
        },
        ("matrix", "entered"): Expected({**roofs, len(recount.sites): bought}, loose),
        ("matrix", "sold_on"): Expected({ALL: sold}, loose),
        ("matrix", "lost"): Expected(lost),
        ("through", "through_own"): Expected(_kwh(recount, "through")),
        ("through", "lost_in_own"): Expected(_kwh(recount, "lost")),
    }


def _money(recount: Recount) -> dict[tuple[str, str], Expected]:
    cases = _cases(recount)
    (idle, idle_together), (ran, ran_together) = cases["batteries_idle"], cases["batteries_run"]
    spread, years = recount.spread / MICROYEN, recount.days / DAYS_PER_YEAR
    saved, worth = idle[ALL] - ran[ALL], idle_together - ran_together
    battery = {}
    if len(recount.given["batteries"]) == 1:
        outlook = f"outlook_{recount.given['batteries'][0]['site']}"
        battery = {
            (outlook, "worth_alone"): Expected({ANY: saved / years}),
            (outlook, "worth_market"): Expected({ANY: worth / years}),
        }
    return {
        ("money", "without"): Expected(ran),
        ("parties", "received_without"): Expected({0: -ran[ALL], 1: ran[ALL], 2: 0, ALL: 0}),
        ("parties", "received"): Expected({1: ran[ALL] - spread, ALL: 0}),
        ("parties", "change"): Expected({1: -spread, ALL: 0}),
        ("squares", "alone"): Expected({0: idle[ALL], 1: ran[ALL], 3: saved}),
        ("squares", "together_pay"): Expected({0: idle_together, 1: ran_together, 3: worth}),
        ("squares", "worth_trading"): Expected({0: idle[ALL] - idle_together, 1: spread}),
        **battery,
    }


def _own_first(recount: Recount) -> dict[tuple[str, str], Expected]:
    """Return what a battery that served its own office first would come to, beside the others."""
    cases = _cases(recount)
    idle, idle_together = cases["batteries_idle"]
    own, together = cases["batteries_own"]
    return {
        ("money", "without_own_first"): Expected(own, ROUNDED),
        ("squares", "alone"): Expected({2: own[ALL], 4: idle[ALL] - own[ALL]}, ROUNDED),
        ("squares", "together_pay"): Expected({2: together, 4: idle_together - together}, ROUNDED),
        ("squares", "worth_trading"): Expected({2: own[ALL] - together}, ROUNDED),
        **{
            ("peaks", key): Expected(recount.peaks(net.clip(lower=0)))
            for key, net in _nets(recount).items()
        },
    }


def _nets(recount: Recount) -> dict[str, pd.Series]:
    """Return each reading's net import, by case."""
    rows = recount.readings
    return {
        "batteries_idle": rows["used"] - rows["generated"],
        "batteries_run": rows["imported"] - rows["exported"],
        "batteries_own": recount.own_first,
    }


def _cases(recount: Recount) -> dict[str, tuple[Cells, float]]:
    """Return the bills of each office alone, and of all together, JPY, by case."""
    return {
        key: (_bills(recount, net), recount.together(net) / MICROYEN)
        for key, net in _nets(recount).items()
    }


def _bills(recount: Recount, net: pd.Series) -> Cells:
    """Return what each office pays alone for net imports, JPY."""
    bills = recount.bills(net.clip(lower=0), (-net).clip(lower=0))
    return recount.by_site(bills, MICROYEN)


def _batteries(recount: Recount) -> dict[tuple[str, str], Expected]:
    found: dict[tuple[str, str], Expected] = {}
    columns: dict[str, Cells] = {}
    for number, battery in enumerate(recount.given["batteries"]):
        site, capacity = battery["site"], battery["capacity_wh"]
        rows = recount.traced[recount.traced["site"] == site]
        seen = rows[rows["quality"] < ASSUMED]["stored"]
        # Each cycle of depth d moves 2 d; so half of what moved is the sum of depths.
        cycles = seen.diff().abs().sum() / 2 / capacity
        tenths = (seen * 10 // capacity).clip(upper=9).value_counts(normalize=True)
        found[f"states_{site}", "time"] = Expected(
            {tenth: 100 * float(tenths.get(tenth, 0)) for tenth in range(10)}
        )
        found[f"outlook_{site}", "cycles_a_year"] = Expected(
            {ANY: cycles / (recount.days / DAYS_PER_YEAR)}
        )
        sums = rows[["charged", "discharged", "lost"]].sum() / WH_PER_KWH
        for name, value in {
            "capacity": capacity / WH_PER_KWH,
            "power": battery["power_w"] / WH_PER_KWH,
            "round_trip": battery["round_trip_per_mille"] / 10,
            "full_cycles": cycles,
            **sums.to_dict(),
        }.items():
            columns.setdefault(name, {})[number] = float(value)
    return found | {("battery", name): Expected(cells) for name, cells in columns.items()}


def _wear(recount: Recount) -> dict[tuple[str, str], Expected]:
    """Return what ten years take of each battery, idle and as it ran."""
    found: dict[tuple[str, str], Expected] = {}
    for battery in recount.given["batteries"]:
        site, columns = battery["site"], dict[str, Cells]()
        kinds = worn(recount, site)
        for number, one in enumerate(kinds.values()):
            idle = replace(one, cycles=0.0, rest=one.idle_rest, worth=0.0)
            for place, each in ((IDLE, idle), (RAN, one)):
                row = place * len(kinds) + number
                paid = one.law["replacement_jpy_per_kwh"] * one.capacity
                by_cycles = paid * each.cycles / (1 - one.law["end_of_life"]) / TEN_YEARS
                for name, value in {
                    "capacity_left": 100 * (1 - each.cycles - each.rest),
                    "lost_to_cycles": 100 * each.cycles,
                    "lost_to_rest": 100 * each.rest,
                    "years_of_life": each.years(),
                    "wear_by_cycles": by_cycles,
                    "wear_by_rest": paid / each.years() - by_cycles,
                    "worth_net": each.left(buying=False),
                }.items():
                    columns.setdefault(name, {})[row] = value
        found |= {(f"outlook_{site}", name): Expected(cells) for name, cells in columns.items()}
    return found


def _turns(recount: Recount) -> dict[tuple[str, str], Expected]:
    """Return what is left by each price, life and spread, and where nothing is."""
    found: dict[tuple[str, str], Expected] = {}
    slots = recount.slots
    apart = float((slots["selling"] - slots["buying"]).mean()) / 1_000
    for battery in recount.given["batteries"]:
        site = battery["site"]
        even: dict[str, Cells] = {}
        for number, (kind, one) in enumerate(worn(recount, site).items()):
            lived = [{"cycles": times} for times in LIVES] + [{"rest": times} for times in RESTS]
            years: Cells = {row: one.years(**case) for row, case in enumerate(lived)}
            found[f"by_life_{site}", f"{kind}_years"] = Expected(years)
            tables: dict[str, list[dict[str, float]]] = {
                "by_price": [{"price": price} for price in PRICES],
                "by_life": lived,
                "by_spread": [{"dearer": more} for more in SPREADS],
            }
            for table, cases in tables.items():
                for asked, buying in (("running", False), ("buying", True)):
                    left: Cells = {n: one.left(buying, **case) for n, case in enumerate(cases)}
                    found[f"{table}_{site}", f"{kind}_{asked}"] = Expected(left)
            for buying in (False, True):
                cycles = one.turn(buying, "cycles", 1e-3, 1e3)
                for name, value in {
                    "left_now": one.left(buying),
                    "price_assumed": one.law["replacement_jpy_per_kwh"],
                    "price_most": one.turn(buying, "price", 1e-3, 1e9),
                    "spread_now": apart,
                    "spread_least": apart + one.turn(buying, "dearer", -1e3, 1e3),
                    "life_now": one.years(),
                    "life_least": one.turning_years(buying),
                    "cycles_assumed": one.cycles_of_life,
                    "cycles_least": cycles * one.cycles_of_life,
                }.items():
                    even.setdefault(name, {})[2 * number + buying] = value
        found |= {(f"break_even_{site}", name): Expected(cells) for name, cells in even.items()}
    return found


def _readings(recount: Recount) -> dict[tuple[str, str], Expected]:
    first, newest = recount.first, recount.readings
    counted = {
        "asked": pd.Series(1, index=newest.index),
        "missed": (first["quality"] >= ASSUMED).astype(int).set_axis(newest.index),
        "flagged": newest["quality"].between(1, ASSUMED - 1).astype(int),
    }
    return {
        ("readings", name): Expected(recount.by_site(values, 1)) for name, values in counted.items()
    }


def _kwh(recount: Recount, name: str) -> Cells:
    return recount.by_site(recount.traced[name], WH_PER_KWH)


def _percent(part: Cells, whole: Cells) -> Cells:
    return {row: 100 * part[row] / whole[row] for row in part}
