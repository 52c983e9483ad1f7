// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What a site's devices measured in a slot; energies in Wh.
///
///   255 224 223 208 207  176 175  144 143   112 111  80 79      48 47  16 15    8 7      0
///  +-------+-------+--------+--------+---------+-------+----------+------+-------+--------+
///  | slot  | site  |imported|exported|generated|charged|discharged|stored|quality|revision|
///  +-------+-------+--------+--------+---------+-------+----------+------+-------+--------+
///
/// On the wire, in logs and in storage: this word.
type Reading is uint256;

using {
    slot, site, imported, exported, generated, charged, discharged, stored, quality, revision, isAssumed
} for Reading global;

uint256 constant READING_BYTES = 32;
/// @dev Quality flag of a reading that settlement assumed because none had come.
uint256 constant ASSUMED = 128;

function slot(Reading reading) pure returns (uint256) { return Reading.unwrap(reading) >> 224; }
function site(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 208) & 0xFFFF; }
function imported(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 176) & 0xFFFFFFFF; }
function exported(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 144) & 0xFFFFFFFF; }
function generated(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 112) & 0xFFFFFFFF; }
function charged(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 80) & 0xFFFFFFFF; }
function discharged(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 48) & 0xFFFFFFFF; }
function stored(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 16) & 0xFFFFFFFF; }
function quality(Reading reading) pure returns (uint256) { return (Reading.unwrap(reading) >> 8) & 0xFF; }
function revision(Reading reading) pure returns (uint256) { return Reading.unwrap(reading) & 0xFF; }
function isAssumed(Reading reading) pure returns (bool) { return reading.quality() >= ASSUMED; }

function assumedReading(uint256 slot_, uint256 site_, uint256 imported_) pure returns (Reading) {
    return Reading.wrap((slot_ << 224) | (site_ << 208) | (imported_ << 176) | (ASSUMED << 8));
}

/// @notice Read the reading at an index of packed readings.
/// @dev Warning: the caller has checked that `index` is inside.
function readingAt(bytes calldata readings, uint256 index) pure returns (Reading reading) {
    // Without bounds checks, as an order is read.
    assembly ("memory-safe") {
        reading := calldataload(add(readings.offset, mul(index, 32)))
    }
}
