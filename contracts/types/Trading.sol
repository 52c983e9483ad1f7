// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What trading and tracing need of a site, from a slot on.
///
///   255                     96 95      64 63              32 31        16 15    1   0
///  +--------------------------+----------+------------------+------------+------+----+
///  |       trader key         |   from   | order limit (Wh) | efficiency |  0   | R  |
///  +--------------------------+----------+------------------+------------+------+----+
///
/// Efficiency is the battery's for a round trip, in per mille; 0 without a battery.
/// A trader key of zero means that the site takes no part; R that it never will again.
type Trading is uint256;

using {key, orderLimit, efficiency, isRetired} for Trading global;

uint256 constant RETIRED = 1;

function key(Trading trading) pure returns (address) { return address(uint160(Trading.unwrap(trading) >> 96)); }
function orderLimit(Trading trading) pure returns (uint256) { return (Trading.unwrap(trading) >> 32) & 0xFFFFFFFF; }
function efficiency(Trading trading) pure returns (uint256) { return (Trading.unwrap(trading) >> 16) & 0xFFFF; }
function isRetired(Trading trading) pure returns (bool) { return Trading.unwrap(trading) & RETIRED != 0; }
