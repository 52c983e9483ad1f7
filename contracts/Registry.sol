// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRegistry, Ratings} from "./interfaces/IRegistry.sol";
import {fromOf, History} from "./types/History.sol";
import {Metering, POWER_UNIT} from "./types/Metering.sol";
import {Tariff, Terms, toTerms} from "./types/Terms.sol";
import {RETIRED, Trading} from "./types/Trading.sol";

/// @title Registry
/// @notice See {IRegistry}. Of everything the latest version stands in a word of its own; others
/// are looked up only by slots for which the latest does not hold yet.
abstract contract Registry is IRegistry {
    uint256 internal constant MOST_SITES = 1000;
    uint256 internal constant SLOT_SECONDS = 1800;
    /// @dev A year of slots: a slip of the pen cannot plan a change for another century.
    uint256 private constant MOST_LEAD = 17_568;
    /// @dev Slots for which changes may be planned at a time: what a look-up may have to pass.
    uint256 private constant MOST_PLANS = 64;
    /// @dev Wh: as much as can be metered in a slot.
    uint256 private constant MOST_ORDER_ENERGY = type(uint16).max * POWER_UNIT;
    /// @dev Slot 0 began at 09:00 in Japan.
    uint256 private constant JAPAN_SHIFT = 18;

    /// @dev How many slots ahead orders may be posted.
    uint256 internal immutable _horizon;
    /// @inheritdoc IRegistry
    address public owner;

    History private _terms;
    /// @dev A bit for each site that is active, by the slot from which the terms hold.
    mapping(uint256 termsFrom => mapping(uint256 group => uint256 bits)) private _rosters;
    /// @dev Three half hours a word, by the slot from which the tariff holds.
    mapping(uint256 tariffFrom => uint256[16] words) private _tariffs;
    mapping(uint256 site => History) internal _trading;
    mapping(uint256 site => History) private _metering;

    modifier onlyOwner() {
        require(msg.sender == owner, NotOwner(msg.sender));
        _;
    }

    constructor(address owner_, uint256 horizon_) {
        _horizon = horizon_;
        _changeOwner(owner_);
    }

    /// @inheritdoc IRegistry
    function changeOwner(address owner_) external onlyOwner { _changeOwner(owner_); }

    /// @inheritdoc IRegistry
    function enrol(uint256 from, address trader, address oracle, Ratings calldata ratings)
        external
        onlyOwner
        returns (uint256 site)
    {
        site = Terms.wrap(_terms.latest).sites();
        require(site < MOST_SITES, SettingBeyondLimit(site, MOST_SITES - 1));
        _join(site, from, trader, oracle, ratings);
    }

    /// @inheritdoc IRegistry
    function amend(uint256 site, uint256 from, address trader, address oracle, Ratings calldata ratings)
        external
        onlyOwner
    {
        _requireEnrolled(site);
        _join(site, from, trader, oracle, ratings);
    }

    /// @inheritdoc IRegistry
    function suspend(uint256 site, uint256 from) external onlyOwner {
        _leave(site, from, 0);
        emit SiteSuspended(site, from);
    }

    /// @inheritdoc IRegistry
    function retire(uint256 site, uint256 from) external onlyOwner {
        _leave(site, from, RETIRED);
        emit SiteRetired(site, from);
    }

    /// @inheritdoc IRegistry
    function enactTariff(uint256 from, Tariff[48] calldata tariffs) external onlyOwner {
        uint256[16] memory words;
        for (uint256 i = 0; i < 48; ++i) {
            Tariff tariff = tariffs[i];
            uint256 least = tariff.buying() + 2 * tariff.fee();
            require(tariff.selling() >= least, TariffImpossible(i, tariff.selling(), least));
            words[i / 3] |= uint256(Tariff.unwrap(tariff)) << (72 * (i % 3));
        }
        _tariffs[from] = words;
        uint256[] storage plans = _terms.past;
        for (uint256 i = _openTerms(from); i < plans.length; ++i) {
            Terms terms = Terms.wrap(plans[i]);
            plans[i] = Terms.unwrap(toTerms(terms.from(), from, terms.sites(), terms.active()));
        }
        _closeTerms();
        emit TariffEnacted(from, tariffs);
    }

    /// @inheritdoc IRegistry
    function sitesAt(uint256 slot) external view returns (uint256 enrolled, uint256 active) {
        Terms terms = _termsAt(slot);
        return (terms.sites(), terms.active());
    }

    /// @inheritdoc IRegistry
    function siteAt(uint256 site, uint256 slot)
        external
        view
        returns (address trader, address oracle, Ratings memory ratings)
    {
        Trading trading = _tradingAt(site, slot);
        Metering metering = _meteringAt(site, slot);
        uint256 limits = Metering.unwrap(metering);
        // Each cast takes the field of that width.
        ratings = Ratings({
            orderEnergy: uint32(trading.orderLimit()),
            importPower: uint16(limits >> 48),
            generationPower: uint16(limits >> 32),
            batteryPower: uint16(limits >> 16),
            batteryCapacity: uint16(limits),
            batteryEfficiency: uint16(trading.efficiency())
        });
        return (trading.key(), metering.key(), ratings);
    }

    /// @inheritdoc IRegistry
    function tariffAt(uint256 slot) external view returns (Tariff) { return _tariffAt(_termsAt(slot), slot); }

    function _termsAt(uint256 slot) internal view returns (Terms) { return Terms.wrap(_terms.versionAt(slot)); }

    function _tradingAt(uint256 site, uint256 slot) internal view returns (Trading) {
        return Trading.wrap(_trading[site].versionAt(slot));
    }

    function _meteringAt(uint256 site, uint256 slot) internal view returns (Metering) {
        return Metering.wrap(_metering[site].versionAt(slot));
    }

    function _tariffAt(Terms terms, uint256 slot) internal view returns (Tariff) {
        uint256 i = (slot + JAPAN_SHIFT) % 48;
        // 72 bits are a Tariff.
        return Tariff.wrap(uint72(_tariffs[terms.tariffFrom()][i / 3] >> (72 * (i % 3))));
    }

    /// @dev The bits of 256 sites, one set for each that is active.
    function _rosterAt(Terms terms, uint256 group) internal view returns (uint256) {
        return _rosters[terms.from()][group];
    }

    function _changeOwner(address owner_) private {
        require(owner_ != address(0), OwnerMissing());
        owner = owner_;
        emit OwnerChanged(owner_);
    }

    function _join(uint256 site, uint256 from, address trader, address oracle, Ratings calldata ratings) private {
        require(trader != address(0) && oracle != address(0), KeyMissing(site));
        require(ratings.orderEnergy <= MOST_ORDER_ENERGY, SettingBeyondLimit(ratings.orderEnergy, MOST_ORDER_ENERGY));
        require(ratings.batteryEfficiency <= 1000, SettingBeyondLimit(ratings.batteryEfficiency, 1000));
        uint256 trading = (uint256(ratings.orderEnergy) << 32) | (uint256(ratings.batteryEfficiency) << 16);
        uint256 metering = (uint256(ratings.importPower) << 48) | (uint256(ratings.generationPower) << 32)
            | (uint256(ratings.batteryPower) << 16) | ratings.batteryCapacity;
        _changeSite(site, from, _withKey(trader) | trading, _withKey(oracle) | metering, true);
        emit SiteChanged(site, from, trader, oracle, ratings);
    }

    function _leave(uint256 site, uint256 from, uint256 retired) private {
        _requireEnrolled(site);
        _changeSite(site, from, retired, 0, false);
    }

    function _requireEnrolled(uint256 site) private view {
        require(site < Terms.wrap(_terms.latest).sites(), NotEnrolled(site));
        require(!Trading.wrap(_trading[site].latest).isRetired(), AlreadyRetired(site));
    }

    function _withKey(address key) private pure returns (uint256) { return uint256(uint160(key)) << 96; }

    /// @dev Let a site be such from a slot on, whatever was planned for it from there on.
    function _changeSite(uint256 site, uint256 from, uint256 trading, uint256 metering, bool isActive) private {
        uint256[] storage plans = _terms.past;
        uint256 bit = 1 << (site % 256);
        for (uint256 i = _openTerms(from); i < plans.length; ++i) {
            Terms terms = Terms.wrap(plans[i]);
            uint256 before = _rosterAt(terms, site / 256);
            uint256 active = terms.active();
            if (isActive && before & bit == 0) ++active;
            if (!isActive && before & bit != 0) --active;
            _rosters[terms.from()][site / 256] = isActive ? before | bit : before & ~bit;
            uint256 sites = site < terms.sites() ? terms.sites() : site + 1;
            plans[i] = Terms.unwrap(toTerms(terms.from(), terms.tariffFrom(), sites, active));
        }
        _closeTerms();
        _trading[site].change((from << 64) | trading);
        _metering[site].change((from << 64) | metering);
    }

    /// @dev Open terms from a slot on, for the caller to change them and all that begin later: in
    /// `_terms.past`, from the returned index on. `_closeTerms` ends it.
    function _openTerms(uint256 from) private returns (uint256 index) {
        uint256 earliest = block.timestamp / SLOT_SECONDS + _horizon + 1;
        require(from >= earliest, TooSoon(from, earliest));
        require(from <= earliest + MOST_LEAD, SettingBeyondLimit(from, earliest + MOST_LEAD));
        uint256[] storage plans = _terms.past;
        plans.push(_terms.latest);
        index = plans.length;
        // The oldest is 0, from slot 0 on.
        while (fromOf(plans[index - 1]) > from) --index;
        uint256 before = plans[index - 1];
        if (fromOf(before) == from) return index - 1;
        bool isFull = plans.length >= MOST_PLANS && fromOf(plans[plans.length - MOST_PLANS]) >= earliest;
        require(!isFull, TooManyPlans(MOST_PLANS));
        plans.push();
        for (uint256 i = plans.length - 1; i > index; --i) {
            plans[i] = plans[i - 1];
        }
        Terms terms = Terms.wrap(before);
        plans[index] = Terms.unwrap(toTerms(from, terms.tariffFrom(), terms.sites(), terms.active()));
        for (uint256 group = 0; group * 256 < terms.sites(); ++group) {
            _rosters[from][group] = _rosterAt(terms, group);
        }
    }

    /// @dev The last of the open terms stand apart again.
    function _closeTerms() private {
        uint256[] storage plans = _terms.past;
        _terms.latest = plans[plans.length - 1];
        plans.pop();
    }
}
