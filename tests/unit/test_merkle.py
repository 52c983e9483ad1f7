"""The tree of rows, against @openzeppelin/merkle-tree 1.0.8 (StandardMerkleTree.of)."""

from __future__ import annotations

import pytest

from energy.errors import SettingError
from energy.lots import Kind, Origin
from energy.merkle import MerkleTree, lead_to, leads_to, leaf_of
from energy.rows import Row

ROWS = [
    Row(
        866_450 + n,
        n,
        100 * n + 1,
        Origin(Kind(n % 2), 6 - n, 866_440 + n),
        None if n == 3 else n,
    )
    for n in range(7)
]
ROOT_OF_SEVEN = "809ba4615a62b858f08993f28a6465d2158478d6f91319745a008cff7da30639"
ROOT_OF_ONE = "c720808afb8bb4e3bf91034c406f85f83b8a4d7323f919992bdfbeaa0da7794f"


def test_the_root_is_the_one_of_the_standard_library() -> None:
    assert MerkleTree(ROWS).root.hex() == ROOT_OF_SEVEN
    assert MerkleTree(ROWS[:1]).root.hex() == ROOT_OF_ONE


def test_the_order_of_rows_does_not_matter() -> None:
    assert MerkleTree(reversed(ROWS)).root == MerkleTree(ROWS).root


@pytest.mark.parametrize("count", range(1, 8))
def test_each_row_has_a_proof_and_no_other_rows(count: int) -> None:
    tree = MerkleTree(ROWS[:count])
    for row in ROWS[:count]:
        proof = tree.proof(row)
        assert leads_to(leaf_of(row), proof, tree.root)
        for other in ROWS:
            assert other == row or not leads_to(leaf_of(other), proof, tree.root)


def test_what_has_no_proof_is_named() -> None:
    with pytest.raises(SettingError, match="at least 1 row, got 0"):
        MerkleTree([])
    with pytest.raises(SettingError, match="a row must be one of the tree's"):
        MerkleTree(ROWS[:3]).proof(ROWS[3])


def test_several_rows_have_the_standard_librarys_multiproof() -> None:
    tree = MerkleTree(ROWS)
    found = tree.multiproof([ROWS[1], ROWS[3], ROWS[4], ROWS[6]])
    assert [row.site for row in found.rows] == [4, 1, 3, 6]
    assert [node.hex() for node in found.nodes] == [
        ROOT_OF_ONE,  # the tree of one row is its leaf
        "e4907943825b139d7cdc00a6d8b0da53d1822f5c46bc9af042183698b30f1977",
    ]
    assert found.flags == (True, True, False, False, True)
    leaves = [leaf_of(row) for row in found.rows]
    assert lead_to(leaves, found.nodes, found.flags, tree.root)
    assert not lead_to(leaves[::-1], found.nodes, found.flags, tree.root)
    assert not lead_to(leaves, found.nodes[:-1], found.flags, tree.root)
