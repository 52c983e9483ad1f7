"""What an account has left to pay gas with, and how long that lasts at its present use.

Its use is read from the chain: what its balance lost from hour to hour of the last day. The hour
in which most went is left out, since a payment to somebody is not use.

Amounts in wei, times in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from chain.network.genesis import COIN
from chain.node import NodeChain
from energy.errors import ChainError

DAY_SECONDS = 86_400
LOW_DAYS = 90
"""Low below it: a council that meets once a month has tried twice by then."""
LOW_TRANSACTIONS = 5_000
"""Low below it, whatever the use: some hundred days of a site's terminal."""
TRANSACTION_GAS = 100_000
_HOURS = 24


@dataclass(frozen=True)
class Funds:
    """What an account can still pay for.

    `spent_a_day` is what gas has cost it in the last day; None where the chain is younger than
    that, or the node has let go of the states of then.
    """

    address: str
    balance: int
    gas_price: int
    spent_a_day: float | None = None
    low_days: float = LOW_DAYS

    @property
    def coins(self) -> float:
        """What it has, in coins."""
        return self.balance / COIN

    @property
    def days(self) -> float | None:
        """How many days that lasts; None if nothing is spent, or that cannot be told."""
        return self.balance / self.spent_a_day if self.spent_a_day else None

    @property
    def transactions(self) -> int | None:
        """How many transactions of 100,000 gas it can still pay for; None where gas is free."""
        return self.balance // (TRANSACTION_GAS * self.gas_price) if self.gas_price else None

    @property
    def low(self) -> bool:
        """Whether somebody should top it up.

        >>> day = 48 * 50_000 * 10**9
        >>> [Funds("0x", days * day, 10**9, day).low for days in (89, 500)]
        [True, False]
        >>> Funds("0x", 10**17, 10**9).low  # a thousand transactions, by whatever use
        True
        """
        if self.transactions is None:
            return False
        return self.transactions < LOW_TRANSACTIONS or (
            self.days is not None and self.days < self.low_days
        )

    def __str__(self) -> str:
        lasts = "" if self.days is None else f", {self.days:,.0f} days at the present use"
        count = "" if self.transactions is None else f", {self.transactions:,} transactions"
        return f"{self.coins:,.3f} coins{count}{lasts}"


def funds_of(node: NodeChain, address: str, low_days: float = LOW_DAYS) -> Funds:
    """Return what an account can still pay for, at the node's gas price.

    Raises:
        ChainError: if the node does not answer.
    """
    balance = node.balance_of(address)
    try:
        spent = _spent_a_day(node, address)
    except ChainError:
        spent = None
    return Funds(address, balance, node.gas_price_wei, spent, low_days)


def _spent_a_day(node: NodeChain, address: str) -> float | None:
    head, now = node.head()
    first = node.block_at(now - DAY_SECONDS)
    age_days = (now - node.time_of(first)) / DAY_SECONDS
    if head - first < _HOURS or not 1 <= age_days <= 2:
        return None  # the chain is young, or has stood still
    blocks = [first + (head - first) * hour // _HOURS for hour in range(_HOURS + 1)]
    balances = [node.balance_of(address, block) for block in blocks]
    lost = sorted(max(before - after, 0) for before, after in pairwise(balances))
    return sum(lost[:-1]) * _HOURS / (_HOURS - 1)
