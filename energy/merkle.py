"""The Merkle tree of a day's rows, in OpenZeppelin's standard format.

A leaf is keccak256(keccak256(abi.encode(row))), a node keccak256 of its two children, the
smaller first. Leaves are sorted by their hash, so that a set of rows has one root. Source:
@openzeppelin/merkle-tree 1.0, StandardMerkleTree; contracts check it by MerkleProof or solady's
MerkleProofLib.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eth_utils.crypto import keccak

from energy.errors import SettingError
from energy.rows import Row

NO_BATTERY = 0xFFFF
"""What stands in a leaf for the battery of a row that came through none."""
LEAF_ENCODING = ("uint32", "uint16", "uint32", "uint8", "uint16", "uint32", "uint16")
"""Solidity types of a leaf's values."""


def leaf_values(row: Row) -> tuple[int, ...]:
    """Return a row as its leaf holds it: the words of `Row` in `contracts/interfaces/IOrigin.sol`.

    They are slot, site, energy (Wh), kind, origin site, origin slot, last battery's site.
    """
    through = NO_BATTERY if row.through is None else row.through
    origin = row.origin
    return row.slot, row.site, row.energy, int(origin.kind), origin.site, origin.slot, through


def encoded(row: Row) -> bytes:
    """Return a row as Solidity encodes it: a word of 32 bytes for each value."""
    return b"".join(value.to_bytes(32) for value in leaf_values(row))


def leaf_of(row: Row) -> bytes:
    """Return a row's leaf (32 bytes)."""
    return keccak(keccak(encoded(row)))


class MerkleTree:
    """The tree of some rows.

    >>> from energy.lots import Kind, Origin
    >>> rows = [Row(866_450, 0, 100, Origin(Kind.GENERATION, site, 866_450)) for site in (1, 2, 3)]
    >>> tree = MerkleTree(rows)
    >>> [leads_to(leaf_of(row), tree.proof(row), tree.root) for row in rows]
    [True, True, True]

    Raises:
        SettingError: if there is no row: then there is no root.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        leaves = sorted(leaf_of(row) for row in rows)
        if not leaves:
            raise SettingError("a tree must have at least 1 row, got 0")
        # The root is node 0, the children of node i are 2i + 1 and 2i + 2, leaves come last,
        # backwards.
        count = len(leaves)
        nodes = [b""] * (count - 1) + leaves[::-1]
        for index in range(count - 2, -1, -1):
            nodes[index] = _parent(nodes[2 * index + 1], nodes[2 * index + 2])
        self._nodes = nodes
        self._places = {leaf: 2 * count - 2 - number for number, leaf in enumerate(leaves)}

    @property
    def root(self) -> bytes:
        """The root (32 bytes)."""
        return self._nodes[0]

    def proof(self, row: Row) -> list[bytes]:
        """Return the neighbours from a row's leaf up to the root.

        Raises:
            SettingError: if the tree does not hold the row.
        """
        index = self._places.get(leaf_of(row))
        if index is None:
            raise SettingError(f"a row must be one of the tree's, got {row}")
        proof = []
        while index:
            proof.append(self._nodes[index - 1 if index % 2 == 0 else index + 1])
            index = (index - 1) // 2
        return proof


def leads_to(leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether a proof leads from a leaf to a root."""
    for neighbour in proof:
        leaf = _parent(leaf, neighbour)
    return leaf == root


def _parent(one: bytes, other: bytes) -> bytes:
    return keccak(one + other if one < other else other + one)
