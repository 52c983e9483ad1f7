// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "./interfaces/IMarket.sol";
import {Matching} from "./Matching.sol";
import {Registry} from "./Registry.sol";
import {Settlement} from "./Settlement.sol";
import {Signatures} from "./Signatures.sol";
import {Order, orderAt, ORDER_BYTES, voidingOrder, VOIDING} from "./types/Order.sol";
import {Metering} from "./types/Metering.sol";
import {assumedReading, Reading, readingAt, READING_BYTES} from "./types/Reading.sol";
import {CLEARED, folded, hashOf, OPEN, SETTLED, SlotState, toSlotState} from "./types/SlotState.sol";
import {Tariff, Terms} from "./types/Terms.sol";
import {Trading} from "./types/Trading.sol";
import {at, packedMemory, put, set, trim} from "./types/Words.sol";

using {at, set} for uint256[];

/// @title Market
/// @notice See {IMarket}. Storage is what a chain is short of: orders, trades and flows are
/// logged and folded into a hash, given again when they are needed, and checked against it. What
/// is kept of a slot lies in rings of words that carry their slot's number.
contract Market is IMarket, Registry, Signatures {
    /// @dev 32 days: a month can be billed and corrected.
    uint256 private constant RING = 1536;
    /// @dev Orders of all sites in a slot: what clears in a transaction of 131,072 bytes.
    uint256 private constant MOST_ORDERS = 9000;
    /// @dev What a counter of 4 bits can count before the owner's word.
    uint256 private constant MOST_ORDERS_OF_A_SITE = VOIDING - 1;
    /// @dev The network's account is the next one.
    uint256 private constant UTILITY = 1000;
    uint256 private constant SITES_IN_A_WORD = 3;
    uint256 private constant LANE = 85;
    uint256 private constant LANE_MASK = (1 << LANE) - 1;
    uint256 private constant COUNTERS_IN_A_WORD = 56;

    uint256 private immutable _firstSlot;
    uint256 private immutable _deadlineSeconds;
    uint256 private immutable _gateSeconds;
    bool private immutable _afterMetering;

    mapping(uint256 place => SlotState) private _slots;
    /// @dev Slot (32 bits, at 224), then 4 bits a site of how many orders it has posted.
    mapping(uint256 placeAndGroup => uint256) private _counters;
    mapping(uint256 placeAndSite => Reading) private _readings;
    /// @dev Three sites a word, int85 each, the first lowest. A slot moves a site's balance by less
    /// than 2^51 (energies that ratings of 16 bits admit, prices of 24), and with every revision
    /// that there can be by less than 2^55: that fills half of a lane in 30,000 years.
    mapping(uint256 triple => uint256) private _balances;
    /// @dev The utility's below, the network's above, int128 each.
    uint256 private _outside;

    constructor(
        address owner_,
        uint256 firstSlot,
        uint256 horizonSlots,
        uint256 readingDeadlineSeconds,
        uint256 gateSeconds,
        bool afterMetering
    ) Registry(owner_, horizonSlots) {
        uint256 span = horizonSlots + (readingDeadlineSeconds + gateSeconds) / SLOT_SECONDS;
        require(span <= RING / 2, SettingBeyondLimit(span, RING / 2));
        uint256 ahead = horizonSlots * SLOT_SECONDS;
        require(afterMetering || gateSeconds < ahead, SettingBeyondLimit(gateSeconds, ahead));
        _firstSlot = firstSlot;
        _deadlineSeconds = readingDeadlineSeconds;
        _gateSeconds = gateSeconds;
        _afterMetering = afterMetering;
    }

    /// @inheritdoc IMarket
    function post(uint256 slot, bytes calldata orders, bytes calldata signatures) external {
        uint256 count = _countOf(orders, ORDER_BYTES, signatures);
        SlotState state = _ordering(slot);
        (uint256 hash, bytes memory accepted) = _accepted(slot, orders, signatures, count, state.hash());
        if (accepted.length == 0) return;
        _slots[slot % RING] = toSlotState(slot, OPEN, 0, hash);
        emit OrdersPosted(slot, accepted);
    }

    /// @inheritdoc IMarket
    function voidOrders(uint256 site, uint256[] calldata slots) external onlyOwner {
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256 slot = slots[i];
            if (slot >= _firstSlot && block.timestamp >= gateOf(slot)) continue;
            SlotState state = _ordering(slot);
            address key = _tradingAt(site, slot).key();
            require(key != address(0), UnknownSite(i, site));
            require(key != Trading.wrap(_trading[site].latest).key(), KeyNotRotated(site, slot));
            uint256 group = site / COUNTERS_IN_A_WORD;
            uint256 counters = _countersOf(slot, group);
            uint256 mask = VOIDING << (4 * (site % COUNTERS_IN_A_WORD));
            if (counters & mask == mask) continue;
            _counters[_place(slot, group)] = counters | mask;
            Order order = voidingOrder(site);
            _slots[slot % RING] = toSlotState(slot, OPEN, 0, folded(state.hash(), Order.unwrap(order)));
            emit OrdersPosted(slot, abi.encodePacked(uint80(Order.unwrap(order))));
        }
    }

    /// @inheritdoc IMarket
    function clear(uint256 slot, bytes calldata orders, bytes calldata bids, bytes calldata asks) external {
        SlotState state = _closed(slot);
        require(state.stage() == OPEN, AlreadyCleared(slot));
        require(state.hash() != 0, NothingToClear(slot));
        Terms terms = _termsAt(slot);
        uint256 fee = _tariffAt(terms, slot).fee();
        Matching.Book memory book = Matching.walked(orders, terms.sites(), fee);
        require(book.hash == state.hash() && orders.length % ORDER_BYTES == 0, NotTheBook(slot));
        uint256 rankedCount = _lengthOf(bids, 2) + _lengthOf(asks, 2);
        (uint256[] memory imports, uint256[] memory exports_) = _caps(slot, terms.sites());
        uint256[] memory rankedBids = Matching.ranked(book, bids, false, imports);
        uint256[] memory rankedAsks = Matching.ranked(book, asks, true, exports_);
        require(rankedCount == book.live, RankingIncomplete(rankedCount, book.live));
        (bytes memory trades, uint256 price) = Matching.matched(rankedBids, rankedAsks, fee);
        _slots[slot % RING] = toSlotState(slot, CLEARED, price, hashOf(trades));
        emit Cleared(slot, price, trades);
    }

    /// @inheritdoc IMarket
    function push(bytes calldata readings, bytes calldata signatures) external {
        uint256 count = _countOf(readings, READING_BYTES, signatures);
        uint256 buffer = _readingMessages();
        bytes memory kept = packedMemory(readings.length);
        uint256 end;
        // Carried from turn to turn: the optimizer would load it from calldata at each of 16 uses.
        Reading reading = readingAt(readings, 0);
        if (count == 0) return;
        // Looked up again when the slot is another: most batches are of one.
        SlotState state = _measured(0, reading.slot());
        // Counts of bytes of calldata.
        unchecked {
            for (uint256 i = 0; i < count; reading = readingAt(readings, ++i)) {
                if (state.slot() != reading.slot()) state = _measured(i, reading.slot());
                Metering metering = _meteringAt(reading.site(), reading.slot());
                require(metering.key() != address(0), UnknownSite(i, reading.site()));
                _checkEnergies(i, reading, metering);
                address signer = _signerOf(buffer, reading, signatures, i);
                require(signer == metering.key(), WrongSigner(i, reading.site()));
                if (!_isKept(reading, state)) continue;
                put(kept, end, Reading.unwrap(reading));
                end += READING_BYTES;
            }
        }
        trim(kept, end);
        if (end != 0) emit ReadingsPosted(kept);
    }

    /// @inheritdoc IMarket
    function settle(uint256 slot, bytes calldata trades) external {
        SlotState state = _closed(slot);
        require(state.stage() != SETTLED, AlreadySettled(slot));
        if (state.stage() == OPEN) {
            require(state.hash() == 0, NotCleared(slot));
            require(trades.length == 0, NotTheTrades(slot));
        } else {
            require(hashOf(trades) == state.hash(), NotTheTrades(slot));
        }
        Terms terms = _termsAt(slot);
        Tariff tariff = _tariffAt(terms, slot);
        uint256[] memory sums = Settlement.traded(trades, terms.sites());
        uint256[] memory metered = _metered(slot, terms, sums);
        uint256[] memory entries = Settlement.entries(sums, metered, state.price(), tariff);
        (bytes memory deliveries, bytes memory pool, uint256[] memory foreign) = Settlement.flows(trades, metered);
        _slots[slot % RING] = toSlotState(slot, SETTLED, state.price(), state.hash());
        emit Settled(slot, deliveries, pool, _paid(entries, foreign, tariff.fee()));
    }

    /// @inheritdoc IMarket
    function rules() external view returns (uint256, uint256, uint256, uint256, bool) {
        return (_firstSlot, _horizon, _deadlineSeconds, _gateSeconds, _afterMetering);
    }

    /// @inheritdoc IMarket
    function stateOf(uint256 slot) external view returns (SlotState) { return _opened(slot); }

    /// @inheritdoc IMarket
    function sequenceOf(uint256 slot, uint256 site) external view returns (uint256) {
        return (_countersOf(slot, site / COUNTERS_IN_A_WORD) >> (4 * (site % COUNTERS_IN_A_WORD))) & 15;
    }

    /// @inheritdoc IMarket
    function readingOf(uint256 slot, uint256 site) external view returns (Reading) {
        Reading reading = _readings[_place(slot, site)];
        return reading.slot() == slot ? reading : Reading.wrap(0);
    }

    /// @inheritdoc IMarket
    function balanceOf(uint256 account) external view returns (int256) {
        // The casts take a word's half; the shifts a lane, with its sign.
        if (account >= UTILITY) return int128(int256(_outside >> (128 * (account % 2))));
        return int256(_balances[account / SITES_IN_A_WORD] << (171 - LANE * (account % SITES_IN_A_WORD))) >> 171;
    }

    /// @inheritdoc IMarket
    function domainSeparator() external view returns (bytes32) { return _domainSeparator(); }

    /// @inheritdoc IMarket
    function gateOf(uint256 slot) public view returns (uint256) {
        return _afterMetering ? deadlineOf(slot) + _gateSeconds : slot * SLOT_SECONDS - _gateSeconds;
    }

    /// @inheritdoc IMarket
    function deadlineOf(uint256 slot) public view returns (uint256) {
        return (slot + 1) * SLOT_SECONDS + _deadlineSeconds;
    }

    /// @dev The word of a slot whose orders are open.
    function _ordering(uint256 slot) private view returns (SlotState) {
        require(slot >= _firstSlot, BeforeFirstSlot(slot, _firstSlot));
        uint256 last = block.timestamp / SLOT_SECONDS + _horizon;
        require(slot <= last, BeyondHorizon(slot, last));
        require(block.timestamp < gateOf(slot), GateClosed(slot, gateOf(slot)));
        return _opened(slot);
    }

    /// @dev The word of a slot whose gate is closed.
    function _closed(uint256 slot) private view returns (SlotState) {
        require(slot >= _firstSlot, BeforeFirstSlot(slot, _firstSlot));
        require(block.timestamp >= gateOf(slot), GateOpen(slot, gateOf(slot)));
        return _opened(slot);
    }

    /// @dev The word of a slot that is over and held. It takes its place in the ring, so that it
    /// cannot be forgotten unsettled; but no longer when orders will soon want that place.
    function _measured(uint256 index, uint256 slot) private returns (SlotState state) {
        require(slot >= _firstSlot, BeforeFirstSlot(slot, _firstSlot));
        // Slots have 32 bits.
        unchecked {
            require(block.timestamp >= (slot + 1) * SLOT_SECONDS, SlotNotOver(index, slot));
            // Orders may already use the places of slots up to the horizon.
            require(slot + RING > block.timestamp / SLOT_SECONDS + _horizon, SlotGone(slot));
        }
        state = _opened(slot);
        if (state.stage() == OPEN && state.hash() == 0 && _slots[slot % RING].slot() != slot) {
            require(slot + RING / 2 > block.timestamp / SLOT_SECONDS, SlotGone(slot));
            _slots[slot % RING] = state;
        }
    }

    /// @dev A slot's word; that of a slot which nothing has touched yet if the place is free.
    function _opened(uint256 slot) private view returns (SlotState state) {
        state = _slots[slot % RING];
        if (state.slot() == slot) return state;
        require(state.slot() < slot, SlotGone(slot));
        require(SlotState.unwrap(state) == 0 || state.stage() == SETTLED, SlotUnsettled(state.slot()));
        return toSlotState(slot, OPEN, 0, 0);
    }

    /// @dev The place of one of a slot's sites, or groups of sites, in a ring.
    function _place(uint256 slot, uint256 member) private pure returns (uint256) {
        return (member << 16) | (slot % RING);
    }

    function _countersOf(uint256 slot, uint256 group) private view returns (uint256 counters) {
        counters = _counters[_place(slot, group)];
        if (counters >> 224 != slot) counters = slot << 224;
    }

    /// @dev Check orders one by one: the hash with the new ones, and the new ones, packed.
    function _accepted(uint256 slot, bytes calldata orders, bytes calldata signatures, uint256 count, uint256 hash)
        private
        returns (uint256, bytes memory accepted)
    {
        uint256 allowance = _allowance(slot);
        uint256 buffer = _orderMessages();
        // No group yet: the first order reads its own.
        uint256 group = type(uint256).max;
        uint256 counters;
        uint256 end;
        accepted = packedMemory(orders.length);
        for (uint256 i = 0; i < count; ++i) {
            Order order = orderAt(orders, i);
            uint256 site = order.site();
            if (site / COUNTERS_IN_A_WORD != group) {
                if (end != 0) _counters[_place(slot, group)] = counters;
                group = site / COUNTERS_IN_A_WORD;
                counters = _countersOf(slot, group);
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
            address signer = _signerOf(buffer, slot, order, signatures, i);
            require(signer == trading.key(), WrongSigner(i, site));
            counters += 1 << shift;
            hash = folded(hash, Order.unwrap(order));
            put(accepted, end, Order.unwrap(order) << 176);
            end += ORDER_BYTES;
        }
        if (end != 0) _counters[_place(slot, group)] = counters;
        trim(accepted, end);
        return (hash, accepted);
    }

    function _allowance(uint256 slot) private view returns (uint256) {
        uint256 active = _termsAt(slot).active();
        return active * MOST_ORDERS_OF_A_SITE <= MOST_ORDERS ? MOST_ORDERS_OF_A_SITE : MOST_ORDERS / active;
    }

    /// @dev What each site may buy and sell: what its reading says; empty when orders come first.
    function _caps(uint256 slot, uint256 sites)
        private
        view
        returns (uint256[] memory imports, uint256[] memory exports_)
    {
        if (!_afterMetering) return (imports, exports_);
        imports = new uint256[](sites);
        exports_ = new uint256[](sites);
        for (uint256 i = 0; i < sites; ++i) {
            Reading reading = _readings[_place(slot, i)];
            if (reading.slot() != slot) continue;
            imports[i] = reading.imported();
            exports_[i] = reading.exported();
        }
    }

    function _checkEnergies(uint256 index, Reading reading, Metering metering) private pure {
        // Sums and differences of fields of 32 bits: below zero is a bit at the top.
        unchecked {
            uint256 available = reading.generated() + reading.discharged();
            uint256 supplied = reading.imported() + available;
            uint256 drained = reading.exported() + reading.charged();
            uint256 room = (metering.importLimit() - reading.imported())
                | (metering.generationLimit() - reading.generated())
                | (metering.batteryLimit() - reading.charged())
                | (metering.batteryLimit() - reading.discharged())
                | (metering.capacityLimit() - reading.stored())
                | (available - reading.exported()) | (supplied - drained);
            // Which of them it is, is asked only where one is.
            if (room >> 255 != 0) {
                _checkRating(index, reading.imported(), metering.importLimit());
                _checkRating(index, reading.generated(), metering.generationLimit());
                _checkRating(index, reading.charged(), metering.batteryLimit());
                _checkRating(index, reading.discharged(), metering.batteryLimit());
                _checkRating(index, reading.stored(), metering.capacityLimit());
                require(reading.exported() <= available, ExportUnexplained(index, reading.exported(), available));
                require(supplied >= drained, ConsumptionNegative(index, supplied, drained));
            }
        }
        require(!reading.isAssumed(), QualityUnknown(index, reading.quality()));
    }

    function _checkRating(uint256 index, uint256 energy, uint256 limit) private pure {
        require(energy <= limit, ReadingBeyondRating(index, energy, limit));
    }

    /// @dev Keep a checked reading if it is the first, or settle it as a correction; whether it
    /// is the first. Skipped is what is known, what would amend an unsettled slot, and what would
    /// change how much the orders of a closed book count for.
    function _isKept(Reading reading, SlotState state) private returns (bool) {
        uint256 slot = reading.slot();
        uint256 place = _place(slot, reading.site());
        Reading known = _readings[place];
        if (known.slot() != slot) {
            if (_afterMetering && state.stage() == OPEN && state.hash() != 0 && block.timestamp >= gateOf(slot)) {
                return false;
            }
            _readings[place] = reading;
            return true;
        }
        bool isNews = known.isAssumed() || reading.revision() > known.revision();
        if (!isNews || state.stage() != SETTLED) return false;
        _correct(known, reading);
        _readings[place] = reading;
        return false;
    }

    /// @dev Between the site and the utility alone, each revision once.
    function _correct(Reading known, Reading reading) private {
        Tariff tariff = _tariffAt(_termsAt(reading.slot()), reading.slot());
        // Energies of 32 bits, prices of 24.
        int256 imported = int256(reading.imported()) - int256(known.imported());
        int256 exported = int256(reading.exported()) - int256(known.exported());
        int256 entry = exported * int256(tariff.buying())
            - imported * int256(imported > 0 ? tariff.selling() : tariff.buying());
        uint256 lane = reading.site() % SITES_IN_A_WORD;
        uint256 owed = uint256(entry);
        _pay(reading.site() / SITES_IN_A_WORD, lane == 0 ? owed : 0, lane == 1 ? owed : 0, lane == 2 ? owed : 0);
        _payOutside(uint256(-entry), 0);
        emit Corrected(reading.slot(), reading.site(), reading, entry);
    }

    /// @dev What each active site exported (upper half of the word) and imported; assumed where
    /// no reading came in time.
    function _metered(uint256 slot, Terms terms, uint256[] memory sums) private returns (uint256[] memory metered) {
        metered = new uint256[](sums.length);
        uint256 place = _place(slot, 0);
        uint256 active;
        // Indices of sites.
        unchecked {
            for (uint256 i = 0; i < metered.length; ++i) {
                active = i % 256 == 0 ? _rosterAt(terms, i / 256) : active >> 1;
                if (active & 1 == 0) continue;
                Reading reading = _readings[place | (i << 16)];
                if (reading.slot() != slot) {
                    require(block.timestamp >= deadlineOf(slot), ReadingsOpen(slot, deadlineOf(slot)));
                    // The cast takes the lower half: what the site bought.
                    reading = assumedReading(slot, i, uint128(sums.at(i)));
                    _readings[place | (i << 16)] = reading;
                    emit ReadingMissed(slot, i, reading);
                }
                metered.set(i, (reading.exported() << 128) | reading.imported());
            }
        }
    }

    /// @dev Take the network's fee, enter the entries in the balances, and pack them for the log.
    function _paid(uint256[] memory entries, uint256[] memory foreign, uint256 fee)
        private
        returns (bytes memory packed)
    {
        uint256 sites = entries.length - 2;
        packed = packedMemory(entries.length * 8);
        uint256 moved;
        // Products of energies below 2^46 and fees of 24 bits, in two's complement.
        unchecked {
            for (uint256 i = 0; i < sites; i += SITES_IN_A_WORD) {
                uint256 first = entries.at(i) - fee * foreign.at(i);
                uint256 second = i + 1 < sites ? entries.at(i + 1) - fee * foreign.at(i + 1) : 0;
                uint256 third = i + 2 < sites ? entries.at(i + 2) - fee * foreign.at(i + 2) : 0;
                moved += foreign.at(i) + foreign.at(i + 1) + foreign.at(i + 2);
                put(packed, i * 8, (first << 192) | ((second << 192) >> 64) | ((third << 192) >> 128));
                _pay(i / SITES_IN_A_WORD, first, second, third);
            }
            uint256 network = entries.at(sites + 1) + fee * moved;
            put(packed, sites * 8, entries.at(sites) << 192);
            put(packed, sites * 8 + 8, network << 192);
            _payOutside(entries.at(sites), network);
        }
        trim(packed, entries.length * 8);
    }

    /// @dev Enter what three sites of a word are owed, in two's complement.
    function _pay(uint256 triple, uint256 first, uint256 second, uint256 third) private {
        if (first | second | third == 0) return;
        uint256 word = _balances[triple];
        // Within a lane, modulo its size: a carry beyond it is cut off.
        unchecked {
            first = (word + first) & LANE_MASK;
            second = ((word >> LANE) + second) & LANE_MASK;
            third = ((word >> (2 * LANE)) + third) & LANE_MASK;
        }
        _balances[triple] = first | (second << LANE) | (third << (2 * LANE));
    }

    /// @dev Enter what the utility and the network are owed, in two's complement.
    function _payOutside(uint256 utility, uint256 network) private {
        if (utility | network == 0) return;
        uint256 word = _outside;
        // Within a half, as above.
        unchecked {
            utility = (word + utility) & type(uint128).max;
            network = (word >> 128) + network;
        }
        // Corrections of many sites each pay the utility.
        // slither-disable-next-line costly-loop
        _outside = utility | (network << 128);
    }

    /// @dev How many records there are, each with its signature.
    function _countOf(bytes calldata packed, uint256 size, bytes calldata signatures) private pure returns (uint256 count) {
        count = _lengthOf(packed, size);
        require(signatures.length == count * SIGNATURE_BYTES, WrongLength(signatures.length, count * SIGNATURE_BYTES));
    }

    function _lengthOf(bytes calldata packed, uint256 size) private pure returns (uint256) {
        require(packed.length % size == 0, WrongLength(packed.length, size));
        return packed.length / size;
    }
}
