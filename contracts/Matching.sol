// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Order, orderAt, ORDER_BYTES} from "./types/Order.sol";
import {folded} from "./types/SlotState.sol";
import {toTrade, Trade, TRADE_BYTES} from "./types/Trade.sol";
import {IMarket} from "./interfaces/IMarket.sol";

/// @title Matching
/// @notice The best set of trades of a book, proved by a ranking that anyone may propose.
/// @dev In memory only. Ranked orders are words: price (24 bits, at 48), energy (32, at 16), site.
library Matching {
    uint256 private constant DEAREST = 1 << 24;

    /// @dev What a walk along the book finds.
    /// sites: of each site the cheapest live ask (DEAREST - price, 0 without one) at bit 0, the
    /// dearest live bid (price + 1) at 32, the live orders at 64, the last fresh order at 80.
    /// crossing: a byte for each order, 1 where it would have traded with its own site.
    struct Book {
        uint256 orders; // where the packed orders begin in calldata
        uint256 count;
        uint256 hash;
        uint256 live;
        uint256[] sites;
        bytes crossing;
    }

    /// @notice Fold the orders and find which are live.
    /// @dev An order is live unless a later fresh order of its site voids it, its energy is zero,
    /// or it would trade with an earlier live order of its site.
    function walked(bytes calldata orders, uint256 sites, uint256 fee) internal pure returns (Book memory book) {
        uint256 count = orders.length / ORDER_BYTES;
        assembly ("memory-safe") {
            mstore(book, orders.offset)
        }
        book.count = count;
        book.sites = new uint256[](sites);
        book.crossing = new bytes(count);
        uint256 hash;
        uint256 live;
        uint256 start = book.orders;
        uint256[] memory states = book.sites;
        // Sums of fields of at most 32 bits and counts of at most 9,000.
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                Order order = orderAt(start, i);
                hash = folded(hash, Order.unwrap(order));
                uint256 site = order.site();
                if (site >= sites) continue; // not the book: the hash will tell
                uint256 state = _get(states, site);
                if (order.fresh()) {
                    live -= (state >> 64) & 0xFF;
                    state = i << 80;
                }
                if (order.energy() != 0) {
                    uint256 price = order.price();
                    if (order.isAsk()) {
                        if (price + fee < (state >> 32) & 0xFFFFFFFF) {
                            _mark(book.crossing, i);
                        } else {
                            ++live;
                            state += 1 << 64;
                            if (DEAREST - price > state & 0xFFFFFFFF) {
                                state = (state & ~uint256(0xFFFFFFFF)) | (DEAREST - price);
                            }
                        }
                    } else {
                        if (price + (state & 0xFFFFFFFF) >= DEAREST + fee) {
                            _mark(book.crossing, i);
                        } else {
                            ++live;
                            state += 1 << 64;
                            if (price + 1 > (state >> 32) & 0xFFFFFFFF) {
                                state = (state & ~(uint256(0xFFFFFFFF) << 32)) | ((price + 1) << 32);
                            }
                        }
                    }
                }
                _set(states, site, state);
            }
        }
        book.hash = hash;
        book.live = live;
    }

    /// @notice Check one side's ranking and return its orders in that order, without those that
    /// `caps` leave nothing of.
    /// @param caps What each site may still trade on this side, used up here; empty if unlimited.
    function ranked(
        Book memory book,
        bytes calldata ranking,
        bool asks,
        uint256[] memory caps
    ) internal pure returns (uint256[] memory words) {
        words = new uint256[](ranking.length / 2);
        uint256 kept;
        // Rank of the order before: price, then arrival, made so that it has to grow.
        uint256 last;
        // Indices below 9,000, prices of 24 bits.
        unchecked {
            for (uint256 k = 0; k < ranking.length / 2; ++k) {
                uint256 i;
                assembly ("memory-safe") {
                    i := shr(240, calldataload(add(ranking.offset, mul(k, 2))))
                }
                Order order = _live(book, i, asks);
                uint256 rank = (((asks ? order.price() : DEAREST - order.price()) << 16) | i) + 1;
                require(rank > last, IMarket.OutOfRank(i));
                last = rank;
                uint256 energy = _counting(order, caps);
                if (energy == 0) continue;
                _set(words, kept++, (order.price() << 48) | (energy << 16) | order.site());
            }
        }
        // Shorter than it was made: the memory behind is given up.
        assembly ("memory-safe") {
            mstore(words, kept)
        }
    }

    /// @dev The energy of an order that counts, taken from what its site may still trade.
    function _counting(Order order, uint256[] memory caps) private pure returns (uint256 energy) {
        energy = order.energy();
        if (caps.length == 0) return energy;
        uint256 cap = caps[order.site()];
        if (energy > cap) energy = cap;
        caps[order.site()] = cap - energy;
    }

    /// @dev The order at an index, if it may be ranked on that side.
    function _live(Book memory book, uint256 i, bool asks) private pure returns (Order order) {
        require(i < book.count, IMarket.OrderUnknown(i, book.count));
        order = orderAt(book.orders, i);
        require(order.isAsk() == asks, IMarket.OrderOnWrongSide(i));
        bool isVoid =
            order.energy() == 0 || _isMarked(book.crossing, i) || i < _get(book.sites, order.site()) >> 80;
        require(!isVoid, IMarket.OrderNotLive(i));
    }

    /// @notice Walk both rankings together: the trades, packed, and the price between them.
    function matched(uint256[] memory bids, uint256[] memory asks, uint256 fee)
        internal
        pure
        returns (bytes memory trades, uint256 price)
    {
        trades = new bytes((bids.length + asks.length) * TRADE_BYTES + 24);
        uint256 end;
        uint256 b;
        uint256 a;
        uint256 bidLeft;
        uint256 askLeft;
        // The price with fee lies between what the last trade's seller and buyer ask and bid.
        uint256 least;
        uint256 most;
        // Prices of 24 bits, energies of 32, and each step uses up an order.
        unchecked {
            while (b < bids.length && a < asks.length) {
                uint256 bid = _get(bids, b);
                uint256 ask = _get(asks, a);
                if (bid >> 48 < (ask >> 48) + fee) break;
                if (bidLeft == 0) bidLeft = (bid >> 16) & 0xFFFFFFFF;
                if (askLeft == 0) askLeft = (ask >> 16) & 0xFFFFFFFF;
                uint256 energy = bidLeft < askLeft ? bidLeft : askLeft;
                bidLeft -= energy;
                askLeft -= energy;
                Trade trade = toTrade(ask & 0xFFFF, bid & 0xFFFF, energy);
                assembly ("memory-safe") {
                    mstore(add(add(trades, 32), end), shl(192, trade))
                }
                end += TRADE_BYTES;
                least = (ask >> 48) + fee;
                most = bid >> 48;
                if (bidLeft == 0) ++b;
                if (askLeft == 0) ++a;
            }
            if (end != 0) {
                if (b < bids.length && bids[b] >> 48 > least) least = bids[b] >> 48;
                if (a < asks.length && (asks[a] >> 48) + fee < most) most = (asks[a] >> 48) + fee;
                price = (least + most) / 2 - fee;
            }
        }
        assembly ("memory-safe") {
            mstore(trades, end)
        }
    }

    // Memory without the language's bounds checks: every index below is of a site that was
    // compared with their number, or of an order or rank within the loop's bounds. Saves 300
    // gas an order.

    function _get(uint256[] memory words, uint256 i) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(words, 32), shl(5, i)))
        }
    }

    function _set(uint256[] memory words, uint256 i, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(words, 32), shl(5, i)), word)
        }
    }

    function _mark(bytes memory marks, uint256 i) private pure {
        assembly ("memory-safe") {
            mstore8(add(add(marks, 32), i), 1)
        }
    }

    function _isMarked(bytes memory marks, uint256 i) private pure returns (bool marked) {
        assembly ("memory-safe") {
            marked := byte(0, mload(add(add(marks, 32), i)))
        }
    }
}
