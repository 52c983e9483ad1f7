"""The market's contract as Python calls, in the market's records, on any chain.

Units as in `energy.units`; times in unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

from eth_utils.address import to_checksum_address

from chain.contract import Chain, Receipt, interface
from chain.events import tariff_from
from energy.clearing import Ranking
from energy.errors import ChainError
from energy.market import MarketRules
from energy.messages import Domain
from energy.records import Order, Reading, Trade, packed
from energy.registry import Ratings, SiteTerms, Tariff

_MARKET = interface("Market")


@dataclass(frozen=True)
class MarketContract:
    """A deployed market. Each call may raise a `Refusal` or a `ChainError`."""

    chain: Chain
    address: str

    @classmethod
    def deployed(cls, chain: Chain, owner: str, rules: MarketRules) -> MarketContract:
        """Deploy a market, as a test or bench does it; see `deploy/` for the real way."""
        code = _MARKET.init_code(
            [
                owner,
                rules.first_slot,
                rules.horizon,
                rules.reading_deadline_seconds,
                rules.gate_seconds,
                rules.after_metering,
            ]
        )
        address, _ = chain.deploy(code)
        return cls(chain, address)

    @property
    def domain(self) -> Domain:
        """The deployment that signatures are for."""
        return Domain(self.chain.chain_id, self.address)

    @cached_property
    def rules(self) -> MarketRules:
        """What the deployment was made with."""
        return MarketRules(*self._ask("rules"))

    def at_block(self, number: int) -> MarketContract:
        """Return the market as it was after a block; only a node can tell.

        Raises:
            ChainError: if the chain is no node.
        """
        at_block = getattr(self.chain, "at_block", None)
        if at_block is None:
            raise ChainError(f"a chain must be a node to tell of block {number}")
        return MarketContract(at_block(number), self.address)

    def post(self, slot: int, orders: Sequence[Order], signatures: Sequence[bytes]) -> Receipt:
        """Post signed orders of a slot."""
        return self._send("post", slot, packed(orders), b"".join(signatures))

    def clear(self, slot: int, orders: Sequence[Order], ranking: Ranking) -> Receipt:
        """Clear a slot's book, given again with a ranking."""
        return self.clear_packed(
            slot, packed(orders), _indices(ranking.bids), _indices(ranking.asks)
        )

    def clear_packed(self, slot: int, orders: bytes, bids: bytes, asks: bytes) -> Receipt:
        """Clear a slot's packed book with a ranking of 2-byte indices."""
        return self._send("clear", slot, orders, bids, asks)

    def push(self, readings: Sequence[Reading], signatures: Sequence[bytes]) -> Receipt:
        """Push signed readings."""
        return self._send("push", packed(readings), b"".join(signatures))

    def settle(self, slot: int, trades: Sequence[Trade]) -> Receipt:
        """Settle a slot."""
        return self._send("settle", slot, packed(trades))

    def enrol(self, from_slot: int, trader: str, oracle: str, ratings: Ratings) -> Receipt:
        """Enrol a site from a slot on."""
        return self._send("enrol", from_slot, trader, oracle, astuple(ratings))

    def amend(
        self, site: int, from_slot: int, trader: str, oracle: str, ratings: Ratings
    ) -> Receipt:
        """Rotate a site's keys, change its ratings, or resume it, from a slot on."""
        return self._send("amend", site, from_slot, trader, oracle, astuple(ratings))

    def suspend(self, site: int, from_slot: int) -> Receipt:
        """Let a site take no part from a slot on, until it is amended."""
        return self._send("suspend", site, from_slot)

    def retire(self, site: int, from_slot: int) -> Receipt:
        """Let a site take no part from a slot on, for good."""
        return self._send("retire", site, from_slot)

    def void_orders(self, site: int, slots: Sequence[int]) -> Receipt:
        """Void a site's orders for slots before its new trader key holds."""
        return self._send("voidOrders", site, list(slots))

    def enact_tariff(self, from_slot: int, tariffs: Sequence[Tariff]) -> Receipt:
        """Enact the prices and fee of the day's 48 half hours from a slot on."""
        return self._send("enactTariff", from_slot, [tariff.to_word() for tariff in tariffs])

    def change_owner(self, owner: str) -> Receipt:
        """Hand the registry to another owner."""
        return self._send("changeOwner", owner)

    def state_word(self, slot: int) -> int:
        """Return the slot's word in the ring, as `contracts/types/SlotState.sol` draws it."""
        return int(self._ask("stateOf", slot))

    def state_words(self, slots: Sequence[int]) -> list[int]:
        """Return the words of many slots, as `state_word` does."""
        return [int(word) for word in self._ask_all("stateOf", [(slot,) for slot in slots])]

    def sequence_of(self, slot: int, site: int) -> int:
        """Return how many orders a site has posted for a slot."""
        return int(self._ask("sequenceOf", slot, site))

    def sequences_of(self, places: Sequence[tuple[int, int]]) -> list[int]:
        """Return the sequences of many slots and sites, as `sequence_of` does."""
        return [int(sequence) for sequence in self._ask_all("sequenceOf", places)]

    def reading_of(self, slot: int, site: int) -> Reading | None:
        """Return the reading of a slot and site, if the chain holds one."""
        word = self._ask("readingOf", slot, site)
        return Reading.from_word(word) if word else None

    def readings_of(self, places: Sequence[tuple[int, int]]) -> list[Reading | None]:
        """Return the readings of many slots and sites, as `reading_of` does."""
        words = self._ask_all("readingOf", places)
        return [Reading.from_word(word) if word else None for word in words]

    def balance_of(self, account: int) -> int:
        """Return what an account is owed, microyen."""
        return int(self._ask("balanceOf", account))

    def sites_at(self, slot: int) -> tuple[int, int]:
        """Return how many sites are enrolled in a slot, and how many are active."""
        enrolled, active = self._ask("sitesAt", slot)
        return enrolled, active

    def site_at(self, site: int, slot: int) -> SiteTerms | None:
        """Return a site's keys and ratings in a slot; None where it takes no part."""
        trader, oracle, ratings = self._ask("siteAt", site, slot)
        if not int(trader, 16):
            return None
        return SiteTerms(
            slot, to_checksum_address(trader), to_checksum_address(oracle), Ratings(*ratings)
        )

    def tariff_at(self, slot: int) -> Tariff:
        """Return the prices of a slot."""
        return tariff_from(self._ask("tariffAt", slot))

    def owner(self) -> str:
        """Return who may change the registry."""
        return to_checksum_address(self._ask("owner"))

    def domain_separator(self) -> bytes:
        """Return the domain separator that the contract checks signatures with."""
        return bytes(self._ask("domainSeparator"))

    def _send(self, function: str, *arguments: Any) -> Receipt:
        return self.chain.send(self.address, _MARKET.call(function, *arguments))

    def _ask(self, function: str, *arguments: Any) -> Any:
        data = self.chain.call(self.address, _MARKET.call(function, *arguments))
        return _MARKET.result(function, data)

    def _ask_all(self, function: str, arguments: Sequence[Sequence[Any]]) -> list[Any]:
        calls = [_MARKET.call(function, *given) for given in arguments]
        answers = self.chain.calls(self.address, calls)
        return [_MARKET.result(function, data) for data in answers]


def _indices(indices: Sequence[int]) -> bytes:
    return b"".join(index.to_bytes(2) for index in indices)
