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
/// beyond the order horizon, and earlier versions stay readable. Until it takes effect, a plan
/// may be replaced by another.
///
/// | Word    | What it is                                                                    |
/// | ------- | ----------------------------------------------------------------------------- |
/// | from    | the slot from which a change holds: beyond the horizon, and within a year     |
/// | trader  | the key that signs a site's orders                                            |
/// | oracle  | the key that signs its readings                                               |
/// | ratings | what is physically possible at the site: {Ratings}                            |
/// | tariffs | by slot of the Japan-time day, from 00:00                                     |
interface IRegistry {
    /// @notice Thrown when another address than the owner changes the registry.
    /// @param sender That address.
    error NotOwner(address sender);
    /// @notice Thrown when the registry would be left without an owner.
    error OwnerMissing();
    /// @notice Thrown when a change would take effect within the horizon.
    /// @param earliest The first slot for which there still can be changes.
    error TooSoon(uint256 slot, uint256 earliest);
    /// @notice Thrown when changes are planned for as many slots as a look-up may have to pass.
    /// @param limit The most slots for which changes may be planned.
    error TooManyPlans(uint256 limit);
    /// @notice Thrown when a setting is larger than it can be.
    /// @param value The setting, in its own unit.
    /// @param limit The most that it can be.
    error SettingBeyondLimit(uint256 value, uint256 limit);
    /// @notice Thrown when a site would be active without its two keys.
    error KeyMissing(uint256 site);
    /// @notice Thrown when a site that was never enrolled is to change.
    error NotEnrolled(uint256 site);
    /// @notice Thrown when a site that has retired, or is planned to, is to change.
    error AlreadyRetired(uint256 site);
    /// @notice Thrown when the utility's selling price is below its buying price and two fees.
    /// @param slotOfDay 0 from 00:00 in Japan, to 47.
    /// @param selling The utility's selling price, 0.001 JPY per kWh.
    /// @param least Its buying price and two fees.
    error TariffImpossible(uint256 slotOfDay, uint256 selling, uint256 least);

    /// @notice The registry was handed on.
    /// @param owner Who may change the registry from now on.
    event OwnerChanged(address indexed owner);
    /// @notice A site was enrolled, amended or resumed.
    event SiteChanged(uint256 indexed site, uint256 from, address trader, address oracle, Ratings ratings);
    /// @notice A site takes no part from a slot on, until it is amended.
    event SiteSuspended(uint256 indexed site, uint256 from);
    /// @notice A site takes no part from a slot on, for good.
    event SiteRetired(uint256 indexed site, uint256 from);
    /// @notice Prices and fee were enacted from a slot on.
    event TariffEnacted(uint256 from, Tariff[48] tariffs);

    /// @notice Hand the registry to another owner, which can be a quorum of the members.
    /// @dev Warning: there is no way back but through the new owner.
    /// @param owner Who may change the registry from now on.
    // Without a body, the parameter hides nothing.
    // slither-disable-next-line shadowing-local
    function changeOwner(address owner) external;

    /// @notice Enrol a site from a slot on; its id is the next one.
    /// @return site The site's id, never given again.
    function enrol(uint256 from, address trader, address oracle, Ratings calldata ratings)
        external
        returns (uint256 site);

    /// @notice Rotate a site's keys, change its ratings, or resume it after a suspension.
    /// @dev Replaces what was planned for the site from that slot on.
    function amend(uint256 site, uint256 from, address trader, address oracle, Ratings calldata ratings) external;

    /// @notice Let a site take no part from a slot on; `amend` resumes it.
    function suspend(uint256 site, uint256 from) external;

    /// @notice Let a site take no part from a slot on.
    /// @dev Warning: it cannot be taken back.
    function retire(uint256 site, uint256 from) external;

    /// @notice Enact the utility's prices and the fee for the 48 half hours of a Japan-time day.
    /// @dev Replaces tariffs that were planned for that slot or later.
    function enactTariff(uint256 from, Tariff[48] calldata tariffs) external;

    /// @notice Who may change the registry. It has no say over a trade, reading or balance.
    function owner() external view returns (address);

    /// @notice How many sites there are in a slot.
    /// @return enrolled How many site ids are in use.
    /// @return active How many of these sites take part.
    function sitesAt(uint256 slot) external view returns (uint256 enrolled, uint256 active);

    /// @notice A site's keys and ratings in a slot; all zero where it takes no part.
    function siteAt(uint256 site, uint256 slot)
        external
        view
        returns (address trader, address oracle, Ratings memory ratings);

    /// @notice The prices of a slot.
    function tariffAt(uint256 slot) external view returns (Tariff);
}
