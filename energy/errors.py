"""Every error of Yui, one tree.

    YuiError                      what a user is told in one line
    ├── SettingError              a file or argument that describes something impossible
    ├── DeviceError               a field device did not answer, or answered nonsense
    │   └── NoAnswer, Garbled, CodeAnswered, Unmeasured    see `field.modbus`, `.storage`
    ├── ReadingImpossible         what the devices say adds up to no reading
    ├── StoreFailed               a disk that does not take a write, see `oracle.outbox`
    ├── StoreError                a store of the chain's events that does not answer, or is broken
    │   └── StoreAway             it does not answer now, and may again
    ├── LinkError                 a broker that cannot be reached, a message that makes no sense
    ├── VtnError                  a VTN that does not answer, or refuses, see `vpp.calls.vtn`
    ├── ChainError                a chain that cannot be reached or is not the expected one
    │   ├── NodeBehind            its node lacks blocks that were final
    │   └── FinalReplaced         it has others in place of blocks that were final
    ├── AuditError                a fact on the chain that the rules do not allow
    └── Refusal                   a rule of the contract was not met; the contract's custom errors
        ├── GateClosed, GateOpen, BeyondHorizon, BeforeFirstSlot, SlotUnsettled, SlotGone
        ├── WrongLength, UnknownSite, WrongSigner
        ├── SequenceGap, AllowanceExceeded, OrderBeyondRating, KeyNotRotated
        ├── SlotNotOver, ReadingBeyondRating, ExportUnexplained, ConsumptionNegative,
        │   QualityUnknown
        ├── NothingToClear, AlreadyCleared, NotTheBook, OrderUnknown, OrderNotLive,
        │   OrderOnWrongSide, OutOfRank, RankingIncomplete
        ├── NotCleared, AlreadySettled, ReadingsOpen, NotTheTrades
        ├── DayNotOver, DayGone, RootMissing, RootNotReplaced, RootNotStanding, RootsConflict,
        │   ProofWrong, ClaimEmpty, ClaimMixed, NotGenerated, AlreadyClaimed, ClaimBeyondRow
        └── NotOwner, OwnerMissing, TooSoon, TooManyPlans, SettingBeyondLimit, KeyMissing,
            NotEnrolled, AlreadyRetired, TariffImpossible

A `Refusal` carries the Solidity error's arguments by name, and equals another one of the
same name and arguments: the twin raises what the contract reverts with.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from eth_utils.crypto import keccak


class YuiError(Exception):
    """The base of all of them: `except YuiError as error: print(error)`."""

    kind_ja: ClassVar[str] = "エラー"
    """What it is, in Japanese; the rest is told in English."""


class SettingError(YuiError):
    """A file or an argument describes something impossible."""

    kind_ja = "指定または設定に誤り"


class DeviceError(YuiError):
    """A field device did not answer, or answered nonsense."""

    kind_ja = "機器の応答に異常"


class ReadingImpossible(YuiError):
    """What the devices say adds up to no reading."""

    kind_ja = "計量値が成立しない"


class StoreError(YuiError):
    """A store of the chain's events does not answer, is broken, or is of a newer version."""

    kind_ja = "記録を読めない"


class StoreAway(StoreError):
    """A store does not answer now: its database is down, its disk full, or another writes."""

    kind_ja = "記録に接続できない"


class LinkError(YuiError):
    """The fleet's broker cannot be reached, or a message between room and site makes no sense."""

    kind_ja = "拠点との通信に異常"


class ChainError(YuiError):
    """The chain cannot be reached, or is not the expected one."""

    kind_ja = "チェーンに接続できない、または別のチェーン"


class NodeBehind(ChainError):
    """The node lacks blocks that were final before."""

    kind_ja = "ノードのブロックが遅れている"


class FinalReplaced(ChainError):
    """The chain has other blocks in place of some that were final before."""

    kind_ja = "確定済みのブロックが書き換えられた"


class AuditError(YuiError):
    """A fact on the chain is one that the rules do not allow."""

    kind_ja = "監査で規則違反を検出"


@dataclass(unsafe_hash=True)
class Refusal(YuiError):
    """A rule of the contract was not met; `str` gives the rule in words, then the values."""

    kind_ja = "契約が拒否"
    rule: ClassVar[str] = ""

    def __str__(self) -> str:
        values = ", ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))
        return f"{type(self).__name__}: {self.rule}" + (f" ({values})" if values else "")


@dataclass(unsafe_hash=True)
class GateClosed(Refusal):
    slot: int
    gate: int
    rule = "orders for a slot must come before its gate (unix seconds)"


@dataclass(unsafe_hash=True)
class GateOpen(Refusal):
    slot: int
    gate: int
    rule = "a slot must not be cleared or settled before its gate (unix seconds)"


@dataclass(unsafe_hash=True)
class BeyondHorizon(Refusal):
    slot: int
    last: int
    rule = "a slot must be at most the last one within the horizon"


@dataclass(unsafe_hash=True)
class BeforeFirstSlot(Refusal):
    slot: int
    first: int
    rule = "a slot must not be before the deployment's first"


@dataclass(unsafe_hash=True)
class SlotUnsettled(Refusal):
    slot: int
    rule = "the slot that used this place in the ring must be settled first"


@dataclass(unsafe_hash=True)
class SlotGone(Refusal):
    slot: int
    rule = "a slot must still be held by the ring"


@dataclass(unsafe_hash=True)
class WrongLength(Refusal):
    length: int
    expected: int
    rule = "packed bytes must have the expected length, or a multiple of it"


@dataclass(unsafe_hash=True)
class UnknownSite(Refusal):
    index: int
    site: int
    rule = "a site must be enrolled and active in the slot"


@dataclass(unsafe_hash=True)
class WrongSigner(Refusal):
    index: int
    site: int
    rule = "a record must be signed by its site's key for the slot"


@dataclass(unsafe_hash=True)
class SequenceGap(Refusal):
    index: int
    sequence: int
    expected: int
    rule = "an order's sequence must be its site's next one"


@dataclass(unsafe_hash=True)
class AllowanceExceeded(Refusal):
    index: int
    sequence: int
    allowance: int
    rule = "a site's orders in a slot must stay within the allowance"


@dataclass(unsafe_hash=True)
class OrderBeyondRating(Refusal):
    index: int
    energy: int
    limit: int
    rule = "an order's energy in Wh must be at most the site's rating for a slot"


@dataclass(unsafe_hash=True)
class KeyNotRotated(Refusal):
    site: int
    slot: int
    rule = "orders must be void only if the site's trader key changes after the slot"


@dataclass(unsafe_hash=True)
class SlotNotOver(Refusal):
    index: int
    slot: int
    rule = "a reading must be of a slot that is over"


@dataclass(unsafe_hash=True)
class ReadingBeyondRating(Refusal):
    index: int
    energy: int
    limit: int
    rule = "a reading's energies in Wh must be at most the site's ratings for a slot"


@dataclass(unsafe_hash=True)
class ExportUnexplained(Refusal):
    index: int
    exported: int
    available: int
    rule = "exported Wh must be at most generated + discharged"


@dataclass(unsafe_hash=True)
class ConsumptionNegative(Refusal):
    index: int
    supplied: int
    drained: int
    rule = "imported + generated + discharged Wh must be at least exported + charged"


@dataclass(unsafe_hash=True)
class QualityUnknown(Refusal):
    index: int
    quality: int
    rule = "a reading's quality must be one that a terminal may sign"


@dataclass(unsafe_hash=True)
class NothingToClear(Refusal):
    slot: int
    rule = "an empty book needs no clearing"


@dataclass(unsafe_hash=True)
class AlreadyCleared(Refusal):
    slot: int
    rule = "a slot must be cleared once"


@dataclass(unsafe_hash=True)
class NotTheBook(Refusal):
    slot: int
    rule = "the orders given must be the slot's accepted orders, in order"


@dataclass(unsafe_hash=True)
class OrderUnknown(Refusal):
    index: int
    orders: int
    rule = "a ranked index must be one of the book's orders"


@dataclass(unsafe_hash=True)
class OrderNotLive(Refusal):
    index: int
    rule = "a ranked order must be live: not withdrawn, replaced, empty or self-crossing"


@dataclass(unsafe_hash=True)
class OrderOnWrongSide(Refusal):
    index: int
    rule = "bids and asks must be ranked on their own side"


@dataclass(unsafe_hash=True)
class OutOfRank(Refusal):
    index: int
    rule = "bids must fall and asks must rise in price, ties by arrival"


@dataclass(unsafe_hash=True)
class RankingIncomplete(Refusal):
    ranked: int
    live: int
    rule = "every live order must be ranked"


@dataclass(unsafe_hash=True)
class NotCleared(Refusal):
    slot: int
    rule = "a book with orders must be cleared before its slot is settled"


@dataclass(unsafe_hash=True)
class AlreadySettled(Refusal):
    slot: int
    rule = "a slot must be settled once"


@dataclass(unsafe_hash=True)
class ReadingsOpen(Refusal):
    slot: int
    deadline: int
    rule = "every active site's reading must be in, or the deadline (unix seconds) past"


@dataclass(unsafe_hash=True)
class NotTheTrades(Refusal):
    slot: int
    rule = "the trades given must be those of the slot's clearing"


@dataclass(unsafe_hash=True)
class NotOwner(Refusal):
    sender: str
    rule = "only the owner may do this"


@dataclass(unsafe_hash=True)
class OwnerMissing(Refusal):
    rule = "the registry must have an owner"


@dataclass(unsafe_hash=True)
class TooSoon(Refusal):
    slot: int
    earliest: int
    rule = "a change must take effect beyond the horizon"


@dataclass(unsafe_hash=True)
class TooManyPlans(Refusal):
    limit: int
    rule = "changes must be planned for at most so many slots at a time"


@dataclass(unsafe_hash=True)
class SettingBeyondLimit(Refusal):
    value: int
    limit: int
    rule = "a setting must be within its limit"


@dataclass(unsafe_hash=True)
class KeyMissing(Refusal):
    site: int
    rule = "an active site must have a trader key and an oracle key"


@dataclass(unsafe_hash=True)
class NotEnrolled(Refusal):
    site: int
    rule = "a site must be enrolled before it changes"


@dataclass(unsafe_hash=True)
class AlreadyRetired(Refusal):
    site: int
    rule = "a site must not change once it is retired"


@dataclass(unsafe_hash=True)
class TariffImpossible(Refusal):
    slot_of_day: int
    selling: int
    least: int
    rule = "the utility's selling price must be at least its buying price and two fees"


@dataclass(unsafe_hash=True)
class DayNotOver(Refusal):
    day: int
    end: int
    rule = "a day's root must be attested after the day's end (unix seconds)"


@dataclass(unsafe_hash=True)
class DayGone(Refusal):
    day: int
    earliest: int
    rule = "a day must still be held by the ring of days"


@dataclass(unsafe_hash=True)
class RootMissing(Refusal):
    day: int
    rule = "an attested root must not be zero"


@dataclass(unsafe_hash=True)
class RootNotReplaced(Refusal):
    day: int
    site: int
    rule = "a site must name the root that it attested before as the one replaced"


@dataclass(unsafe_hash=True)
class RootNotStanding(Refusal):
    day: int
    attesting: int
    needed: int
    rule = "two thirds of a day's active sites must attest its root before a row is claimed"


@dataclass(unsafe_hash=True)
class RootsConflict(Refusal):
    day: int
    dissenting: int
    rule = "all attested roots of a day must be the same while its rows are claimed"


@dataclass(unsafe_hash=True)
class ProofWrong(Refusal):
    day: int
    rule = "a proof must lead from the rows to their day's standing root"


@dataclass(unsafe_hash=True)
class ClaimEmpty(Refusal):
    rule = "a claim must have a slice"


@dataclass(unsafe_hash=True)
class ClaimMixed(Refusal):
    index: int
    rule = "a claim's slices must be of one site and one day"


@dataclass(unsafe_hash=True)
class NotGenerated(Refusal):
    index: int
    kind: int
    rule = "a claimed row must be of energy that a site generated"


@dataclass(unsafe_hash=True)
class AlreadyClaimed(Refusal):
    index: int
    start: int
    claimed: int
    rule = "a slice must begin in Wh where the row's last claim ended"


@dataclass(unsafe_hash=True)
class ClaimBeyondRow(Refusal):
    index: int
    end: int
    energy: int
    rule = "a slice must end within its row (Wh), and hold at least 1 Wh"


def refusals() -> list[type[Refusal]]:
    """Return every kind of refusal, in the order of this file."""
    return Refusal.__subclasses__()


def selector_of(refusal: type[Refusal]) -> bytes:
    """Return the 4 bytes by which a revert names the error."""
    types = ("address" if field.type == "str" else "uint256" for field in fields(refusal))
    return keccak(text=f"{refusal.__name__}({','.join(types)})")[:4]


def refusal_from(data: bytes) -> Refusal | None:
    """Read the refusal that a revert's data stand for; None if they are no error of ours."""
    refusal = _by_selector().get(data[:4])
    if refusal is None or len(data) != 4 + 32 * len(fields(refusal)):
        return None
    words = [data[at : at + 32] for at in range(4, len(data), 32)]
    return refusal(
        *(
            "0x" + word[12:].hex() if field.type == "str" else int.from_bytes(word)
            for field, word in zip(fields(refusal), words, strict=True)
        )
    )


def _by_selector() -> dict[bytes, type[Refusal]]:
    if not _SELECTORS:
        _SELECTORS.update({selector_of(refusal): refusal for refusal in refusals()})
    return _SELECTORS


_SELECTORS: dict[bytes, type[Refusal]] = {}
