// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What holds for all sites from a slot on.
///
///   143    112 111    96 95     80 79      40 39       0
///  +----------+---------+---------+----------+----------+
///  |   from   |  sites  | active  |  roster  |  tariff  |
///  +----------+---------+---------+----------+----------+
///
/// Sites ever enrolled, how many are active, and the numbers of the roster (which ones) and of
/// the tariff.
type Terms is uint256;

/// @notice The utility's prices and the network's fee in a slot of the day, 0.001 JPY/kWh.
///
///   71        48 47        24 23         0
///  +------------+------------+------------+
///  |  selling   |   buying   |    fee     |
///  +------------+------------+------------+
type Tariff is uint72;

using {from, sites, active, roster, tariffNumber} for Terms global;
using {selling, buying, fee, middle} for Tariff global;

function toTerms(uint256 from_, uint256 sites_, uint256 active_, uint256 roster_, uint256 tariff_)
    pure
    returns (Terms)
{
    return Terms.wrap((from_ << 112) | (sites_ << 96) | (active_ << 80) | (roster_ << 40) | tariff_);
}

function from(Terms terms) pure returns (uint256) {
    return Terms.unwrap(terms) >> 112;
}

function sites(Terms terms) pure returns (uint256) {
    return (Terms.unwrap(terms) >> 96) & 0xFFFF;
}

function active(Terms terms) pure returns (uint256) {
    return (Terms.unwrap(terms) >> 80) & 0xFFFF;
}

function roster(Terms terms) pure returns (uint256) {
    return (Terms.unwrap(terms) >> 40) & 0xFFFFFFFFFF;
}

function tariffNumber(Terms terms) pure returns (uint256) {
    return Terms.unwrap(terms) & 0xFFFFFFFFFF;
}

function selling(Tariff tariff) pure returns (uint256) {
    return Tariff.unwrap(tariff) >> 48;
}

function buying(Tariff tariff) pure returns (uint256) {
    return (Tariff.unwrap(tariff) >> 24) & 0xFFFFFF;
}

function fee(Tariff tariff) pure returns (uint256) {
    return Tariff.unwrap(tariff) & 0xFFFFFF;
}

/// @notice The mid-market price at which long and short meet in the pool.
/// @dev selling >= buying + 2 x fee, so that the middle with the fee is within both prices.
function middle(Tariff tariff) pure returns (uint256) {
    return (tariff.buying() + tariff.selling() - tariff.fee()) / 2;
}
