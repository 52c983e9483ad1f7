// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRegistry, Ratings} from "./interfaces/IRegistry.sol";
import {Metering, POWER_UNIT, toMetering} from "./types/Metering.sol";
import {Tariff, Terms, toTerms} from "./types/Terms.sol";
import {toTrading, Trading} from "./types/Trading.sol";

/// @title Registry
/// @notice See {IRegistry}. The current version of everything stands in a word of its own; past
/// versions are looked up only by slots that are older than the last change.
abstract contract Registry is IRegistry {
    uint256 internal constant MOST_SITES = 1000;
    uint256 internal constant SLOT_SECONDS = 1800;
    /// @dev Wh: as much as can be metered in a slot.
    uint256 private constant MOST_ORDER_ENERGY = type(uint16).max * POWER_UNIT;
    /// @dev Slot 0 began at 09:00 in Japan.
    uint256 private constant JAPAN_SHIFT = 18;

    /// @dev How many slots ahead orders may be posted.
    uint256 public immutable horizon;

    /// @inheritdoc IRegistry
    address public owner;

    Terms private _terms;
    Terms[] private _pastTerms;
    mapping(uint256 roster => mapping(uint256 word => uint256 bits)) private _rosters;
    mapping(uint256 tariff => uint256[16] words) private _tariffs;

    mapping(uint256 site => Trading) private _trading;
    mapping(uint256 site => Metering) private _metering;
    mapping(uint256 site => Trading[]) private _pastTrading;
    mapping(uint256 site => Metering[]) private _pastMetering;

    modifier onlyOwner() {
        require(msg.sender == owner, NotOwner(msg.sender));
        _;
    }

    constructor(address owner_, uint256 horizon_) {
        owner = owner_;
        horizon = horizon_;
        emit OwnerChanged(owner_);
    }

    /// @inheritdoc IRegistry
    function changeOwner(address owner_) external onlyOwner {
        owner = owner_;
        emit OwnerChanged(owner_);
    }

    /// @inheritdoc IRegistry
    function enrol(uint256 from, address trader, address oracle, Ratings calldata ratings)
        external
        onlyOwner
        returns (uint256 site)
    {
        site = _terms.sites();
        require(site < MOST_SITES, SettingBeyondLimit(site, MOST_SITES - 1));
        _rosterChange(from, site, true);
        _siteChange(site, from, trader, oracle, ratings);
    }

    /// @inheritdoc IRegistry
    function amend(uint256 site, uint256 from, address trader, address oracle, Ratings calldata ratings)
        external
        onlyOwner
    {
        require(site < _terms.sites(), SettingBeyondLimit(site, MOST_SITES - 1));
        _rosterChange(from, site, true);
        _siteChange(site, from, trader, oracle, ratings);
    }

    /// @inheritdoc IRegistry
    function retire(uint256 site, uint256 from) external onlyOwner {
        require(site < _terms.sites(), SettingBeyondLimit(site, MOST_SITES - 1));
        _rosterChange(from, site, false);
        _pastTrading[site].push(_trading[site]);
        _pastMetering[site].push(_metering[site]);
        _trading[site] = toTrading(address(0), from, 0, 0);
        _metering[site] = toMetering(address(0), from, 0, 0, 0, 0);
        emit SiteRetired(site, from);
    }

    /// @inheritdoc IRegistry
    function enactTariff(uint256 from, Tariff[48] calldata tariffs) external onlyOwner {
        Terms terms = _terms;
        uint256 number = terms.tariffNumber() + 1;
        for (uint256 i = 0; i < 48; ++i) {
            Tariff tariff = tariffs[i];
            uint256 least = tariff.buying() + 2 * tariff.fee();
            require(tariff.selling() >= least, TariffImpossible(i, tariff.selling(), least));
            _tariffs[number][i / 3] |= uint256(Tariff.unwrap(tariff)) << (72 * (i % 3));
        }
        _termsChange(terms, toTerms(from, terms.sites(), terms.active(), terms.roster(), number));
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
        trader = trading.key();
        oracle = metering.key();
        // Each cast takes the field of that width.
        ratings = Ratings({
            orderEnergy: uint32(trading.orderLimit()),
            importPower: uint16(limits >> 48),
            generationPower: uint16(limits >> 32),
            batteryPower: uint16(limits >> 16),
            batteryCapacity: uint16(limits),
            batteryEfficiency: uint16(trading.efficiency())
        });
    }

    /// @inheritdoc IRegistry
    function tariffAt(uint256 slot) external view returns (Tariff) {
        return _tariffAt(_termsAt(slot), slot);
    }

    function _termsAt(uint256 slot) internal view returns (Terms terms) {
        terms = _terms;
        if (slot < terms.from()) {
            for (uint256 i = _pastTerms.length; slot < terms.from() && i > 0;) {
                terms = _pastTerms[--i];
            }
            if (slot < terms.from()) terms = Terms.wrap(0);
        }
    }

    function _tradingAt(uint256 site, uint256 slot) internal view returns (Trading trading) {
        trading = _trading[site];
        if (slot < trading.from()) {
            Trading[] storage past = _pastTrading[site];
            for (uint256 i = past.length; slot < trading.from() && i > 0;) {
                trading = past[--i];
            }
            if (slot < trading.from()) trading = Trading.wrap(0);
        }
    }

    function _meteringAt(uint256 site, uint256 slot) internal view returns (Metering metering) {
        metering = _metering[site];
        if (slot < metering.from()) {
            Metering[] storage past = _pastMetering[site];
            for (uint256 i = past.length; slot < metering.from() && i > 0;) {
                metering = past[--i];
            }
            if (slot < metering.from()) metering = Metering.wrap(0);
        }
    }

    function _tariffAt(Terms terms, uint256 slot) internal view returns (Tariff) {
        uint256 i = (slot + JAPAN_SHIFT) % 48;
        // 72 bits are a Tariff.
        return Tariff.wrap(uint72(_tariffs[terms.tariffNumber()][i / 3] >> (72 * (i % 3))));
    }

    /// @dev 256 sites' bits, one set for each active site.
    function _rosterWord(Terms terms, uint256 word) internal view returns (uint256) {
        return _rosters[terms.roster()][word];
    }

    function _siteChange(uint256 site, uint256 from, address trader, address oracle, Ratings calldata ratings)
        private
    {
        require(trader != address(0) && oracle != address(0), KeyMissing(site));
        require(ratings.orderEnergy <= MOST_ORDER_ENERGY, SettingBeyondLimit(ratings.orderEnergy, MOST_ORDER_ENERGY));
        require(ratings.batteryEfficiency <= 1000, SettingBeyondLimit(ratings.batteryEfficiency, 1000));
        _pastTrading[site].push(_trading[site]);
        _pastMetering[site].push(_metering[site]);
        _trading[site] = toTrading(trader, from, ratings.orderEnergy, ratings.batteryEfficiency);
        _metering[site] = toMetering(
            oracle,
            from,
            ratings.importPower,
            ratings.generationPower,
            ratings.batteryPower,
            ratings.batteryCapacity
        );
        emit SiteChanged(site, from, trader, oracle, ratings);
    }

    /// @dev A site that is enrolled for the first time is the one after the last.
    function _rosterChange(uint256 from, uint256 site, bool isActive) private {
        Terms terms = _terms;
        uint256 sites = site == terms.sites() ? site + 1 : terms.sites();
        uint256 number = terms.roster() + 1;
        mapping(uint256 => uint256) storage before = _rosters[terms.roster()];
        mapping(uint256 => uint256) storage roster = _rosters[number];
        for (uint256 i = 0; i * 256 < sites; ++i) {
            roster[i] = before[i];
        }
        uint256 bit = 1 << (site % 256);
        uint256 active = terms.active();
        if (isActive && roster[site / 256] & bit == 0) ++active;
        if (!isActive && roster[site / 256] & bit != 0) --active;
        roster[site / 256] = isActive ? roster[site / 256] | bit : roster[site / 256] & ~bit;
        _termsChange(terms, toTerms(from, sites, active, number, terms.tariffNumber()));
    }

    function _termsChange(Terms before, Terms terms) private {
        uint256 earliest = block.timestamp / SLOT_SECONDS + horizon + 1;
        if (before.from() > earliest) earliest = before.from();
        require(terms.from() >= earliest, TooSoon(terms.from(), earliest));
        require(terms.from() < 1 << 32, SettingBeyondLimit(terms.from(), (1 << 32) - 1));
        _pastTerms.push(before);
        _terms = terms;
    }
}
