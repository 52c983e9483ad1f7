// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What metering needs of a site, from a slot on.
///
///   255                     96 95      64 63    48 47       32 31      16 15       0
///  +--------------------------+----------+--------+-----------+----------+----------+
///  |       oracle key         |   from   | import | generation| battery  | capacity |
///  +--------------------------+----------+--------+-----------+----------+----------+
///
/// Import, generation and battery power in 0.1 kW, battery capacity in 0.1 kWh: ceilings of
/// what is physically possible, not expectations.
type Metering is uint256;

using {key, importLimit, generationLimit, batteryLimit, capacityLimit} for Metering global;

/// @dev Wh in half an hour at 0.1 kW.
uint256 constant POWER_UNIT = 50;
/// @dev Wh in 0.1 kWh.
uint256 constant CAPACITY_UNIT = 100;

function key(Metering metering) pure returns (address) { return address(uint160(Metering.unwrap(metering) >> 96)); }

// The most Wh in a slot that may be imported, generated, charged or discharged; and stored.
function importLimit(Metering metering) pure returns (uint256) { return _limit(metering, 48, POWER_UNIT); }
function generationLimit(Metering metering) pure returns (uint256) { return _limit(metering, 32, POWER_UNIT); }
function batteryLimit(Metering metering) pure returns (uint256) { return _limit(metering, 16, POWER_UNIT); }
function capacityLimit(Metering metering) pure returns (uint256) { return _limit(metering, 0, CAPACITY_UNIT); }

function _limit(Metering metering, uint256 at, uint256 unit) pure returns (uint256) {
    // 16 bits times at most 100.
    unchecked {
        return ((Metering.unwrap(metering) >> at) & 0xFFFF) * unit;
    }
}
