"""Signed orders under load: as many as a large market may send, for as long as they last."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from eth_account import Account
from web3.types import Nonce, TxParams, Wei

from bench.figures import Figure
from bench.town import HORIZON, RATINGS, key_of, orders_in, rules_at
from chain.contract import interface
from chain.market import MarketContract
from chain.network.keys import key_at
from chain.network.node import MemberNode
from chain.network.trial import TrialChain
from chain.node import NodeChain
from energy.messages import address_of, sign
from energy.records import Order, Side, packed
from energy.units import SLOT_SECONDS

SITES = 640
ORDERS_OF_A_SITE = 14
BATCH = SITES * ORDERS_OF_A_SITE // 10
OFFERED_A_SECOND = 1_200
OUTSTANDING = 4
"""Batches that wait for a block: more would only make blocks that take longer than a period."""
_GAS_OF_ENROLMENT = 400_000
_GAS_OF_AN_ORDER = 12_000
_PRICE = Wei(10**9)


def sustained(chain: TrialChain, nodes: Sequence[MemberNode], seconds: int) -> list[Figure]:
    """Offer 1,200 orders a second to another node than the one that is asked what came of it."""
    market = MarketContract.deployed(chain, chain.sender, rules_at(chain.now()))
    first = chain.now() // SLOT_SECONDS + HORIZON + 2
    code = interface("Market")
    deployer = Pipeline(chain, chain.key)
    for site in range(SITES):
        keys = (address_of(key_of("trader", site)), address_of(key_of("oracle", site)))
        ratings = tuple(getattr(RATINGS, name) for name in RATINGS.__dataclass_fields__)
        deployer.send(market.address, code.call("enrol", first, *keys, ratings), _GAS_OF_ENROLMENT)
    deployer.wait()
    # Now all slots up to the horizon are open, the first for some minutes still.
    chain.set_time((first - 1) * SLOT_SECONDS)
    batches = list(_batches(market, range(first, first + HORIZON)))
    batches = batches[: seconds * OFFERED_A_SECOND // BATCH]
    relay = Pipeline(nodes[0].chain(), key_at(chain.network / "accounts" / "relay.json"))
    before, begun = chain.height(), time.monotonic()
    sender_begun, nodes_begun = time.process_time(), _processor_seconds(nodes)
    for number, (slot, orders, signatures) in enumerate(batches):
        time.sleep(max(begun + number * BATCH / OFFERED_A_SECOND - time.monotonic(), 0))
        relay.wait(room=OUTSTANDING)
        data = code.call("post", slot, orders, signatures)
        relay.send(market.address, data, BATCH * _GAS_OF_AN_ORDER)
    relay.wait()
    spent = time.monotonic() - begun
    sender_spent = time.process_time() - sender_begun
    nodes_spent = _processor_seconds(nodes) - nodes_begun
    count = orders_in(chain, market.address, before + 1, chain.height())
    return [
        Figure("orders sent and not on the chain", len(batches) * BATCH - count, "count", 0),
        Figure(f"orders a second, sustained {spent:.0f} s", count / spent, "1/s"),
        Figure("seconds for 1,000 of them", 1000 * spent / count, "s", 1.0),
        Figure(
            f"processor time of {len(nodes)} validators for 1,000 of them",
            1000 * nodes_spent / count,
            "s",
        ),
        Figure("processor time of their sender", 1000 * sender_spent / count, "s"),
    ]


def _processor_seconds(nodes: Sequence[MemberNode]) -> float:
    """Return the processor time that nodes have taken: a busy machine hardly disturbs it."""
    ticks = 0
    for node in nodes:
        if (pid := node.pid()) is not None:
            # After the name in brackets; see proc(5): utime and stime are fields 14 and 15.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _batches(market: MarketContract, slots: range) -> Iterator[tuple[int, bytes, bytes]]:
    domain = market.domain
    for slot in slots:
        orders = [
            Order(slot, site, Side(site % 2), 100 + site, 12_000 + 7 * site, sequence)
            for sequence in range(1, ORDERS_OF_A_SITE + 1)
            for site in range(SITES)
        ]
        for at in range(0, len(orders), BATCH):
            batch = orders[at : at + BATCH]
            signatures = (sign(order, domain, key_of("trader", order.site)) for order in batch)
            yield slot, packed(batch), b"".join(signatures)


class Pipeline:
    """Transactions of one account, sent one after the other without waiting for blocks."""

    def __init__(self, chain: NodeChain, key: bytes | None) -> None:
        self._chain = chain
        self._account = Account.from_key(key)
        self._nonce = int(chain.web3.eth.get_transaction_count(self._account.address))

    def send(self, to: str, data: bytes, gas: int) -> None:
        """Send a transaction."""
        transaction: TxParams = {
            "to": to,
            "data": data,
            "gas": gas,
            "gasPrice": _PRICE,
            "nonce": Nonce(self._nonce),
            "chainId": self._chain.chain_id,
        }
        signed = self._account.sign_transaction(transaction)
        self._chain.web3.eth.send_raw_transaction(signed.raw_transaction)
        self._nonce += 1

    def wait(self, timeout_seconds: float = 180, room: int = 0) -> None:
        """Wait until all of them but `room` are in blocks, as this node sees it."""
        end = time.monotonic() + timeout_seconds
        eth = self._chain.web3.eth
        while eth.get_transaction_count(self._account.address) < self._nonce - room:
            if time.monotonic() > end:
                return
            time.sleep(0.1)
