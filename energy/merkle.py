"""The Merkle tree of a day's rows, in OpenZeppelin's standard format.

A leaf is keccak256(keccak256(abi.encode(row))), a node keccak256 of its two children, the
smaller first. Leaves are sorted by their hash, so that a set of rows has one root. Source:
@openzeppelin/merkle-tree 1.0, StandardMerkleTree; contracts check it by MerkleProof or solady's
MerkleProofLib.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from energy.errors import SettingError
from energy.rows import Row

NO_BATTERY = 0xFFFF
"""What stands in a leaf for the battery of a row that came through none."""
LEAF_ENCODING = ("uint32", "uint16", "uint32", "uint8", "uint16", "uint32", "uint16")
"""Solidity types of a leaf's values."""


def leaf_values(row: Row) -> tuple[int, ...]:
    """Return a row as its leaf holds it: the words of `Row` in `contracts/types/Slice.sol`.

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
        index = self._place(row)
        proof = []
        while index:
            proof.append(self._nodes[index - 1 if index % 2 == 0 else index + 1])
            index = (index - 1) // 2
        return proof

    def multiproof(self, rows: Iterable[Row]) -> MultiProof:
        """Return a proof of several rows at once; of one, its `proof` without flags.

        >>> from energy.lots import Kind, Origin
        >>> sun = [Row(866_450, 0, 100, Origin(Kind.GENERATION, one, 866_450)) for one in range(5)]
        >>> tree = MerkleTree(sun)
        >>> all_of = tree.multiproof(sun[1:4])
        >>> leaves = [leaf_of(row) for row in all_of.rows]
        >>> lead_to(leaves, all_of.nodes, all_of.flags, tree.root), len(all_of.nodes)
        (True, 2)

        Raises:
            SettingError: if there is no row, or the tree does not hold one of them.
        """
        placed = {self._place(row): row for row in rows}
        if not placed:
            raise SettingError("a proof must be of at least 1 row, got 0")
        order = sorted(placed, reverse=True)
        if len(order) == 1:
            return MultiProof((placed[order[0]],), tuple(self.proof(placed[order[0]])), ())
        nodes, flags, queue = [], [], deque(order)
        while queue[0]:
            index = queue.popleft()
            sibling = index - 1 if index % 2 == 0 else index + 1
            flags.append(bool(queue) and queue[0] == sibling)
            if flags[-1]:
                queue.popleft()
            else:
                nodes.append(self._nodes[sibling])
            queue.append((index - 1) // 2)
        return MultiProof(tuple(placed[place] for place in order), tuple(nodes), tuple(flags))

    def _place(self, row: Row) -> int:
        place = self._places.get(leaf_of(row))
        if place is None:
            raise SettingError(f"a row must be one of the tree's, got {row}")
        return place


@dataclass(frozen=True)
class MultiProof:
    """A proof of several rows at once; in `rows` they stand in the order that it needs.

    For each flag two nodes are joined: the first one known and not joined yet, with the next such
    one if the flag is set, or else with the proof's next. Source: OpenZeppelin's MerkleProof,
    `multiProofVerify`.
    """

    rows: tuple[Row, ...]
    nodes: tuple[bytes, ...]
    flags: tuple[bool, ...]


def leads_to(leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether a proof leads from a leaf to a root."""
    for neighbour in proof:
        leaf = _parent(leaf, neighbour)
    return leaf == root


def lead_to(
    leaves: Sequence[bytes], proof: Sequence[bytes], flags: Sequence[bool], root: bytes
) -> bool:
    """Say whether a multiproof leads from leaves to a root; of one leaf, `leads_to` without flags.

    >>> lead_to([b"leaf"], [], [], b"leaf")
    True
    """
    if len(leaves) == 1:
        return leads_to(leaves[0], proof, root)
    if not flags or len(leaves) + len(proof) != len(flags) + 1:
        return False
    known, others = deque(leaves), deque(proof)
    for flag in flags:
        if len(known) < 1 + flag or len(others) < 1 - flag:
            return False
        known.append(_parent(known.popleft(), (known if flag else others).popleft()))
    return not others and known[-1] == root


def _parent(one: bytes, other: bytes) -> bytes:
    return keccak(one + other if one < other else other + one)
