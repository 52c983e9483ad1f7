// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Tariff} from "../types/Terms.sol";

/// @notice What is physically possible at a site, and its battery.
struct Ratings {
    uint32 orderEnergy; // most energy of one order, Wh
    uint16 importPower; // 0.1 kW
    uint16 generationPower; // 0.1 kW
    uint16 batteryPower; // 0.1 kW, 0 without a battery
    uint16 batteryCapacity; // 0.1 kWh
    uint16 batteryEfficiency; // per mille, round trip
}

/// @title Who takes part, and at what prices: from which slot on
/// @notice What is true of a slot never changes later: everything here takes effect from a slot
/// beyond the order horizon, and earlier versions stay readable.
interface IRegistry {
    /// @notice Thrown when another address than the owner changes the registry.
    error NotOwner(address sender);
    /// @notice Thrown when a change would take effect within the horizon or before an earlier one.
    error TooSoon(uint256 slot, uint256 earliest);
    /// @notice Thrown when a setting is larger than it can be.
    error SettingBeyondLimit(uint256 value, uint256 limit);
    /// @notice Thrown when a site would be active without its two keys.
    error KeyMissing(uint256 site);
    /// @notice Thrown when the utility's selling price is below its buying price and two fees.
    error TariffImpossible(uint256 slotOfDay, uint256 selling, uint256 least);

    event OwnerChanged(address indexed owner);
    event SiteChanged(uint256 indexed site, uint256 from, address trader, address oracle, Ratings ratings);
    event SiteRetired(uint256 indexed site, uint256 from);
    event TariffEnacted(uint256 from, Tariff[48] tariffs);

    /// @notice Hand the registry to another owner, which can be a quorum of the members.
    /// @dev Warning: there is no way back but through the new owner.
    function changeOwner(address owner) external;

    /// @notice Enrol a site from a slot on; its id is the next one.
    function enrol(uint256 from, address trader, address oracle, Ratings calldata ratings)
        external
        returns (uint256 site);

    /// @notice Change a site's keys or ratings from a slot on; a retired site is active again.
    function amend(uint256 site, uint256 from, address trader, address oracle, Ratings calldata ratings) external;

    /// @notice Let a site take no part from a slot on.
    function retire(uint256 site, uint256 from) external;

    /// @notice Enact the utility's prices and the fee for the 48 half hours of a Japan-time day.
    function enactTariff(uint256 from, Tariff[48] calldata tariffs) external;

    /// @notice Who may change the registry. It has no say over a trade, reading or balance.
    function owner() external view returns (address);

    /// @notice How many sites were ever enrolled for a slot, and how many of them are active.
    function sitesAt(uint256 slot) external view returns (uint256 enrolled, uint256 active);

    /// @notice A site's keys and ratings in a slot; zero keys where it takes no part.
    function siteAt(uint256 site, uint256 slot)
        external
        view
        returns (address trader, address oracle, Ratings memory ratings);

    /// @notice The prices of a slot.
    function tariffAt(uint256 slot) external view returns (Tariff);
}
