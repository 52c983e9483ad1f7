// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Energy that one site owes another in a slot, or that flowed between them; 64 bits.
///
///   63            48 47            32 31                0
///  +----------------+----------------+-------------------+
///  |     seller     |     buyer      |    energy (Wh)    |
///  +----------------+----------------+-------------------+
///
/// On the wire and in logs: these 8 bytes, big-endian.
type Trade is uint256;

using {seller, buyer, energy} for Trade global;

uint256 constant TRADE_BYTES = 8;

function seller(Trade trade) pure returns (uint256) { return Trade.unwrap(trade) >> 48; }
function buyer(Trade trade) pure returns (uint256) { return (Trade.unwrap(trade) >> 32) & 0xFFFF; }
function energy(Trade trade) pure returns (uint256) { return Trade.unwrap(trade) & 0xFFFFFFFF; }

function toTrade(uint256 seller_, uint256 buyer_, uint256 energy_) pure returns (Trade) {
    return Trade.wrap((seller_ << 48) | (buyer_ << 32) | energy_);
}

/// @notice Read the trade that begins at a byte of packed trades.
/// @dev Warning: the caller has checked that it is inside.
function tradeAt(bytes calldata trades, uint256 byte_) pure returns (Trade trade) {
    // Without bounds checks, as an order is read.
    assembly ("memory-safe") {
        trade := shr(192, calldataload(add(trades.offset, byte_)))
    }
}
