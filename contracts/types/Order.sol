// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice A site's order of a slot, 80 bits.
///
///   79            64 63               32 31          8 7 6   5    4   3      0
///  +----------------+-------------------+-------------+---+-----+---+----------+
///  |      site      |    energy (Wh)    |    price    | 0 |fresh|ask| sequence |
///  +----------------+-------------------+-------------+---+-----+---+----------+
///
/// On the wire and in logs: these 10 bytes, big-endian. The slot is given once for a batch.
type Order is uint256;

using {site, energy, price, fresh, isAsk, sequence} for Order global;

uint256 constant ORDER_BYTES = 10;
/// @dev The bits that a signature covers: without the two zero bits, so that no one can make
/// two words of one signed order.
uint256 constant ORDER_MASK = 0xFFFFFFFFFFFFFFFFFF3F;
/// @dev The sequence of the word by which the owner voids a site's orders: no order is signed
/// with it, and none is taken after it.
uint256 constant VOIDING = 15;

function site(Order order) pure returns (uint256) { return Order.unwrap(order) >> 64; }
function energy(Order order) pure returns (uint256) { return (Order.unwrap(order) >> 32) & 0xFFFFFFFF; }
function price(Order order) pure returns (uint256) { return (Order.unwrap(order) >> 8) & 0xFFFFFF; }
function fresh(Order order) pure returns (bool) { return Order.unwrap(order) & 0x20 != 0; }
function isAsk(Order order) pure returns (bool) { return Order.unwrap(order) & 0x10 != 0; }
function sequence(Order order) pure returns (uint256) { return Order.unwrap(order) & 0xF; }

/// @notice The word that voids a site's orders: fresh, without energy.
function voidingOrder(uint256 site_) pure returns (Order) { return Order.wrap((site_ << 64) | 0x20 | VOIDING); }

/// @notice Read the order at an index of packed orders.
/// @dev Warning: the caller has checked that `index` is inside.
function orderAt(bytes calldata orders, uint256 index) pure returns (Order order) {
    // Slicing with bounds checks costs 120 gas an order, this 20.
    assembly ("memory-safe") {
        order := and(shr(176, calldataload(add(orders.offset, mul(index, 10)))), ORDER_MASK)
    }
}
