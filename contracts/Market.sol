// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "./interfaces/IMarket.sol";
import {Matching} from "./Matching.sol";
import {Registry} from "./Registry.sol";
import {Settlement} from "./Settlement.sol";
import {Signatures} from "./Signatures.sol";
import {Order, orderAt, ORDER_BYTES} from "./types/Order.sol";
import {Metering} from "./types/Metering.sol";
import {assumedReading, Reading, READING_BYTES} from "./types/Reading.sol";
import {CLEARED, folded, hashOf, OPEN, SETTLED, SlotState, toSlotState} from "./types/SlotState.sol";
import {Tariff, Terms} from "./types/Terms.sol";
import {Trading} from "./types/Trading.sol";

/// @title Market
/// @notice See {IMarket}. Storage is what a chain is short of: orders, trades and flows are
/// logged and folded into a hash, given again when they are needed, and checked against it. What
/// is kept of a slot lies in rings of words that carry their slot's number.
contract Market is IMarket, Registry, Signatures {
    /// @dev 32 days: a month can be billed and corrected.
    uint256 public constant RING = 1536;
    /// @dev Orders of all sites in a slot: what clears in a transaction of 131,072 bytes.
    uint256 public constant MOST_ORDERS = 9000;
    /// @dev Orders of one site in a slot: what its counter of 4 bits can count.
    uint256 public constant MOST_ORDERS_OF_A_SITE = 15;
    uint256 public constant UTILITY = 1000;
    uint256 public constant NETWORK = 1001;

    uint256 private constant COUNTERS_IN_A_WORD = 56;

    uint256 public immutable firstSlot;
    /// @dev After a slot's end.
    uint256 public immutable readingDeadlineSeconds;
    /// @dev Before a slot's start; after metering: after the reading deadline.
    uint256 public immutable gateSeconds;
    bool public immutable afterMetering;

    mapping(uint256 place => SlotState) private _slots;
    /// @dev Slot (32 bits, at 224), then 4 bits a site of how many orders it has posted.
    mapping(uint256 place => mapping(uint256 group => uint256)) private _counters;
    mapping(uint256 place => mapping(uint256 site => Reading)) private _readings;
    /// @dev Two accounts a word, int128 each, the even one below.
    mapping(uint256 pair => uint256) private _balances;

    constructor(
        address owner_,
        uint256 firstSlot_,
        uint256 horizonSlots,
        uint256 readingDeadlineSeconds_,
        uint256 gateSeconds_,
        bool afterMetering_
    ) Registry(owner_, horizonSlots) {
        require(horizonSlots <= RING / 2, SettingBeyondLimit(horizonSlots, RING / 2));
        firstSlot = firstSlot_;
        readingDeadlineSeconds = readingDeadlineSeconds_;
        gateSeconds = gateSeconds_;
        afterMetering = afterMetering_;
    }

    /// @inheritdoc IMarket
    function post(uint256 slot, bytes calldata orders, bytes calldata signatures) external {
        uint256 count = _lengthOf(orders, ORDER_BYTES);
        require(signatures.length == count * SIGNATURE_BYTES, WrongLength(signatures.length, count * SIGNATURE_BYTES));
        require(slot >= firstSlot, BeforeFirstSlot(slot, firstSlot));
        require(block.timestamp < gateOf(slot), GateClosed(slot, gateOf(slot)));
        uint256 last = block.timestamp / SLOT_SECONDS + horizon;
        require(slot <= last, BeyondHorizon(slot, last));
        SlotState state = _opened(slot);
        (uint256 hash, bytes memory accepted) = _accepted(slot, orders, signatures, count, state.hash());
        if (accepted.length == 0) return;
        _slots[slot % RING] = toSlotState(slot, OPEN, 0, hash);
        emit OrdersPosted(slot, accepted);
    }

    /// @inheritdoc IMarket
    function clear(uint256 slot, bytes calldata orders, bytes calldata bids, bytes calldata asks) external {
        require(block.timestamp >= gateOf(slot), GateOpen(slot, gateOf(slot)));
        SlotState state = _opened(slot);
        require(state.stage() == OPEN, AlreadyCleared(slot));
        require(state.hash() != 0, NothingToClear(slot));
        Terms terms = _termsAt(slot);
        uint256 fee = _tariffAt(terms, slot).fee();
        Matching.Book memory book = Matching.walked(orders, terms.sites(), fee);
        require(book.hash == state.hash() && orders.length % ORDER_BYTES == 0, NotTheBook(slot));
        (uint256[] memory imports, uint256[] memory exports_) = _caps(slot, terms.sites());
        uint256[] memory rankedBids = Matching.ranked(book, bids, false, imports);
        uint256[] memory rankedAsks = Matching.ranked(book, asks, true, exports_);
        uint256 rankedCount = _lengthOf(bids, 2) + _lengthOf(asks, 2);
        require(rankedCount == book.live, RankingIncomplete(rankedCount, book.live));
        (bytes memory trades, uint256 price) = Matching.matched(rankedBids, rankedAsks, fee);
        _slots[slot % RING] = toSlotState(slot, CLEARED, price, hashOf(trades));
        emit Cleared(slot, price, trades);
    }

    /// @inheritdoc IMarket
    function push(bytes calldata readings, bytes calldata signatures) external {
        uint256 count = _lengthOf(readings, READING_BYTES);
        require(signatures.length == count * SIGNATURE_BYTES, WrongLength(signatures.length, count * SIGNATURE_BYTES));
        uint256 buffer = _buffer();
        bytes32 separator = _domainSeparator();
        for (uint256 i = 0; i < count; ++i) {
            Reading reading;
            // The length was checked: word i is inside.
            assembly ("memory-safe") {
                reading := calldataload(add(readings.offset, mul(i, 32)))
            }
            uint256 slot = reading.slot();
            uint256 site = reading.site();
            require(slot >= firstSlot, BeforeFirstSlot(slot, firstSlot));
            require(block.timestamp >= (slot + 1) * SLOT_SECONDS, SlotNotOver(i, slot));
            // Orders may already use the places of slots up to the horizon.
            require(slot + RING > block.timestamp / SLOT_SECONDS + horizon, SlotGone(slot));
            Metering metering = _meteringAt(site, slot);
            require(metering.key() != address(0), UnknownSite(i, site));
            _checkEnergies(i, reading, metering);
            address signer = _signer(buffer, separator, _readingHash(buffer, reading), signatures, i);
            require(signer == metering.key(), WrongSigner(i, site));
            _record(i, reading);
        }
    }

    /// @inheritdoc IMarket
    function settle(uint256 slot, bytes calldata trades) external {
        require(slot >= firstSlot, BeforeFirstSlot(slot, firstSlot));
        require(block.timestamp >= gateOf(slot), GateOpen(slot, gateOf(slot)));
        SlotState state = _opened(slot);
        require(state.stage() != SETTLED, AlreadySettled(slot));
        if (state.stage() == OPEN) {
            require(state.hash() == 0, NotCleared(slot));
            require(trades.length == 0, NotTheTrades(slot));
        } else {
            require(hashOf(trades) == state.hash(), NotTheTrades(slot));
        }
        Terms terms = _termsAt(slot);
        Settlement.Account[] memory accounts = new Settlement.Account[](terms.sites());
        Settlement.traded(accounts, trades);
        _meter(slot, terms, accounts);
        bytes memory deliveries = Settlement.delivered(accounts, trades);
        bytes memory pool = Settlement.pooled(accounts);
        int256[] memory entries = Settlement.entries(accounts, state.price(), _tariffAt(terms, slot));
        _slots[slot % RING] = toSlotState(slot, SETTLED, state.price(), state.hash());
        emit Settled(slot, deliveries, pool, _paid(entries));
    }

    /// @inheritdoc IMarket
    function stateOf(uint256 slot) external view returns (SlotState) {
        return _opened(slot);
    }

    /// @inheritdoc IMarket
    function sequenceOf(uint256 slot, uint256 site) external view returns (uint256) {
        uint256 counters = _counters[slot % RING][site / COUNTERS_IN_A_WORD];
        return counters >> 224 == slot ? (counters >> (4 * (site % COUNTERS_IN_A_WORD))) & 15 : 0;
    }

    /// @inheritdoc IMarket
    function readingOf(uint256 slot, uint256 site) external view returns (Reading) {
        Reading reading = _readings[slot % RING][site];
        return reading.slot() == slot ? reading : Reading.wrap(0);
    }

    /// @inheritdoc IMarket
    function balanceOf(uint256 account) external view returns (int256) {
        // The cast takes this account's half of the word.
        return int128(int256(_balances[account / 2] >> (128 * (account % 2))));
    }

    /// @inheritdoc IMarket
    function gateOf(uint256 slot) public view returns (uint256) {
        return afterMetering ? deadlineOf(slot) + gateSeconds : slot * SLOT_SECONDS - gateSeconds;
    }

    /// @inheritdoc IMarket
    function deadlineOf(uint256 slot) public view returns (uint256) {
        return (slot + 1) * SLOT_SECONDS + readingDeadlineSeconds;
    }

    /// @inheritdoc IMarket
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparator();
    }

    /// @dev A slot's word; that of a slot which nothing has touched yet if the place is free.
    function _opened(uint256 slot) private view returns (SlotState state) {
        state = _slots[slot % RING];
        if (state.slot() == slot) return state;
        require(state.slot() < slot, SlotGone(slot));
        require(SlotState.unwrap(state) == 0 || state.stage() == SETTLED, SlotUnsettled(state.slot()));
        return toSlotState(slot, OPEN, 0, 0);
    }

    /// @dev Check orders one by one: the hash with the new ones, and the new ones, packed.
    function _accepted(
        uint256 slot,
        bytes calldata orders,
        bytes calldata signatures,
        uint256 count,
        uint256 hash
    ) private returns (uint256, bytes memory accepted) {
        uint256 allowance = _allowance(slot);
        uint256 buffer = _buffer();
        bytes32 separator = _domainSeparator();
        mapping(uint256 => uint256) storage words = _counters[slot % RING];
        // No group yet: the first order reads its own.
        uint256 group = type(uint256).max;
        uint256 counters;
        uint256 end;
        uint256 start;
        assembly ("memory-safe") {
            start := orders.offset
        }
        accepted = new bytes(orders.length + 32);
        for (uint256 i = 0; i < count; ++i) {
            Order order = orderAt(start, i);
            uint256 site = order.site();
            if (site / COUNTERS_IN_A_WORD != group) {
                if (end != 0) words[group] = counters;
                group = site / COUNTERS_IN_A_WORD;
                counters = words[group];
                if (counters >> 224 != slot) counters = slot << 224;
            }
            uint256 shift = 4 * (site % COUNTERS_IN_A_WORD);
            uint256 sequence = order.sequence();
            uint256 expected = ((counters >> shift) & 15) + 1;
            if (sequence < expected) continue;
            require(sequence == expected, SequenceGap(i, sequence, expected));
            Trading trading = _tradingAt(site, slot);
            require(trading.key() != address(0), UnknownSite(i, site));
            require(sequence <= allowance, AllowanceExceeded(i, sequence, allowance));
            require(order.energy() <= trading.orderLimit(), OrderBeyondRating(i, order.energy(), trading.orderLimit()));
            address signer = _signer(buffer, separator, _orderHash(buffer, slot, order), signatures, i);
            require(signer == trading.key(), WrongSigner(i, site));
            counters += 1 << shift;
            hash = folded(hash, Order.unwrap(order));
            assembly ("memory-safe") {
                mstore(add(add(accepted, 32), end), shl(176, order))
            }
            end += ORDER_BYTES;
        }
        if (end != 0) words[group] = counters;
        // Shorter than it was made: the memory behind is given up.
        assembly ("memory-safe") {
            mstore(accepted, end)
        }
        return (hash, accepted);
    }

    function _allowance(uint256 slot) private view returns (uint256) {
        uint256 active = _termsAt(slot).active();
        if (active * MOST_ORDERS_OF_A_SITE <= MOST_ORDERS) return MOST_ORDERS_OF_A_SITE;
        return MOST_ORDERS / active;
    }

    /// @dev What each site may buy and sell: what its reading says; empty when orders come first.
    function _caps(uint256 slot, uint256 sites)
        private
        view
        returns (uint256[] memory imports, uint256[] memory exports_)
    {
        if (!afterMetering) return (imports, exports_);
        imports = new uint256[](sites);
        exports_ = new uint256[](sites);
        for (uint256 i = 0; i < sites; ++i) {
            Reading reading = _readings[slot % RING][i];
            if (reading.slot() != slot) continue;
            imports[i] = reading.imported();
            exports_[i] = reading.exported();
        }
    }

    function _checkEnergies(uint256 index, Reading reading, Metering metering) private pure {
        _checkRating(index, reading.imported(), metering.importLimit());
        _checkRating(index, reading.generated(), metering.generationLimit());
        _checkRating(index, reading.charged(), metering.batteryLimit());
        _checkRating(index, reading.discharged(), metering.batteryLimit());
        _checkRating(index, reading.stored(), metering.capacityLimit());
        uint256 available = reading.generated() + reading.discharged();
        require(reading.exported() <= available, ExportUnexplained(index, reading.exported(), available));
        uint256 supplied = reading.imported() + available;
        uint256 drained = reading.exported() + reading.charged();
        require(supplied >= drained, ConsumptionNegative(index, supplied, drained));
        require(!reading.isAssumed(), QualityUnknown(index, reading.quality()));
    }

    function _checkRating(uint256 index, uint256 energy, uint256 limit) private pure {
        require(energy <= limit, ReadingBeyondRating(index, energy, limit));
    }

    /// @dev Keep a checked reading if it is the first, or settle it as a correction.
    function _record(uint256 index, Reading reading) private {
        uint256 slot = reading.slot();
        uint256 site = reading.site();
        SlotState state = _opened(slot);
        Reading known = _readings[slot % RING][site];
        if (known.slot() == slot) {
            if (!known.isAssumed() && reading.revision() <= known.revision()) return;
            require(state.stage() == SETTLED, CorrectionTooEarly(index, slot));
            _correct(known, reading);
        } else {
            // The slot takes its place in the ring, so that it cannot be forgotten unsettled.
            if (state.stage() == OPEN && state.hash() == 0) _slots[slot % RING] = state;
            emit ReadingPosted(slot, site, reading);
        }
        _readings[slot % RING][site] = reading;
    }

    /// @dev Between the site and the utility alone, each revision once.
    function _correct(Reading known, Reading reading) private {
        Tariff tariff = _tariffAt(_termsAt(reading.slot()), reading.slot());
        // Energies of 32 bits, prices of 24.
        int256 imported = int256(reading.imported()) - int256(known.imported());
        int256 exported = int256(reading.exported()) - int256(known.exported());
        int256 entry = exported * int256(tariff.buying())
            - imported * int256(imported > 0 ? tariff.selling() : tariff.buying());
        _pay(reading.site(), entry);
        _pay(UTILITY, -entry);
        emit Corrected(reading.slot(), reading.site(), reading, entry);
    }

    /// @dev Enter each active site's reading; assume one where none came in time.
    function _meter(uint256 slot, Terms terms, Settlement.Account[] memory accounts) private {
        mapping(uint256 => Reading) storage readings = _readings[slot % RING];
        uint256 active;
        uint256 sites = accounts.length;
        for (uint256 i = 0; i < sites; ++i) {
            if (i % 256 == 0) active = _rosterWord(terms, i / 256);
            if (active & (1 << (i % 256)) == 0) continue;
            Settlement.Account memory account = accounts[i];
            Reading reading = readings[i];
            if (reading.slot() != slot) {
                require(block.timestamp >= deadlineOf(slot), ReadingsOpen(slot, deadlineOf(slot)));
                reading = assumedReading(slot, i, account.bought);
                readings[i] = reading;
                emit ReadingMissed(slot, i, reading);
            }
            account.exported = account.exportsLeft = reading.exported();
            account.imported = account.importsLeft = reading.imported();
        }
    }

    /// @dev Enter a slot's entries in the balances, two accounts a word, and pack them for the log.
    function _paid(int256[] memory entries) private returns (bytes memory packed) {
        uint256 sites = entries.length - 2;
        packed = new bytes(entries.length * 8 + 24);
        for (uint256 i = 0; i < sites; i += 2) {
            _payPair(i / 2, entries[i], i + 1 < sites ? entries[i + 1] : int256(0));
        }
        _payPair(UTILITY / 2, entries[sites], entries[sites + 1]);
        for (uint256 i = 0; i < entries.length; ++i) {
            int256 entry = entries[i];
            assembly ("memory-safe") {
                mstore(add(add(packed, 32), mul(i, 8)), shl(192, entry))
            }
        }
        // The 24 bytes that the last write needed.
        assembly ("memory-safe") {
            mstore(packed, sub(mload(packed), 24))
        }
    }

    function _pay(uint256 account, int256 entry) private {
        if (account % 2 == 0) _payPair(account / 2, entry, 0);
        else _payPair(account / 2, 0, entry);
    }

    function _payPair(uint256 pair, int256 even, int256 odd) private {
        if (even == 0 && odd == 0) return;
        uint256 word = _balances[pair];
        // Each cast takes the half of that width.
        uint256 low = uint128(int128(int256(word)) + int128(even));
        uint256 high = uint128(int128(int256(word >> 128)) + int128(odd));
        _balances[pair] = (high << 128) | low;
    }

    function _lengthOf(bytes calldata packed, uint256 size) private pure returns (uint256) {
        require(packed.length % size == 0, WrongLength(packed.length, size));
        return packed.length / size;
    }
}
