// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "./interfaces/IMarket.sol";
import {Order, orderAt, ORDER_BYTES} from "./types/Order.sol";
import {folded} from "./types/SlotState.sol";
import {toTrade, Trade, TRADE_BYTES} from "./types/Trade.sol";
import {at, packedMemory, put, set, trim} from "./types/Words.sol";

using {at, set} for uint256[];

/// @title Matching
/// @notice The best set of trades of a book, proved by a ranking that anyone may propose.
/// @dev In memory only.
library Matching {
    /// @dev Above the dearest price.
    uint256 private constant DEAREST = 1 << 24;
    uint256 private constant ENERGY_MASK = 0xFFFFFFFF << 32;

    /// @dev What a walk along the book finds.
    /// orders: as they were accepted; the energy of those that cross their own site is taken out.
    /// hash, live: of all orders, and how many of them are live. sites: of each site the keenest live ask (DEAREST - price, 0 without one) at bit 0, the
    /// keenest live bid (price + 1) at 32, the live orders at 64, the last fresh order at 80.
    struct Book {
        uint256[] orders;
        uint256[] sites;
        uint256 hash;
        uint256 live;
    }

    /// @notice Fold the orders and find which are live.
    /// @dev An order is live unless a later fresh order of its site voids it, its energy is zero,
    /// or it would trade with an earlier live order of its site.
    function walked(bytes calldata orders, uint256 sites, uint256 fee) internal pure returns (Book memory book) {
        uint256[] memory words = new uint256[](orders.length / ORDER_BYTES);
        uint256[] memory states = new uint256[](sites);
        uint256 hash;
        uint256 live;
        // Sums of fields of at most 32 bits and counts of at most 10,000.
        unchecked {
            for (uint256 i = 0; i < words.length; ++i) {
                Order order = orderAt(orders, i);
                hash = folded(hash, Order.unwrap(order));
                if (order.site() >= sites) continue; // not the book: the hash will tell
                uint256 state = states.at(order.site());
                if (order.fresh()) {
                    live -= (state >> 64) & 0xFF;
                    state = i << 80;
                }
                if (order.energy() != 0) {
                    // By how many bits the own side is shifted, and the other one.
                    uint256 own = 32;
                    uint256 keen = order.price() + 1;
                    if (order.isAsk()) (own, keen) = (0, DEAREST - order.price());
                    // bid + 1 + DEAREST - ask > DEAREST + fee: the two would trade.
                    if (keen + ((state >> (32 - own)) & 0xFFFFFFFF) > DEAREST + fee) {
                        order = Order.wrap(Order.unwrap(order) & ~ENERGY_MASK);
                    } else {
                        ++live;
                        state += 1 << 64;
                        uint256 keenest = (state >> own) & 0xFFFFFFFF;
                        if (keen > keenest) state += (keen - keenest) << own;
                    }
                }
                words.set(i, Order.unwrap(order));
                states.set(order.site(), state);
            }
        }
        return Book(words, states, hash, live);
    }

    /// @notice Check one side's ranking and return its orders in that order, with the energy that
    /// counts, without those that `caps` leave nothing of.
    /// @param caps What each site may still trade on this side, used up here; empty if unlimited.
    function ranked(Book memory book, bytes calldata ranking, bool asks, uint256[] memory caps)
        internal
        pure
        returns (uint256[] memory words)
    {
        uint256[] memory orders = book.orders;
        uint256[] memory sites = book.sites;
        words = new uint256[](ranking.length / 2);
        uint256 kept;
        // Rank of the order before: price, then arrival, made so that it has to grow.
        uint256 last;
        uint256 flip = asks ? 0 : DEAREST - 1;
        // Indices of 16 bits, prices of 24.
        unchecked {
            for (uint256 k = 0; k < ranking.length; k += 2) {
                uint256 i;
                // Without bounds checks, as an order is read.
                assembly ("memory-safe") {
                    i := shr(240, calldataload(add(ranking.offset, k)))
                }
                require(i < orders.length, IMarket.OrderUnknown(i, orders.length));
                Order order = Order.wrap(orders.at(i));
                require(order.isAsk() == asks, IMarket.OrderOnWrongSide(i));
                require(order.energy() != 0 && i >= sites.at(order.site()) >> 80, IMarket.OrderNotLive(i));
                uint256 rank = (((order.price() ^ flip) << 16) | i) + 1;
                require(rank > last, IMarket.OutOfRank(i));
                last = rank;
                if (caps.length != 0) {
                    order = _capped(order, caps);
                    if (order.energy() == 0) continue;
                }
                words.set(kept++, Order.unwrap(order));
            }
        }
        // Shorter than it was made: the memory behind is given up.
        assembly ("memory-safe") {
            mstore(words, kept)
        }
    }

    /// @dev An order with the energy that its site may still trade, which it uses up.
    function _capped(Order order, uint256[] memory caps) private pure returns (Order) {
        uint256 cap = caps.at(order.site());
        uint256 energy = order.energy() < cap ? order.energy() : cap;
        caps.set(order.site(), cap - energy);
        return Order.wrap((Order.unwrap(order) & ~ENERGY_MASK) | (energy << 32));
    }

    /// @notice Walk both rankings together: the trades, packed, and the price between them.
    // One walk with its price: parts of it would have to hand six numbers to and fro.
    // slither-disable-next-line cyclomatic-complexity
    function matched(uint256[] memory bids, uint256[] memory asks, uint256 fee)
        internal
        pure
        returns (bytes memory trades, uint256 price)
    {
        trades = packedMemory((bids.length + asks.length) * TRADE_BYTES);
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
                Order bid = Order.wrap(bids.at(b));
                Order ask = Order.wrap(asks.at(a));
                if (bid.price() < ask.price() + fee) break;
                if (bidLeft == 0) bidLeft = bid.energy();
                if (askLeft == 0) askLeft = ask.energy();
                uint256 energy = bidLeft < askLeft ? bidLeft : askLeft;
                bidLeft -= energy;
                askLeft -= energy;
                put(trades, end, Trade.unwrap(toTrade(ask.site(), bid.site(), energy)) << 192);
                end += TRADE_BYTES;
                least = ask.price() + fee;
                most = bid.price();
                if (bidLeft == 0) ++b;
                if (askLeft == 0) ++a;
            }
            if (end != 0) {
                uint256 bid = b < bids.length ? Order.wrap(bids.at(b)).price() : 0;
                uint256 ask = a < asks.length ? Order.wrap(asks.at(a)).price() + fee : most;
                if (bid > least) least = bid;
                if (ask < most) most = ask;
                price = (least + most) / 2 - fee;
            }
        }
        trim(trades, end);
    }
}
