"""Mutants of the contracts: one line changed for the worse, and whether the tests see it.

`make mutants` compiles each, gives its code to the tests that run contracts in process, and
prints which were killed. A survivor is a rule that no test holds. Compiled mutants are kept in
`build/mutants`, so that a second run only tests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ROOT / "build" / "mutants"
SOLC = ROOT / "deploy" / "solc" / "solc-v0.8.30"
TESTS = [
    f"tests/unit/{name}.py"
    for name in ("test_refusals", "test_registry", "test_twin", "test_invariants")
]
TWIN_SLOTS = "500"


@dataclass(frozen=True)
class Mutant:
    """What a line of a contract becomes, and which rule that breaks."""

    file: str
    line: str
    becomes: str
    breaks: str


MARKET, MATCHING, SETTLEMENT = "Market.sol", "Matching.sol", "Settlement.sol"
REGISTRY, SIGNATURES = "Registry.sol", "Signatures.sol"
HISTORY, ORDER = "types/History.sol", "types/Order.sol"

MUTANTS = [
    Mutant(
        MARKET,
        "require(block.timestamp < gateOf(slot), GateClosed(slot, gateOf(slot)));",
        "require(block.timestamp <= gateOf(slot), GateClosed(slot, gateOf(slot)));",
        "an order at the gate is too late",
    ),
    Mutant(
        MARKET,
        "require(block.timestamp >= gateOf(slot), GateOpen(slot, gateOf(slot)));",
        "require(block.timestamp > gateOf(slot), GateOpen(slot, gateOf(slot)));",
        "at the gate a slot is cleared",
    ),
    Mutant(
        MARKET,
        "require(slot <= last, BeyondHorizon(slot, last));",
        "require(slot <= last + 1, BeyondHorizon(slot, last));",
        "the horizon",
    ),
    Mutant(
        MARKET,
        "if (sequence < expected) continue;",
        "if (sequence + 1 < expected) continue;",
        "a repeated order is skipped",
    ),
    Mutant(
        MARKET,
        "require(sequence == expected, SequenceGap(i, sequence, expected));",
        "",
        "no sequence is left out",
    ),
    Mutant(
        MARKET,
        "require(sequence <= allowance, AllowanceExceeded(i, sequence, allowance));",
        "require(sequence <= allowance + 1, AllowanceExceeded(i, sequence, allowance));",
        "a site's allowance",
    ),
    Mutant(
        MARKET,
        "MOST_ORDERS_OF_A_SITE : MOST_ORDERS / active;",
        "MOST_ORDERS_OF_A_SITE : (MOST_ORDERS + active - 1) / active;",
        "the allowance is rounded down",
    ),
    Mutant(
        MARKET,
        "require(order.energy() <= trading.orderLimit(), ",
        "require(order.energy() < trading.orderLimit(), ",
        "an order may be as large as the rating",
    ),
    Mutant(
        MARKET,
        "require(signer == trading.key(), WrongSigner(i, site));",
        "require(signer != address(0), WrongSigner(i, site));",
        "nobody posts for another",
    ),
    Mutant(
        MARKET,
        "require(signer == metering.key(), WrongSigner(i, reading.site()));",
        "require(signer != address(0), WrongSigner(i, reading.site()));",
        "nobody meters for another",
    ),
    Mutant(
        MARKET,
        "Trading trading = _tradingAt(site, slot);",
        "Trading trading = Trading.wrap(_trading[site].latest);",
        "a key holds from its slot on",
    ),
    Mutant(
        MARKET,
        "if (counters >> 224 != slot) counters = slot << 224;",
        "if (counters >> 224 == 0) counters = slot << 224;",
        "counters begin anew when the ring comes round",
    ),
    Mutant(
        MARKET,
        "_counters[_place(slot, group)] = counters | mask;",
        "_counters[_place(slot, group)] = counters;",
        "after voiding no further order is taken",
    ),
    Mutant(
        MARKET,
        "require(key != Trading.wrap(_trading[site].latest).key(), KeyNotRotated(site, slot));",
        "",
        "orders are voided only of a key that was rotated",
    ),
    Mutant(
        MARKET,
        "uint256[] calldata slots) external onlyOwner {",
        "uint256[] calldata slots) external {",
        "only the owner voids",
    ),
    Mutant(
        MARKET,
        "require(state.stage() == OPEN, AlreadyCleared(slot));",
        "",
        "a slot is cleared once",
    ),
    Mutant(
        MARKET,
        "require(book.hash == state.hash() && orders.length % ORDER_BYTES == 0, NotTheBook(slot));",
        "require(orders.length % ORDER_BYTES == 0, NotTheBook(slot));",
        "the words are the book",
    ),
    Mutant(
        MARKET,
        "require(rankedCount == book.live, ",
        "require(rankedCount <= book.live, ",
        "a ranking leaves out no live order",
    ),
    Mutant(
        MARKET,
        "(uint256[] memory imports, uint256[] memory exports_) = _caps(slot, terms.sites());",
        "(uint256[] memory exports_, uint256[] memory imports) = _caps(slot, terms.sites());",
        "a bid counts up to the import, an ask up to the export",
    ),
    Mutant(
        MARKET,
        "if (reading.slot() != slot) continue;",
        "if (Reading.unwrap(reading) == 0) continue;",
        "no order counts by a reading of an older slot",
    ),
    Mutant(
        MARKET,
        "require(slot + RING > block.timestamp / SLOT_SECONDS + _horizon, SlotGone(slot));",
        "require(slot + RING >= block.timestamp / SLOT_SECONDS + _horizon, SlotGone(slot));",
        "orders up to the horizon have their places free",
    ),
    Mutant(
        MARKET,
        "require(slot + RING / 2 > block.timestamp / SLOT_SECONDS, SlotGone(slot));",
        "",
        "no late reading holds up a place that orders will soon want",
    ),
    Mutant(
        MARKET,
        "if (slot >= _firstSlot && block.timestamp >= gateOf(slot)) continue;",
        "",
        "closed gates do not stop a voiding",
    ),
    Mutant(
        REGISTRY,
        "require(!isFull, TooManyPlans(MOST_PLANS));",
        "",
        "changes are planned for so many slots",
    ),
    Mutant(
        MARKET,
        "require(SlotState.unwrap(state) == 0 || state.stage() == SETTLED, ",
        "require(SlotState.unwrap(state) == 0 || state.stage() != OPEN, ",
        "no slot is forgotten unsettled",
    ),
    Mutant(
        MARKET,
        "            _slots[slot % RING] = state;\n",
        "",
        "a reading alone keeps its slot",
    ),
    Mutant(
        MARKET,
        "require(reading.exported() <= available, ",
        "require(reading.exported() <= available + 1, ",
        "an export comes from roof or battery",
    ),
    Mutant(
        MARKET,
        "require(!reading.isAssumed(), QualityUnknown(index, reading.quality()));",
        "",
        "no terminal signs an assumed reading",
    ),
    Mutant(
        MARKET,
        "state.hash() != 0 && block.timestamp >= gateOf(slot)) {",
        "state.hash() != 0 && block.timestamp > gateOf(slot)) {",
        "what orders count for is fixed at the gate",
    ),
    Mutant(
        MARKET,
        "bool isNews = known.isAssumed() || reading.revision() > known.revision();",
        "bool isNews = known.isAssumed() || reading.revision() >= known.revision();",
        "each revision is settled once",
    ),
    Mutant(
        MARKET,
        "if (!isNews || state.stage() != SETTLED) return false;",
        "if (!isNews) return false;",
        "the first reading is final until the slot is settled",
    ),
    Mutant(
        MARKET,
        "- imported * int256(imported > 0 ? tariff.selling() : tariff.buying());",
        "- imported * int256(imported > 0 ? tariff.buying() : tariff.selling());",
        "more import is corrected at the selling price",
    ),
    Mutant(
        MARKET,
        "_payOutside(uint256(-entry), 0);",
        "_payOutside(0, 0);",
        "a correction sums to zero",
    ),
    Mutant(
        MARKET,
        "require(state.stage() != SETTLED, AlreadySettled(slot));",
        "",
        "a slot is settled once",
    ),
    Mutant(
        MARKET,
        "require(state.hash() == 0, NotCleared(slot));",
        "",
        "a book is cleared before it is settled",
    ),
    Mutant(
        MARKET,
        "require(hashOf(trades) == state.hash(), NotTheTrades(slot));",
        "",
        "what is settled is what was cleared",
    ),
    Mutant(
        MARKET,
        "require(block.timestamp >= deadlineOf(slot), ReadingsOpen",
        "require(block.timestamp > deadlineOf(slot), ReadingsOpen",
        "at the deadline readings may be missing",
    ),
    Mutant(
        MARKET,
        "uint256 first = entries.at(i) - fee * foreign.at(i);",
        "uint256 first = entries.at(i);",
        "the importer owes the fee",
    ),
    Mutant(
        MATCHING,
        "live -= (state >> 64) & 0xFF;",
        "",
        "a fresh order voids the earlier ones",
    ),
    Mutant(
        MATCHING,
        "& 0xFFFFFFFF) > DEAREST + fee) {",
        "& 0xFFFFFFFF) > DEAREST) {",
        "orders of a site cross only when the fee is covered",
    ),
    Mutant(
        MATCHING,
        "if (keen > keenest) state += (keen - keenest) << own;",
        "if (keenest == 0) state += keen << own;",
        "an order is held against the keenest of its own site",
    ),
    Mutant(
        MATCHING,
        "require(rank > last, IMarket.OutOfRank(i));",
        "require(rank >= last, IMarket.OutOfRank(i));",
        "no order is ranked twice",
    ),
    Mutant(
        MATCHING,
        "uint256 rank = (((order.price() ^ flip) << 16) | i) + 1;",
        "uint256 rank = (((order.price() ^ flip) << 16) | (0xFFFF - i)) + 1;",
        "ties go to who arrived first",
    ),
    Mutant(
        MATCHING,
        "caps.set(order.site(), cap - energy);",
        "caps.set(order.site(), cap);",
        "two orders of a site share what it metered",
    ),
    Mutant(
        MATCHING,
        "if (bid.price() < ask.price() + fee) break;",
        "if (bid.price() <= ask.price() + fee) break;",
        "a bid of ask and fee trades",
    ),
    Mutant(
        MATCHING,
        "if (bid.price() < ask.price() + fee) break;",
        "if (bid.price() < ask.price()) break;",
        "a trade covers the fee",
    ),
    Mutant(
        MATCHING,
        "if (bid > least) least = bid;",
        "",
        "the first rejected bid bounds the price",
    ),
    Mutant(
        MATCHING,
        "price = (least + most) / 2 - fee;",
        "price = (least + most + 1) / 2 - fee;",
        "the price is rounded down",
    ),
    Mutant(
        SETTLEMENT,
        "if (energy > left.at(buyer) & LOWER) energy = left.at(buyer) & LOWER;",
        "",
        "no delivery beyond the import",
    ),
    Mutant(
        SETTLEMENT,
        "if (from != to) foreign.set(to, foreign.at(to) + energy);",
        "foreign.set(to, foreign.at(to) + energy);",
        "a site that meets itself pays no fee",
    ),
    Mutant(
        SETTLEMENT,
        "uint256 failedSellerPays = price > middle ? price : middle;",
        "uint256 failedSellerPays = middle;",
        "breaking a trade does not pay",
    ),
    Mutant(
        SETTLEMENT,
        "share = ration.had * ration.asked / ration.wanted - ration.given;",
        "share = (ration.had * ration.asked + ration.wanted - 1) / ration.wanted - ration.given;",
        "shares are rounded down",
    ),
    Mutant(
        SETTLEMENT,
        "surplus.had = _min(pool, surplus.wanted);",
        "surplus.had = pool - _min(pool, untaken.wanted);",
        "what was metered is served first",
    ),
    Mutant(
        REGISTRY,
        "require(!Trading.wrap(_trading[site].latest).isRetired(), AlreadyRetired(site));",
        "",
        "a retired site never comes back",
    ),
    Mutant(
        REGISTRY,
        "require(from >= earliest, TooSoon(from, earliest));",
        "require(from + 1 >= earliest, TooSoon(from, earliest));",
        "changes wait for a slot beyond the horizon",
    ),
    Mutant(
        REGISTRY,
        "uint256 least = tariff.buying() + 2 * tariff.fee();",
        "uint256 least = tariff.buying() + tariff.fee();",
        "the utility's prices leave room for two fees",
    ),
    Mutant(
        REGISTRY,
        "if (isActive && before & bit == 0) ++active;",
        "if (isActive) ++active;",
        "an amended site counts once",
    ),
    Mutant(
        REGISTRY,
        "for (uint256 group = 0; group * 256 < terms.sites(); ++group) {",
        "for (uint256 group = 0; group < 1; ++group) {",
        "all sites stay active in new terms",
    ),
    Mutant(
        REGISTRY,
        "while (fromOf(plans[index - 1]) > from) --index;",
        "while (fromOf(plans[index - 1]) >= from) --index;",
        "a change keeps the others of its slot",
    ),
    Mutant(
        HISTORY,
        "past.push(history.latest);",
        "if (past.length == 0) past.push(history.latest);",
        "earlier versions stay",
    ),
    Mutant(
        HISTORY,
        "slot < fromOf(word);) {",
        "slot <= fromOf(word);) {",
        "a version holds from its slot on",
    ),
    Mutant(
        SIGNATURES,
        "if iszero(gt(s, HALF_ORDER)) {",
        "if iszero(gt(s, add(HALF_ORDER, 1))) {",
        "no signature has a twin",
    ),
    Mutant(
        SIGNATURES,
        'keccak256("1"), block.chainid, address(this)));',
        'keccak256("1"), uint256(7_000), address(this)));',
        "a signature is for one chain",
    ),
    Mutant(
        SIGNATURES,
        "return block.chainid == _chainId ? _separator : _freshSeparator();",
        "return _separator;",
        "a fork with another id has other signatures",
    ),
    Mutant(
        ORDER,
        "uint256 constant ORDER_MASK = 0xFFFFFFFFFFFFFFFFFF3F;",
        "uint256 constant ORDER_MASK = 0xFFFFFFFFFFFFFFFFFFFF;",
        "one signature makes one word",
    ),
]


def sources(mutant: Mutant | None = None) -> dict[str, str]:
    """Return the contracts by path, with a mutant's line in its place.

    Raises:
        ValueError: where the line is not there exactly once.
    """
    found = {
        str(path.relative_to(ROOT)): path.read_text()
        for path in sorted((ROOT / "contracts").rglob("*.sol"))
    }
    if mutant:
        path = f"contracts/{mutant.file}"
        if (count := found[path].count(mutant.line)) != 1:
            raise ValueError(f"{path} must hold {mutant.line!r} once, got {count} times")
        found[path] = found[path].replace(mutant.line, mutant.becomes)
    return found


def compiled(contracts: dict[str, str]) -> Path:
    """Return a file with the market's bytecode in hex, compiled as brownie would."""
    settings = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]
    solc = settings["solc"]
    question = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in contracts.items()},
        "settings": {
            "viaIR": solc["viaIR"],
            "evmVersion": settings["evm_version"],
            "optimizer": solc["optimizer"],
            "remappings": solc["remappings"],
            "outputSelection": {"*": {"Market": ["evm.bytecode.object"]}},
        },
    }
    text = json.dumps(question, sort_keys=True)
    file = COMPILED / f"{sha256(text.encode()).hexdigest()[:24]}.hex"
    if not file.exists():
        done = subprocess.run(
            ["node", str(SOLC), "--standard-json"],
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        for error in answer.get("errors", []):
            if error["severity"] == "error":
                raise ValueError(f"a mutant must compile, got {error['formattedMessage']}")
        COMPILED.mkdir(parents=True, exist_ok=True)
        market = answer["contracts"]["contracts/Market.sol"]["Market"]
        file.write_text(market["evm"]["bytecode"]["object"])
    return file


def first_failure(code: Path) -> str | None:
    """Run the tests on a bytecode; return the first that fails, None if all pass."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--code", str(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "YUI_TWIN_SLOTS": TWIN_SLOTS},
        check=False,
    )
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode != 1 or not failed:
        raise ValueError(f"the tests must run, got {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return failed[0].split(" - ")[0].rpartition("::")[2]


def tested(code: Path) -> int:
    """Run the tests in this process with another bytecode in the place of the exported one."""
    import pytest
    from hypothesis import Phase, settings

    from chain import contract

    others = contract.interface
    exported = others("Market")
    given = replace(exported, bytecode=bytes.fromhex(code.read_text()))
    # Before anything imports it by name.
    vars(contract)["interface"] = lambda name: given if name == "Market" else others(name)
    # That a test fails is enough: its smallest example is not looked for.
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    return int(pytest.main(["-x", "-q", "--tb=line", "-p", "no:cacheprovider", *TESTS]))


def main() -> int:
    """Return 0 if the tests pass on the contracts as they are and kill every mutant."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="mutants that break such a rule")
    parser.add_argument("--code", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.code:
        return tested(options.code)
    console = Console()
    if failure := first_failure(compiled(sources())):
        console.print(f"the contracts as they are must pass, got {failure}")
        return 1
    table = Table("what it breaks", "where", "killed by")
    survivors = 0
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.breaks]
    for number, mutant in enumerate(chosen, 1):
        failure = first_failure(compiled(sources(mutant)))
        survivors += failure is None
        table.add_row(mutant.breaks, mutant.file, failure or "SURVIVED")
        console.print(f"{number}/{len(chosen)} {mutant.breaks}: {failure or 'SURVIVED'}")
    console.print(table)
    console.print(f"{len(chosen) - survivors} of {len(chosen)} killed")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
