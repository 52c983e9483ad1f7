"""Signed orders under load: as many as a large market may send, for as long as they last."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
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
from energy.errors import ChainError
from energy.messages import address_of, sign
from energy.records import Order, Side, packed
from energy.units import SLOT_SECONDS

SITES = 640
ORDERS_OF_A_SITE = 14
BATCH = SITES * ORDERS_OF_A_SITE // 10
OFFERED_A_SECOND = 1_200
MOST_A_BLOCK = 2
OUTSTANDING = 5
"""Batches that wait for a block: more would only make blocks that take longer than a period."""
AFTER_BLOCK_SECONDS = 0.6
"""So long after a block its successor's sealer is sent to: others fetch what they are told of half
a second later, when he has begun."""
_END_SECONDS = 60.0
_GAS_OF_ENROLMENT = 400_000
_GAS_OF_AN_ORDER = 12_000
_PRICE = Wei(10**9)

Batch = tuple[int, bytes, bytes]
"""Slot, packed orders, signatures."""


def sustained(chain: TrialChain, nodes: Sequence[MemberNode], seconds: int) -> list[Figure]:
    """Offer 1,200 orders a second, and count those that stand for good."""
    market = MarketContract.deployed(chain, chain.sender, rules_at(chain.now()))
    batches = _prepared(chain, market, seconds)
    relays, watched = Relays(nodes), nodes[-1]
    before, begun = chain.height(), time.monotonic()
    sender_begun, nodes_begun = time.process_time(), _processor_seconds(nodes)
    sent = 0
    while sent < len(batches):
        height = _next_block(watched, relays)
        due = int((time.monotonic() - begun) * OFFERED_A_SECOND / BATCH) + 1
        for batch in batches[sent : min(due, sent + MOST_A_BLOCK)]:
            relays.post(height, market.address, batch)
            sent += 1
    count, spent = 0, 0.0
    while count < sent * BATCH and spent < seconds + _END_SECONDS:
        time.sleep(0.1)
        spent = time.monotonic() - begun
        count = orders_in(chain, market.address, before + 1, chain.height())
    sender_spent = time.process_time() - sender_begun
    nodes_spent = _processor_seconds(nodes) - nodes_begun
    chain.wait_until_final(chain.height())
    count = orders_in(chain, market.address, before + 1, chain.final_height())
    return [
        Figure("orders sent and not on the chain", sent * BATCH - count, "count", 0),
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


def _prepared(chain: TrialChain, market: MarketContract, seconds: int) -> list[Batch]:
    """Enrol the sites, open all slots up to the horizon, and sign what is to be offered."""
    first = chain.now() // SLOT_SECONDS + HORIZON + 2
    deployer = Pipeline(chain, chain.key)
    for site in range(SITES):
        keys = (address_of(key_of("trader", site)), address_of(key_of("oracle", site)))
        ratings = tuple(getattr(RATINGS, name) for name in RATINGS.__dataclass_fields__)
        enrolment = interface("Market").call("enrol", first, *keys, ratings)
        deployer.send(market.address, enrolment, _GAS_OF_ENROLMENT)
    deployer.wait()
    chain.set_time((first - 1) * SLOT_SECONDS)
    batches = _batches(market, range(first, first + HORIZON))
    return list(islice(batches, seconds * OFFERED_A_SECOND // BATCH))


def _next_block(node: MemberNode, relays: Relays) -> int:
    """Wait for the node's next block, and until few enough batches wait; return its number."""
    end, height = time.monotonic() + _END_SECONDS, node.height()
    while node.height() == height or relays.outstanding > OUTSTANDING - MOST_A_BLOCK:
        if time.monotonic() > end:
            raise ChainError(f"a block must come within {_END_SECONDS:g} s, got none")
        time.sleep(0.02)
    time.sleep(AFTER_BLOCK_SECONDS)
    return node.height()


def _batches(market: MarketContract, slots: range) -> Iterator[Batch]:
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


class Relays:
    """A relay a member, each through its own node, paid for by its validator.

    A batch goes to the member whose turn to seal comes next but one. Its node alone has the
    batch when it makes its block, and runs it twice; the others run it once, with that block.
    """

    def __init__(self, nodes: Sequence[MemberNode]) -> None:
        # Clique's turns follow the order of the addresses.
        in_turn = sorted(nodes, key=lambda node: node.member.validator.lower())
        self._pipelines = [
            Pipeline(node.chain(), key_at(node.folder / "validator.json")) for node in in_turn
        ]

    def post(self, height: int, market: str, batch: Batch) -> None:
        """Post a batch after the block of a height."""
        data = interface("Market").call("post", *batch)
        turn = (height + 2) % len(self._pipelines)
        self._pipelines[turn].send(market, data, BATCH * _GAS_OF_AN_ORDER)

    @property
    def outstanding(self) -> int:
        """How many batches are in no block yet."""
        return sum(pipeline.outstanding for pipeline in self._pipelines)


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

    @property
    def outstanding(self) -> int:
        """How many of them are in no block yet, as this node sees it."""
        eth = self._chain.web3.eth
        return self._nonce - eth.get_transaction_count(self._account.address)

    def wait(self, timeout_seconds: float = 180) -> None:
        """Wait until all of them are in blocks.

        Raises:
            ChainError: if that takes longer.
        """
        end = time.monotonic() + timeout_seconds
        while self.outstanding:
            if time.monotonic() > end:
                raise ChainError(f"{self.outstanding} transactions must be in blocks, and are not")
            time.sleep(0.1)
