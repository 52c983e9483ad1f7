"""A row's public proof: a file that anyone can check, with or without a node, or without Yui.

The file holds the row, its leaf in OpenZeppelin's standard format, the proof, and the root of
its day. Checked offline it says that the row is under this root; whether the root stands, and
how much of the row was claimed, only the chain says. Energies in Wh.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chain.attesting import day_tree
from chain.origin import Claimed, OriginContract, RootAttested, origin_events, row_from
from chain.store import Store
from energy.attestation import day_number, day_of_row
from energy.attested import ROOT_BYTES, Standing, is_held
from energy.errors import ChainError, ProofWrong, RootNotStanding, RootsConflict, SettingError
from energy.lots import Kind
from energy.merkle import LEAF_ENCODING, leads_to, leaf_of, leaf_values
from energy.reason import reason_of
from energy.rows import Row
from energy.units import day_of, half_hour

if TYPE_CHECKING:
    from chain.node import NodeChain

FORMAT = "yui-origin-1"


def file_name(site: str, slot: int, place: int) -> str:
    """Return what the file of one of a slot's proofs is called, without a space.

    >>> file_name("Sendai Office", 866465, 0)
    'proof-Sendai-Office-866465-0.json'
    """
    return f"proof-{site.replace(' ', '-')}-{slot}-{place}.json"


@dataclass(frozen=True)
class Certificate:
    """A row with its proof, for the ledger of origins at an address of a chain."""

    chain_id: int
    origin: str
    row: Row
    proof: tuple[bytes, ...]
    root: bytes

    @property
    def day(self) -> date:
        """The Japan-time date of the row's slot."""
        return day_of(self.row.slot)

    def to_json(self, names: Mapping[int, str]) -> dict[str, object]:
        """Return the file's content; `names` are only for people."""
        row = self.row
        made = "" if row.origin.kind == Kind.GRID else names.get(row.origin.site, "")
        return {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "origin": self.origin,
            "day": self.day.isoformat(),
            "used": {
                "site": names.get(row.site, str(row.site)),
                "half_hour": f"{self.day} {half_hour(row.slot)}",
                "energy_wh": row.energy,
            },
            "from": {
                "kind": row.origin.kind.name.lower(),
                "site": made,
                "half_hour": f"{day_of(row.origin.slot)} {half_hour(row.origin.slot)}",
                "through_battery": None if row.through is None else names.get(row.through, ""),
            },
            "leaf_encoding": list(LEAF_ENCODING),
            "leaf_values": [str(value) for value in leaf_values(row)],
            "leaf": _hex(leaf_of(row)),
            "proof": [_hex(node) for node in self.proof],
            "root": _hex(self.root),
        }

    def check(self, root: bytes | None = None) -> None:
        """Check the proof, against the file's own root and, if given, another one.

        Raises:
            ProofWrong: if it does not lead there.
        """
        if not leads_to(leaf_of(self.row), self.proof, self.root):
            raise ProofWrong(day_number(self.day))
        if root is not None and root[:ROOT_BYTES] != self.root[:ROOT_BYTES]:
            raise ProofWrong(day_number(self.day))


def certificates_of(
    store: Store, chain_id: int, origin: str, rows: Iterable[Row]
) -> Iterator[Certificate]:
    """Yield the certificates of stored rows, in their order: they are by slot, a tree a day.

    Raises:
        SettingError: if a row's day is not settled to its end, or does not hold the row.
    """
    for day, of_day in groupby(rows, key=lambda row: day_of(row.slot)):
        tree = day_tree(store, day)
        for row in of_day:
            yield Certificate(chain_id, origin, row, tuple(tree.proof(row)), tree.root)


def certificate_from(path: Path) -> Certificate:
    """Read a proof file.

    Raises:
        SettingError: if it is none, or its row is not what its leaf says.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or tuple(content["leaf_encoding"]) != LEAF_ENCODING:
            raise ValueError(f"format {content['format']!r}")
        row = row_from([int(value) for value in content["leaf_values"]])
        certificate = Certificate(
            int(content["chain_id"]),
            str(content["origin"]),
            row,
            tuple(_bytes32(node) for node in content["proof"]),
            _bytes32(content["root"]),
        )
        shown = int(content["used"]["energy_wh"]), date.fromisoformat(content["day"])
        leaf = _bytes32(content["leaf"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise SettingError(f"{path} must be a proof file, got {reason_of(error)}") from error
    if shown != (row.energy, certificate.day) or leaf != leaf_of(row):
        raise SettingError(f"{path} must show the row of its leaf, got {shown[0]} Wh of {shown[1]}")
    return certificate


@dataclass(frozen=True)
class Part:
    """What was claimed of a row: Wh from Wh `start` on, for whom and what for."""

    start: int
    energy: int
    beneficiary: str
    purpose: str


@dataclass(frozen=True)
class Verdict:
    """What a node says of a certificate."""

    standing: Standing
    claimed: int
    claims: tuple[Part, ...]


def verified(certificate: Certificate, node: NodeChain) -> Verdict:
    """Check a certificate against a node; return what the chain says of its row.

    Raises:
        ProofWrong, RootNotStanding, RootsConflict: if the row cannot be relied on.
        ChainError: if the node is of another chain, or knows no such ledger.
    """
    certificate.check()
    if node.chain_id != certificate.chain_id:
        raise ChainError(f"the chain must be {certificate.chain_id}, got {node.chain_id}")
    if not node.code_at(certificate.origin):
        raise ChainError(f"a contract must be at {certificate.origin}, got none")
    contract = OriginContract(node, certificate.origin)
    day = day_of_row(certificate.row)
    logs = [log for _, log in node.logs(certificate.origin, 0, node.height(), [None, day])]
    events = origin_events(logs)
    standing = contract.standing_of(day)
    if not is_held(node.now(), day):
        standing = _standing_by(events, standing.active)
    if standing.dissenting:
        raise RootsConflict(day, standing.dissenting)
    if not standing.stands:
        raise RootNotStanding(day, standing.attesting, standing.needed)
    certificate.check(standing.root)
    leaf = leaf_of(certificate.row)
    parts = tuple(
        Part(one.start, one.energy, event.beneficiary, event.purpose)
        for event in events
        if isinstance(event, Claimed)
        for one in event.taken
        if one.leaf == leaf
    )
    return Verdict(standing, sum(part.energy for part in parts), parts)


def _standing_by(events: Sequence[RootAttested | Claimed], active: int) -> Standing:
    """Return how a day stands that the contract holds no more, by what its sites attested."""
    roots: dict[int, bytes] = {}
    for event in events:
        if isinstance(event, RootAttested):
            roots[event.site] = event.root[:ROOT_BYTES]
    root = next(iter(roots.values()), bytes(ROOT_BYTES))
    attesting = sum(one == root for one in roots.values())
    return Standing(root, attesting, len(roots) - attesting, active)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes32(text: str) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != 32:
        raise ValueError(f"a hash must have 32 bytes, got {len(value)}")
    return value
