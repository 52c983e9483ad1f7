// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Reading} from "../types/Reading.sol";
import {SlotState} from "../types/SlotState.sol";
import {IRegistry} from "./IRegistry.sol";

/// @title A slot of the market: ordered, cleared, metered, settled
/// @notice Each step is one transaction that anyone may send.
///
/// | Quantity | Unit                    | Range      | Notes                                    |
/// | -------- | ----------------------- | ---------- | ---------------------------------------- |
/// | slot     | unix seconds / 1800     | uint32     | rounded down                             |
/// | site     | number from 0           | 0 .. 999   | dense                                    |
/// | account  | a site's number, or     | 0 .. 1001  | 1000 utility, 1001 network               |
/// | energy   | Wh                      | uint32     |                                          |
/// | price    | 0.001 JPY per kWh       | uint24     | Wh x price = microyen, exactly           |
/// | entry    | microyen                | int128     | above zero: is owed to the account       |
/// | gate     | unix seconds            | of a slot  | when its orders close                    |
/// | deadline | unix seconds            | of a slot  | when its readings may be missing         |
/// | sequence | number from 1           | 1 .. 14    | of a site's orders in a slot             |
/// | index    | place in what was given | from 0     | names the culprit in an error            |
interface IMarket is IRegistry {
    /// @notice Thrown when an order comes at or after its slot's gate.
    error GateClosed(uint256 slot, uint256 gate);
    /// @notice Thrown when a slot would be cleared or settled before its gate.
    error GateOpen(uint256 slot, uint256 gate);
    /// @notice Thrown when an order is for a slot too far ahead.
    /// @param last The last slot that orders may be for now.
    error BeyondHorizon(uint256 slot, uint256 last);
    /// @notice Thrown when a slot lies before the deployment's first.
    /// @param first The first slot that is accepted.
    error BeforeFirstSlot(uint256 slot, uint256 first);
    /// @notice Thrown when the place in the ring is still held by a slot that awaits settlement.
    error SlotUnsettled(uint256 slot);
    /// @notice Thrown when the ring no longer holds the slot.
    error SlotGone(uint256 slot);
    /// @notice Thrown when packed records or signatures have another length than expected.
    /// @param length What was given, bytes.
    /// @param expected Bytes: of all signatures together, or of one record, of which it is no
    /// multiple.
    error WrongLength(uint256 length, uint256 expected);
    /// @notice Thrown when a record names a site that takes no part in the slot.
    error UnknownSite(uint256 index, uint256 site);
    /// @notice Thrown when a record is not signed by its site's key for the slot.
    error WrongSigner(uint256 index, uint256 site);

    /// @notice Thrown when an order of a site in between is missing.
    /// @param expected The sequence that comes next.
    error SequenceGap(uint256 index, uint256 sequence, uint256 expected);
    /// @notice Thrown when a site posts more orders than its allowance.
    /// @param allowance The most orders of a site in this slot.
    error AllowanceExceeded(uint256 index, uint256 sequence, uint256 allowance);
    /// @notice Thrown when an order is larger than the site can ever deliver or take.
    /// @param limit The most energy of one order of the site, Wh.
    error OrderBeyondRating(uint256 index, uint256 energy, uint256 limit);
    /// @notice Thrown when orders would be voided whose key stays the site's.
    error KeyNotRotated(uint256 site, uint256 slot);

    /// @notice Thrown when a slot has no orders to clear.
    error NothingToClear(uint256 slot);
    /// @notice Thrown when a slot is cleared again.
    error AlreadyCleared(uint256 slot);
    /// @notice Thrown when the orders given are not the accepted ones, in order.
    error NotTheBook(uint256 slot);
    /// @notice Thrown when a ranking names an order that is not there.
    /// @param orders How many there are.
    error OrderUnknown(uint256 index, uint256 orders);
    /// @notice Thrown when a ranking names a withdrawn, replaced, empty or self-crossing order.
    error OrderNotLive(uint256 index);
    /// @notice Thrown when an ask is ranked among bids or the other way round.
    error OrderOnWrongSide(uint256 index);
    /// @notice Thrown when a ranked order should stand before the one that it follows.
    error OutOfRank(uint256 index);
    /// @notice Thrown when a ranking leaves out live orders.
    /// @param ranked How many orders both rankings name.
    /// @param live How many the book has.
    error RankingIncomplete(uint256 ranked, uint256 live);

    /// @notice Thrown when a reading comes before its slot is over.
    error SlotNotOver(uint256 index, uint256 slot);
    /// @notice Thrown when an energy is more than the site's rating allows in a slot.
    /// @param limit The most, Wh.
    error ReadingBeyondRating(uint256 index, uint256 energy, uint256 limit);
    /// @notice Thrown when a site would have exported what it neither generated nor discharged.
    /// @param exported Wh.
    /// @param available What it generated and discharged, Wh.
    error ExportUnexplained(uint256 index, uint256 exported, uint256 available);
    /// @notice Thrown when a site would have used less than nothing.
    /// @param supplied What it imported, generated and discharged, Wh.
    /// @param drained What it exported and charged, Wh.
    error ConsumptionNegative(uint256 index, uint256 supplied, uint256 drained);
    /// @notice Thrown when a reading claims a quality that only settlement gives.
    /// @param quality Flags, of which 128 stands for assumed.
    error QualityUnknown(uint256 index, uint256 quality);

    /// @notice Thrown when a book with orders is settled before it is cleared.
    error NotCleared(uint256 slot);
    /// @notice Thrown when a slot is settled again.
    error AlreadySettled(uint256 slot);
    /// @notice Thrown when readings are missing and may still come.
    error ReadingsOpen(uint256 slot, uint256 deadline);
    /// @notice Thrown when the trades given are not those of the clearing.
    error NotTheTrades(uint256 slot);

    /// @notice Orders were accepted, or voided.
    /// @param orders The newly accepted orders, packed. One of sequence 15 is the owner's word
    /// that the site's orders are void.
    event OrdersPosted(uint256 indexed slot, bytes orders);
    /// @notice A slot's book was cleared.
    /// @param price Between buyers and sellers; 0 without trades.
    /// @param trades Packed, in the order in which the rankings meet.
    event Cleared(uint256 indexed slot, uint256 price, bytes trades);
    /// @notice Readings became final.
    /// @param readings The newly final readings, packed.
    event ReadingsPosted(bytes readings);
    /// @notice Settlement found no reading and assumed one.
    /// @param assumed Importing what the site bought, exporting nothing.
    event ReadingMissed(uint256 indexed slot, uint256 indexed site, Reading assumed);
    /// @notice A slot was settled.
    /// @param deliveries What flowed for each trade, packed, in the trades' order, 0 Wh included.
    /// @param pool What flowed through the pool, packed.
    /// @param entries Of each account, 8 bytes signed microyen: sites, then utility, then network.
    event Settled(uint256 indexed slot, bytes deliveries, bytes pool, bytes entries);
    /// @notice A reading that came late, or again, was settled between site and utility.
    /// @param reading What holds from now on.
    /// @param entry What the site is owed by the utility for the correction, microyen.
    event Corrected(uint256 indexed slot, uint256 indexed site, Reading reading, int256 entry);

    /// @notice Post signed orders of a slot.
    /// @dev Orders whose sequence was taken before are skipped, so that two relays may carry the
    /// same order. Any other flaw refuses the whole batch and names the order.
    /// @param orders Packed `Order`s, 10 bytes each.
    /// @param signatures Of the traders, 64 bytes each (EIP-2098).
    function post(uint256 slot, bytes calldata orders, bytes calldata signatures) external;

    /// @notice Void a site's orders, and take no more, for slots before its new trader key holds.
    /// @dev The only thing that the owner may do to an order, meant for a key that was lost: the
    /// change of key, or the site's leaving, is planned for a later slot. Slots whose gate has
    /// closed in the meantime are skipped.
    /// @param slots Those in which the lost key still holds.
    function voidOrders(uint256 site, uint256[] calldata slots) external;

    /// @notice Clear a slot's book once its gate is closed.
    /// @param orders The accepted orders, packed, as the events gave them.
    /// @param bids Indices (2 bytes each) of live bids by falling price, ties by arrival.
    /// @param asks Indices of live asks by rising price, ties by arrival.
    function clear(uint256 slot, bytes calldata orders, bytes calldata bids, bytes calldata asks) external;

    /// @notice Push signed readings; the first of a slot and site is final.
    /// @dev Readings that the chain has already are skipped. After settlement a reading of a site
    /// that had none, or of a higher revision, is settled between site and utility; before, a
    /// higher revision is skipped. When orders come after metering, what they count for is fixed
    /// when the gate closes: first readings are then skipped until the book is cleared.
    /// @param readings Packed `Reading`s, 32 bytes each, of any sites and slots.
    /// @param signatures Of the oracles, 64 bytes each (EIP-2098).
    function push(bytes calldata readings, bytes calldata signatures) external;

    /// @notice Settle a slot: trades, imbalances, pool, utility, fees.
    /// @param trades Packed, as `Cleared` gave them; empty if the book was.
    function settle(uint256 slot, bytes calldata trades) external;

    /// @notice What the deployment was made with, and cannot be changed.
    /// @return firstSlot The first slot that is accepted: no older signature lives again.
    /// @return horizon How many slots ahead orders may be posted; changes take effect beyond.
    /// @return readingDeadlineSeconds How long after a slot's end its readings may come.
    /// @return gateSeconds How long before a slot's start its orders close; after metering: how
    /// long after the reading deadline.
    /// @return afterMetering Whether orders come after metering and count up to what was metered.
    function rules()
        external
        view
        returns (
            uint256 firstSlot,
            uint256 horizon,
            uint256 readingDeadlineSeconds,
            uint256 gateSeconds,
            bool afterMetering
        );

    /// @notice How far a slot has come; SlotGone is thrown for one that the ring has forgotten,
    /// SlotUnsettled if an older one holds its place.
    function stateOf(uint256 slot) external view returns (SlotState);

    /// @notice How many orders a site has posted for a slot; 15 once they are void.
    function sequenceOf(uint256 slot, uint256 site) external view returns (uint256);

    /// @notice The reading of a slot and site; zero if there is none.
    function readingOf(uint256 slot, uint256 site) external view returns (Reading);

    /// @notice What an account is owed, microyen.
    function balanceOf(uint256 account) external view returns (int256);

    /// @notice When a slot's orders close, unix seconds.
    function gateOf(uint256 slot) external view returns (uint256);

    /// @notice When a slot's readings may be missing, unix seconds.
    function deadlineOf(uint256 slot) external view returns (uint256);

    /// @notice EIP-712 domain separator: name "Yui", version "1", this chain and contract.
    function domainSeparator() external view returns (bytes32);
}
