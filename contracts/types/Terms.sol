// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What holds for all sites from a slot on.
///
///   95        64 63        32 31       16 15        0
///  +------------+------------+-----------+-----------+
///  |    from    |   tariff   |   sites   |  active   |
///  +------------+------------+-----------+-----------+
///
/// From which slot the terms and their tariff hold, how many site ids are in use, and how many of
/// the sites are active.
type Terms is uint256;

/// @notice The utility's prices and the network's fee in a slot of the day, 0.001 JPY/kWh.
///
///   71        48 47        24 23         0
///  +------------+------------+------------+
///  |  selling   |   buying   |    fee     |
///  +------------+------------+------------+
type Tariff is uint72;

using {from, tariffFrom, sites, active} for Terms global;
using {selling, buying, fee, middle} for Tariff global;

function from(Terms terms) pure returns (uint256) { return (Terms.unwrap(terms) >> 64) & 0xFFFFFFFF; }
function tariffFrom(Terms terms) pure returns (uint256) { return (Terms.unwrap(terms) >> 32) & 0xFFFFFFFF; }
function sites(Terms terms) pure returns (uint256) { return (Terms.unwrap(terms) >> 16) & 0xFFFF; }
function active(Terms terms) pure returns (uint256) { return Terms.unwrap(terms) & 0xFFFF; }

function toTerms(uint256 from_, uint256 tariffFrom_, uint256 sites_, uint256 active_) pure returns (Terms) {
    return Terms.wrap((from_ << 64) | (tariffFrom_ << 32) | (sites_ << 16) | active_);
}

function selling(Tariff tariff) pure returns (uint256) { return Tariff.unwrap(tariff) >> 48; }
function buying(Tariff tariff) pure returns (uint256) { return (Tariff.unwrap(tariff) >> 24) & 0xFFFFFF; }
function fee(Tariff tariff) pure returns (uint256) { return Tariff.unwrap(tariff) & 0xFFFFFF; }

/// @notice The mid-market price at which long and short meet in the pool.
/// @dev selling >= buying + 2 x fee, so that the middle with the fee is within both prices.
function middle(Tariff tariff) pure returns (uint256) {
    return (tariff.buying() + tariff.selling() - tariff.fee()) / 2;
}
