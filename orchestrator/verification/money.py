"""Money of a period against no trading, and what a settlement is made of, microyen.

Two counterfactuals, half hour by half hour, each site alone with the utility at its two prices. One
takes the meters as they were: the batteries do in it what they did, perhaps for the market. In the
other each battery serves its own office first (`cases`), as it would without a market: that is the
fairer one, and for battery owners the market brought less against it.

The terms of each settlement are computed again (`contracts/Settlement.sol`, as
`energy.settlement` has it) for all slots at once, and must add up to what the chain says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.verification.cases import OWN_FIRST, Case, cases_of
from orchestrator.verification.facts import Facts
from orchestrator.verification.period import Array, months

TERMS = ("trades", "pool", "broken", "utility", "fee")


@dataclass(frozen=True)
class Money:
    """By site in the order of numbers, unless said otherwise; payments are positive."""

    without: Array
    """Paid to the utility for the same readings without trading."""
    paid: Array
    """Paid as settled, corrections included."""
    terms: dict[str, Array]
    """What settlements owe each for trades, pool, broken trades, by the utility, and fees."""
    corrections: Array
    """What each is owed by corrections."""
    utility_without: int
    """Received by the utility without trading."""
    utility: int
    network: int
    """Received by the network: fees, and the difference of broken trades."""
    fees: int
    agreeing: int
    """How many slots' entries are to the microyen what the terms add up to."""
    slots: int
    undelivered: Array
    """Sold and not exported, Wh."""
    untaken: Array
    """Bought and not imported, Wh."""
    lost_to_breaking: Array
    """What sites lost against not having made the trades that they broke."""
    traded: int
    delivered: int
    pooled: int
    month_names: list[str]
    month_gain: Array
    """By month: the sites' gain together; a correction counts in the month of what it corrects."""
    cases: dict[str, Case]

    @property
    def gain(self) -> Array:
        """What each saved against the same meters without trading."""
        return self.without - self.paid

    @property
    def gain_over_own_first(self) -> Array:
        """What each saved against no trading, its battery serving its own office first."""
        return self.cases[OWN_FIRST].alone - self.paid


def money_figures(facts: Facts) -> Money:
    """Compute a period's money."""
    meters = facts.meters
    bills = facts.selling[:, None] * meters["imported"] - facts.buying[:, None] * meters["exported"]
    settled = facts.entries + facts.corrections
    owed, corrected = settled.sum(axis=0), facts.corrections.sum(axis=0)
    sites = facts.sites
    terms, broken = _terms(facts)
    agrees = np.equal(sum(terms.values()), facts.entries[:, :sites]).all(axis=1)
    names, places = months(facts.slots)
    gains = (bills + settled[:, :sites]).sum(axis=1)
    pool = facts.between("pool")
    return Money(
        without=bills.sum(axis=0),
        paid=-owed[:sites],
        terms={name: term.sum(axis=0) for name, term in terms.items()},
        corrections=corrected[:sites],
        utility_without=int(bills.sum()),
        utility=int(owed[sites]),
        network=int(owed[sites + 1]),
        fees=-int(terms["fee"].sum()),
        agreeing=int((agrees & facts.settled).sum()),
        slots=int(facts.settled.sum()),
        undelivered=broken["undelivered"],
        untaken=broken["untaken"],
        lost_to_breaking=broken["lost"],
        traded=int(facts.flows["trade"][:, 3].sum()),
        delivered=int(facts.flows["delivery"][:, 3].sum()),
        pooled=int(pool.sum() - np.trace(pool)),
        month_names=names,
        month_gain=np.bincount(places, gains, len(names)),
        cases=cases_of(facts),
    )


def shares(had: Array, wanted: Array) -> Array:
    """Ration what each slot has among its sites, as `energy.settlement.shares` does.

    `had` by slot, `wanted` by slot and site.
    """
    sums = np.cumsum(wanted, axis=1)
    total = np.maximum(sums[:, -1:], 1)
    given = had[:, None] * sums // total
    return np.diff(given, axis=1, prepend=0)


def _terms(facts: Facts) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return each slot's and site's terms, and what broken trades came to by site."""
    sold, bought = facts.by_site("trade", 1), facts.by_site("trade", 2)
    exported, imported = facts.first_exported, facts.first_imported
    surplus, undelivered = np.maximum(exported - sold, 0), np.maximum(sold - exported, 0)
    extra, untaken = np.maximum(imported - bought, 0), np.maximum(bought - imported, 0)

    def total(wanted: Array) -> Array:
        return np.asarray(wanted.sum(axis=1))

    volume = np.minimum(total(surplus) + total(untaken), total(extra) + total(undelivered))
    from_surplus, to_extra = np.minimum(volume, total(surplus)), np.minimum(volume, total(extra))
    surplus_share, untaken_share = (
        shares(from_surplus, surplus),
        shares(volume - from_surplus, untaken),
    )
    extra_share, undelivered_share = (
        shares(to_extra, extra),
        shares(volume - to_extra, undelivered),
    )
    middle, price = facts.middle, facts.price
    seller_pays = np.maximum(middle, price)[:, None]
    buyer_gets = np.minimum(middle, price)[:, None]
    selling, buying, price = facts.selling[:, None], facts.buying[:, None], price[:, None]
    foreign = np.zeros_like(sold)
    for kind in ("delivery", "pool"):
        rows = facts.flows[kind]
        rows = rows[rows[:, 1] != rows[:, 2]]
        np.add.at(foreign, (rows[:, 0], rows[:, 2]), rows[:, 3])
    terms = {
        "trades": price * (sold - bought),
        "pool": middle[:, None] * (surplus_share - extra_share),
        "broken": buyer_gets * untaken_share - seller_pays * undelivered_share,
        "utility": buying * (surplus - surplus_share + untaken - untaken_share)
        - selling * (extra - extra_share + undelivered - undelivered_share),
        "fee": -facts.fee[:, None] * foreign,
    }
    lost = (
        (seller_pays - price) * undelivered_share
        + (selling - price) * (undelivered - undelivered_share)
        + (price - buyer_gets) * untaken_share
        + (price - buying) * (untaken - untaken_share)
    )
    return terms, {
        "undelivered": undelivered.sum(axis=0),
        "untaken": untaken.sum(axis=0),
        "lost": lost.sum(axis=0),
    }
