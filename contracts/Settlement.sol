// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Tariff} from "./types/Terms.sol";
import {toTrade, Trade, tradeAt, TRADE_BYTES} from "./types/Trade.sol";

/// @title Settlement
/// @notice What each account is owed for a slot, and what flowed from where to where.
/// @dev In memory only. Energies are sums of fields of 32 bits over at most 1,000 sites and 9,000
/// trades (below 2^46), prices have 24 bits: no product or sum comes near 2^127.
library Settlement {
    /// @dev Of each site, in Wh. `exports` and `imports` begin as metered and end as what is left
    /// after deliveries; `foreign` is what came to a site from other offices.
    struct Account {
        uint256 sold;
        uint256 bought;
        uint256 exported;
        uint256 imported;
        uint256 exportsLeft;
        uint256 importsLeft;
        uint256 foreign;
    }

    /// @dev A total that is rationed: what is to be had, of how much wanted, and the sum so far.
    struct Ration {
        uint256 had;
        uint256 wanted;
        uint256 sum;
    }

    /// @notice The share of one more site: by rounding of cumulative sums, so that shares add up.
    function next(Ration memory ration, uint256 wanted) internal pure returns (uint256 share) {
        if (wanted == 0) return 0;
        unchecked {
            uint256 sum = ration.sum + wanted;
            share = ration.had * sum / ration.wanted - ration.had * ration.sum / ration.wanted;
            ration.sum = sum;
        }
    }

    /// @notice Add up what each site sold and bought.
    function traded(Account[] memory accounts, bytes calldata trades) internal pure {
        unchecked {
            for (uint256 i = 0; i < trades.length / TRADE_BYTES; ++i) {
                Trade trade = tradeAt(trades, i);
                accounts[trade.seller()].sold += trade.energy();
                accounts[trade.buyer()].bought += trade.energy();
            }
        }
    }

    /// @notice What was delivered of each trade, packed: no more than its seller exported or its
    /// buyer imported.
    function delivered(Account[] memory accounts, bytes calldata trades)
        internal
        pure
        returns (bytes memory deliveries)
    {
        deliveries = new bytes(trades.length + 24);
        unchecked {
            for (uint256 i = 0; i < trades.length / TRADE_BYTES; ++i) {
                Trade trade = tradeAt(trades, i);
                Account memory seller = accounts[trade.seller()];
                Account memory buyer = accounts[trade.buyer()];
                uint256 energy = trade.energy();
                if (energy > seller.exportsLeft) energy = seller.exportsLeft;
                if (energy > buyer.importsLeft) energy = buyer.importsLeft;
                seller.exportsLeft -= energy;
                buyer.importsLeft -= energy;
                buyer.foreign += energy;
                _write(deliveries, i, toTrade(trade.seller(), trade.buyer(), energy));
            }
        }
        _trim(deliveries, trades.length);
    }

    /// @notice What flowed through the pool, packed: exports and imports that no trade moved,
    /// rationed and paired in site order. A site may meet itself.
    function pooled(Account[] memory accounts) internal pure returns (bytes memory flows) {
        Ration memory exports_;
        Ration memory imports_;
        uint256 sites = accounts.length;
        unchecked {
            for (uint256 i = 0; i < sites; ++i) {
                exports_.wanted += accounts[i].exportsLeft;
                imports_.wanted += accounts[i].importsLeft;
            }
            exports_.had = _min(exports_.wanted, imports_.wanted);
            imports_.had = exports_.had;
            flows = new bytes(2 * sites * TRADE_BYTES + 24);
            uint256 count;
            uint256 to;
            uint256 room = sites == 0 ? 0 : next(imports_, accounts[0].importsLeft);
            for (uint256 from = 0; from < sites; ++from) {
                for (uint256 left = next(exports_, accounts[from].exportsLeft); left != 0;) {
                    while (room == 0) room = next(imports_, accounts[++to].importsLeft);
                    uint256 energy = _min(left, room);
                    left -= energy;
                    room -= energy;
                    if (from != to) accounts[to].foreign += energy;
                    _write(flows, count++, toTrade(from, to, energy));
                }
            }
            _trim(flows, count * TRADE_BYTES);
        }
    }

    /// @notice What each site, then the utility, then the network is owed, microyen; sums to zero.
    function entries(Account[] memory accounts, uint256 price, Tariff tariff)
        internal
        pure
        returns (int256[] memory owed)
    {
        uint256 sites = accounts.length;
        owed = new int256[](sites + 2);
        Ration memory surplus;
        Ration memory untaken;
        Ration memory extra;
        Ration memory undelivered;
        unchecked {
            for (uint256 i = 0; i < sites; ++i) {
                Account memory account = accounts[i];
                surplus.wanted += _above(account.exported, account.sold);
                untaken.wanted += _above(account.bought, account.imported);
                extra.wanted += _above(account.imported, account.bought);
                undelivered.wanted += _above(account.sold, account.exported);
            }
            uint256 pool = _min(surplus.wanted + untaken.wanted, extra.wanted + undelivered.wanted);
            surplus.had = _min(pool, surplus.wanted);
            untaken.had = pool - surplus.had;
            extra.had = _min(pool, extra.wanted);
            undelivered.had = pool - extra.had;

            uint256 middle = tariff.middle();
            uint256 most = price > middle ? price : middle;
            uint256 least = _min(price, middle);
            int256 utility;
            // What breaking trades costs beyond the pool's price goes to the network.
            int256 network = int256((most - middle) * undelivered.had + (middle - least) * untaken.had);
            for (uint256 i = 0; i < sites; ++i) {
                Account memory account = accounts[i];
                // Each cast is of a product that the library's note bounds.
                int256 entry = int256(price * account.sold) - int256(price * account.bought);
                uint256 wanted = _above(account.exported, account.sold);
                uint256 share = next(surplus, wanted);
                uint256 long = wanted - share;
                entry += int256(middle * share);
                wanted = _above(account.bought, account.imported);
                share = next(untaken, wanted);
                long += wanted - share;
                entry += int256(least * share);
                wanted = _above(account.imported, account.bought);
                share = next(extra, wanted);
                uint256 short = wanted - share;
                entry -= int256(middle * share);
                wanted = _above(account.sold, account.exported);
                share = next(undelivered, wanted);
                short += wanted - share;
                entry -= int256(most * share);

                int256 fromUtility = int256(tariff.buying() * long) - int256(tariff.selling() * short);
                int256 fee = int256(tariff.fee() * account.foreign);
                utility -= fromUtility;
                network += fee;
                owed[i] = entry + fromUtility - fee;
            }
            owed[sites] = utility;
            owed[sites + 1] = network;
        }
    }

    function _above(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            return a > b ? a - b : 0;
        }
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    /// @dev Warning: writes 32 bytes, of which 8 count: `packed` is made 24 bytes longer and
    /// trimmed when it is full.
    function _write(bytes memory packed, uint256 index, Trade trade) private pure {
        assembly ("memory-safe") {
            mstore(add(add(packed, 32), mul(index, 8)), shl(192, trade))
        }
    }

    function _trim(bytes memory packed, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(packed, length)
        }
    }
}
