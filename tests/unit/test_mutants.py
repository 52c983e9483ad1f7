"""The mutants that `make mutants` compiles are of the contracts as they stand."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, Mutant, sources


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks)
def test_the_line_that_a_mutant_breaks_is_there_once(mutant: Mutant) -> None:
    changed = {path for path, text in sources(mutant).items() if text != sources()[path]}
    assert changed == {f"contracts/{mutant.file}"}


def test_a_line_that_is_gone_is_named() -> None:
    gone = Mutant("Market.sol", "require(everything);", "", "all")
    with pytest.raises(ValueError, match=r"must hold 'require\(everything\);' once, got 0 times"):
        sources(gone)
