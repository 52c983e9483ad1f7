// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice How far a slot has come, in the one word of the ring that it has for itself.
///
///   255       224 223  216 215      192 191                       0
///  +-------------+--------+------------+---------------------------+
///  |    slot     | stage  |   price    |           hash            |
///  +-------------+--------+------------+---------------------------+
///
/// OPEN:    hash folds the accepted orders, 0 while there are none.
/// CLEARED: price between buyers and sellers (0 without trades), hash of the packed trades.
/// SETTLED: as before, kept until the ring comes round.
/// A hash of 192 bits resists collisions up to 2^96 tries.
type SlotState is uint256;

using {slot, stage, price, hash} for SlotState global;

uint256 constant OPEN = 0;
uint256 constant CLEARED = 1;
uint256 constant SETTLED = 2;

function slot(SlotState state) pure returns (uint256) { return SlotState.unwrap(state) >> 224; }
function stage(SlotState state) pure returns (uint256) { return (SlotState.unwrap(state) >> 216) & 0xFF; }
function price(SlotState state) pure returns (uint256) { return (SlotState.unwrap(state) >> 192) & 0xFFFFFF; }
function hash(SlotState state) pure returns (uint256) { return SlotState.unwrap(state) & ((1 << 192) - 1); }

function toSlotState(uint256 slot_, uint256 stage_, uint256 price_, uint256 hash_) pure returns (SlotState) {
    return SlotState.wrap((slot_ << 224) | (stage_ << 216) | (price_ << 192) | hash_);
}

/// @notice Fold one more accepted order's bits into the hash of those before it.
function folded(uint256 hash_, uint256 word) pure returns (uint256 result) {
    // The 64 bytes of scratch memory: abi.encode would allocate for each of 9,000 orders.
    assembly ("memory-safe") {
        mstore(0, hash_)
        mstore(32, word)
        result := shr(64, keccak256(0, 64))
    }
}

/// @notice The hash of packed trades, as it is kept.
function hashOf(bytes memory trades) pure returns (uint256) { return uint256(keccak256(trades)) >> 64; }
