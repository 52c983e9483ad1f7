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

using {key, from, importLimit, generationLimit, batteryLimit, capacityLimit} for Metering global;

/// @dev Wh in half an hour at 0.1 kW.
uint256 constant POWER_UNIT = 50;
/// @dev Wh in 0.1 kWh.
uint256 constant CAPACITY_UNIT = 100;

function toMetering(
    address key_,
    uint256 from_,
    uint256 import_,
    uint256 generation_,
    uint256 battery_,
    uint256 capacity_
) pure returns (Metering) {
    return Metering.wrap(
        (uint256(uint160(key_)) << 96) | (from_ << 64) | (import_ << 48) | (generation_ << 32) | (battery_ << 16)
            | capacity_
    );
}

function key(Metering metering) pure returns (address) {
    return address(uint160(Metering.unwrap(metering) >> 96));
}

function from(Metering metering) pure returns (uint256) {
    return (Metering.unwrap(metering) >> 64) & 0xFFFFFFFF;
}

/// @notice Most Wh imported in a slot.
function importLimit(Metering metering) pure returns (uint256) {
    return ((Metering.unwrap(metering) >> 48) & 0xFFFF) * POWER_UNIT;
}

/// @notice Most Wh generated in a slot.
function generationLimit(Metering metering) pure returns (uint256) {
    return ((Metering.unwrap(metering) >> 32) & 0xFFFF) * POWER_UNIT;
}

/// @notice Most Wh charged or discharged in a slot.
function batteryLimit(Metering metering) pure returns (uint256) {
    return ((Metering.unwrap(metering) >> 16) & 0xFFFF) * POWER_UNIT;
}

/// @notice Most Wh stored.
function capacityLimit(Metering metering) pure returns (uint256) {
    return (Metering.unwrap(metering) & 0xFFFF) * CAPACITY_UNIT;
}
