// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Tariff} from "./types/Terms.sol";
import {toTrade, Trade, tradeAt, TRADE_BYTES} from "./types/Trade.sol";
import {at, packedMemory, put, set, trim} from "./types/Words.sol";

using {at, set} for uint256[];

/// @title Settlement
/// @notice What each account is owed for a slot, and what flowed from where to where.
/// @dev In memory only. Energies are sums of fields of 32 bits over at most 1,000 sites and 9,000
/// trades (below 2^46), prices have 24 bits: no product or sum comes near 2^127, and two energies
/// of a site share a word, out of it (sold, exported) in the upper half, into it in the lower.
library Settlement {
    uint256 private constant LOWER = type(uint128).max;

    /// @dev A total that is rationed: what is to be had, of how much wanted; of how much that is
    /// asked for so far, and what was given for it.
    struct Ration {
        uint256 had;
        uint256 wanted;
        uint256 asked;
        uint256 given;
    }

    /// @notice What each site sold and bought.
    function traded(bytes calldata trades, uint256 sites) internal pure returns (uint256[] memory sums) {
        sums = new uint256[](sites);
        unchecked {
            for (uint256 i = 0; i < trades.length; i += TRADE_BYTES) {
                Trade trade = tradeAt(trades, i);
                sums.set(trade.seller(), sums.at(trade.seller()) + (trade.energy() << 128));
                sums.set(trade.buyer(), sums.at(trade.buyer()) + trade.energy());
            }
        }
    }

    /// @notice What flowed for each trade, and through the pool, packed; and what came to each
    /// site from others.
    /// @param left As metered, used up here.
    function flows(bytes calldata trades, uint256[] memory left)
        internal
        pure
        returns (bytes memory deliveries, bytes memory pool, uint256[] memory foreign)
    {
        // Two more than sites, since they are paid in threes.
        foreign = new uint256[](left.length + 2);
        deliveries = packedMemory(trades.length);
        // Of each trade no more than what is left of its seller's export and its buyer's import.
        unchecked {
            for (uint256 i = 0; i < trades.length; i += TRADE_BYTES) {
                Trade trade = tradeAt(trades, i);
                uint256 seller = trade.seller();
                uint256 buyer = trade.buyer();
                uint256 energy = trade.energy();
                if (energy > left.at(seller) >> 128) energy = left.at(seller) >> 128;
                if (energy > left.at(buyer) & LOWER) energy = left.at(buyer) & LOWER;
                left.set(seller, left.at(seller) - (energy << 128));
                left.set(buyer, left.at(buyer) - energy);
                foreign.set(buyer, foreign.at(buyer) + energy);
                put(deliveries, i, Trade.unwrap(toTrade(seller, buyer, energy)) << 192);
            }
        }
        trim(deliveries, trades.length);
        pool = _pooled(left, foreign);
    }

    /// @dev Exports and imports that no trade moved, rationed and paired in site order. A site
    /// may meet itself.
    function _pooled(uint256[] memory left, uint256[] memory foreign) private pure returns (bytes memory pool) {
        Ration memory exports_;
        Ration memory imports_;
        uint256 sites = left.length;
        unchecked {
            uint256 total;
            for (uint256 i = 0; i < sites; ++i) {
                total += left.at(i);
            }
            (exports_.wanted, imports_.wanted) = _halves(total);
            exports_.had = imports_.had = _min(exports_.wanted, imports_.wanted);
            pool = packedMemory(2 * sites * TRADE_BYTES);
            uint256 end;
            // One before the first site.
            uint256 to = type(uint256).max;
            uint256 room;
            for (uint256 from = 0; from < sites; ++from) {
                uint256 rest = left.at(from) >> 128;
                if (rest != 0) rest = _next(exports_, rest);
                while (rest != 0) {
                    while (room == 0) {
                        room = left.at(++to) & LOWER;
                        if (room != 0) room = _next(imports_, room);
                    }
                    uint256 energy = rest < room ? rest : room;
                    rest -= energy;
                    room -= energy;
                    if (from != to) foreign.set(to, foreign.at(to) + energy);
                    put(pool, end, Trade.unwrap(toTrade(from, to, energy)) << 192);
                    end += TRADE_BYTES;
                }
            }
            trim(pool, end);
        }
    }

    /// @notice What each site, then the utility, then the network is owed, microyen, before the
    /// network's fee, in two's complement; sums to zero.
    function entries(uint256[] memory sums, uint256[] memory metered, uint256 price, Tariff tariff)
        internal
        pure
        returns (uint256[] memory owed)
    {
        uint256 sites = sums.length;
        owed = new uint256[](sites + 2);
        (Ration memory surplus, Ration memory untaken, Ration memory extra, Ration memory undelivered) =
            _rations(sums, metered);
        uint256 middle = tariff.middle();
        uint256 failedSellerPays = price > middle ? price : middle;
        uint256 failedBuyerGets = _min(price, middle);
        int256 utility;
        // Each cast is of a product that the library's note bounds.
        unchecked {
            for (uint256 i = 0; i < sites; ++i) {
                (uint256 sold, uint256 bought) = _halves(sums.at(i));
                (uint256 exported, uint256 imported) = _halves(metered.at(i));
                int256 entry = int256(price * sold) - int256(price * bought);
                uint256 long;
                uint256 short;
                if (exported > sold) {
                    uint256 share = _next(surplus, exported - sold);
                    entry += int256(middle * share);
                    long = exported - sold - share;
                } else if (sold > exported) {
                    uint256 share = _next(undelivered, sold - exported);
                    entry -= int256(failedSellerPays * share);
                    short = sold - exported - share;
                }
                if (imported > bought) {
                    uint256 share = _next(extra, imported - bought);
                    entry -= int256(middle * share);
                    short += imported - bought - share;
                } else if (bought > imported) {
                    uint256 share = _next(untaken, bought - imported);
                    entry += int256(failedBuyerGets * share);
                    long += bought - imported - share;
                }
                int256 fromUtility = int256(tariff.buying() * long) - int256(tariff.selling() * short);
                utility -= fromUtility;
                owed.set(i, uint256(entry + fromUtility));
            }
            owed.set(sites, uint256(utility));
            // What breaking trades costs beyond the pool's price goes to the network.
            owed.set(sites + 1, (failedSellerPays - middle) * undelivered.had + (middle - failedBuyerGets) * untaken.had);
        }
    }

    /// @dev How much of what each kind of gap between traded and metered wants the pool has:
    /// what was metered is served first, broken trades from the rest.
    function _rations(uint256[] memory sums, uint256[] memory metered)
        private
        pure
        returns (
            Ration memory surplus,
            Ration memory untaken,
            Ration memory extra,
            Ration memory undelivered
        )
    {
        // Two sums a word, as above: what is beyond the trades, and what is short of them.
        uint256 out;
        uint256 into;
        unchecked {
            for (uint256 i = 0; i < sums.length; ++i) {
                (uint256 sold, uint256 bought) = _halves(sums.at(i));
                (uint256 exported, uint256 imported) = _halves(metered.at(i));
                if (exported > sold) out += (exported - sold) << 128;
                else out += sold - exported;
                if (imported > bought) into += (imported - bought) << 128;
                else into += bought - imported;
            }
            (surplus.wanted, undelivered.wanted) = _halves(out);
            (extra.wanted, untaken.wanted) = _halves(into);
            uint256 pool = _min(surplus.wanted + untaken.wanted, extra.wanted + undelivered.wanted);
            surplus.had = _min(pool, surplus.wanted);
            untaken.had = pool - surplus.had;
            extra.had = _min(pool, extra.wanted);
            undelivered.had = pool - extra.had;
        }
    }

    /// @dev The share of one more site: by rounding of cumulative sums, so that shares add up.
    /// Warning: what is wanted is above 0.
    function _next(Ration memory ration, uint256 wanted) private pure returns (uint256 share) {
        unchecked {
            ration.asked += wanted;
            share = ration.had * ration.asked / ration.wanted - ration.given;
            ration.given += share;
        }
    }

    function _halves(uint256 word) private pure returns (uint256 upper, uint256 lower) {
        return (word >> 128, word & LOWER);
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) { return a < b ? a : b; }
}
