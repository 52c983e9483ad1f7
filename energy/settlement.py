"""Settling a slot: what each account is owed, and what flowed from where to where.

Energies in Wh, prices in 0.001 JPY/kWh, money in microyen (Wh x price, exactly). The twin of
`contracts/Settlement.sol`:

- Trades are firm: a buyer owes and a seller gets the price for all of it.
- Whoever exported less than sold or imported more than bought is short, the other way long.
- Long and short meet in the pool at the middle of the utility's prices: first what was metered
  (surplus exported, extra import), then broken trades, for which a failed seller pays at least
  the trades' price and a failed buyer gets at most that. The difference is the network's.
- The utility buys and sells the rest at its two prices.
- An importer owes the fee for each Wh that came from another office.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from energy.records import Reading, Trade
from energy.registry import Tariff


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled slot.

    `deliveries` stand in the order of the trades, 0 Wh included; `pool` holds the other flows
    between offices, where a site may meet itself; `entries` what each site is owed, then the
    utility, then the network: they sum to zero.
    """

    deliveries: tuple[Trade, ...]
    pool: tuple[Trade, ...]
    entries: tuple[int, ...]


def shares(had: int, wanted: Sequence[int]) -> list[int]:
    """Ration `had` among wants by rounding of cumulative sums, so that the shares add up.

    >>> shares(10, [7, 7, 7])
    [3, 3, 4]
    >>> shares(0, [0, 0])
    [0, 0]
    """
    total = sum(wanted)
    if not total:
        return [0] * len(wanted)
    given, sum_before = [], 0
    for want in wanted:
        given.append(had * (sum_before + want) // total - had * sum_before // total)
        sum_before += want
    return given


def settled(
    readings: Sequence[Reading | None], trades: Iterable[Trade], price: int, tariff: Tariff
) -> Settlement:
    """Settle a slot.

    `readings` has an entry for each site ever enrolled, in order; None for one that takes no
    part. For a site whose reading is missing it holds the assumed one.
    """
    trades = tuple(trades)
    exported = [reading.exported if reading else 0 for reading in readings]
    imported = [reading.imported if reading else 0 for reading in readings]
    sold, bought = [0] * len(readings), [0] * len(readings)
    for trade in trades:
        sold[trade.seller] += trade.energy
        bought[trade.buyer] += trade.energy
    deliveries, exports_left, imports_left = _delivered(trades, exported, imported)
    pool = _pooled(trades[0].slot if trades else _slot_of(readings), exports_left, imports_left)
    foreign = [0] * len(readings)
    for flow in deliveries + pool:
        if flow.seller != flow.buyer:
            foreign[flow.buyer] += flow.energy
    entries = _entries(sold, bought, exported, imported, foreign, price, tariff)
    return Settlement(deliveries, pool, entries)


def _slot_of(readings: Sequence[Reading | None]) -> int:
    return next((reading.slot for reading in readings if reading), 0)


def _delivered(
    trades: tuple[Trade, ...], exported: Sequence[int], imported: Sequence[int]
) -> tuple[tuple[Trade, ...], list[int], list[int]]:
    """Return what was delivered of each trade, and what each site exported and imported beyond."""
    exports_left, imports_left = list(exported), list(imported)
    deliveries = []
    for trade in trades:
        energy = min(trade.energy, exports_left[trade.seller], imports_left[trade.buyer])
        exports_left[trade.seller] -= energy
        imports_left[trade.buyer] -= energy
        deliveries.append(Trade(trade.slot, trade.seller, trade.buyer, energy))
    return tuple(deliveries), exports_left, imports_left


def _pooled(
    slot: int, exports_left: Sequence[int], imports_left: Sequence[int]
) -> tuple[Trade, ...]:
    """Return the flows of the pool: rationed on both sides and paired in site order."""
    volume = min(sum(exports_left), sum(imports_left))
    givers = [pair for pair in enumerate(shares(volume, exports_left)) if pair[1]]
    takers = [pair for pair in enumerate(shares(volume, imports_left)) if pair[1]]
    flows = []
    while givers:
        (giver, given), (taker, taken) = givers[0], takers[0]
        energy = min(given, taken)
        flows.append(Trade(slot, giver, taker, energy))
        givers[:1] = [(giver, given - energy)] if given > energy else []
        takers[:1] = [(taker, taken - energy)] if taken > energy else []
    return tuple(flows)


def _entries(
    sold: Sequence[int],
    bought: Sequence[int],
    exported: Sequence[int],
    imported: Sequence[int],
    foreign: Sequence[int],
    price: int,
    tariff: Tariff,
) -> tuple[int, ...]:
    sites = range(len(sold))
    surplus = [max(exported[site] - sold[site], 0) for site in sites]
    undelivered = [max(sold[site] - exported[site], 0) for site in sites]
    extra = [max(imported[site] - bought[site], 0) for site in sites]
    untaken = [max(bought[site] - imported[site], 0) for site in sites]

    volume = min(sum(surplus) + sum(untaken), sum(extra) + sum(undelivered))
    from_surplus = min(volume, sum(surplus))
    to_extra = min(volume, sum(extra))
    surplus_share = shares(from_surplus, surplus)
    untaken_share = shares(volume - from_surplus, untaken)
    extra_share = shares(to_extra, extra)
    undelivered_share = shares(volume - to_extra, undelivered)

    failed_seller_pays = max(tariff.middle, price)
    failed_buyer_gets = min(tariff.middle, price)
    entries = []
    utility = 0
    for site in sites:
        long = surplus[site] - surplus_share[site] + untaken[site] - untaken_share[site]
        short = extra[site] - extra_share[site] + undelivered[site] - undelivered_share[site]
        from_utility = tariff.buying * long - tariff.selling * short
        utility -= from_utility
        entries.append(
            price * (sold[site] - bought[site])
            + tariff.middle * (surplus_share[site] - extra_share[site])
            + failed_buyer_gets * untaken_share[site]
            - failed_seller_pays * undelivered_share[site]
            + from_utility
            - tariff.fee * foreign[site]
        )
    network = (
        tariff.fee * sum(foreign)
        + (failed_seller_pays - tariff.middle) * (volume - to_extra)
        + (tariff.middle - failed_buyer_gets) * (volume - from_surplus)
    )
    return (*entries, utility, network)


def corrected(before: Reading, after: Reading, tariff: Tariff) -> int:
    """Return what a site is owed by the utility for a corrected reading, in microyen.

    More import is bought at the selling price, less is sold back at the buying price; exports
    count at the buying price.
    """
    imported = after.imported - before.imported
    exported = after.exported - before.exported
    import_price = tariff.selling if imported > 0 else tariff.buying
    return exported * tariff.buying - imported * import_price
