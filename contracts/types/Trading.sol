// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What trading and tracing need of a site, from a slot on.
///
///   255                     96 95      64 63              32 31        16 15      0
///  +--------------------------+----------+------------------+------------+---------+
///  |       trader key         |   from   | order limit (Wh) | efficiency |    0    |
///  +--------------------------+----------+------------------+------------+---------+
///
/// Efficiency is the battery's for a round trip, in per mille; 0 without a battery.
/// A trader key of zero means that the site takes no part.
type Trading is uint256;

using {key, from, orderLimit, efficiency} for Trading global;

function toTrading(address key_, uint256 from_, uint256 orderLimit_, uint256 efficiency_) pure returns (Trading) {
    return Trading.wrap((uint256(uint160(key_)) << 96) | (from_ << 64) | (orderLimit_ << 32) | (efficiency_ << 16));
}

function key(Trading trading) pure returns (address) {
    return address(uint160(Trading.unwrap(trading) >> 96));
}

function from(Trading trading) pure returns (uint256) {
    return (Trading.unwrap(trading) >> 64) & 0xFFFFFFFF;
}

function orderLimit(Trading trading) pure returns (uint256) {
    return (Trading.unwrap(trading) >> 32) & 0xFFFFFFFF;
}

function efficiency(Trading trading) pure returns (uint256) {
    return (Trading.unwrap(trading) >> 16) & 0xFFFF;
}
