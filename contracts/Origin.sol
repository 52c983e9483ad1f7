// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LibBit} from "solady/utils/LibBit.sol";
import {MerkleProofLib} from "solady/utils/MerkleProofLib.sol";
import {IOrigin, Row} from "./interfaces/IOrigin.sol";
import {Signatures} from "./Signatures.sol";

/// @dev What is needed of {IRegistry}: leaving a site's ratings undecoded saves a claim 700 gas.
interface IKeys {
    function siteAt(uint256 site, uint256 slot) external view returns (address trader, address oracle);
    function sitesAt(uint256 slot) external view returns (uint256 enrolled, uint256 active);
}

/// @title Origin
/// @notice See {IOrigin}. Keys and active sites are the market's. A day's attestations lie in a
/// word for each 50 sites:
///
///   255                       64 63      56 55        50 49                          0
///  +----------------------------+----------+------------+-----------------------------+
///  | root (its first 192 bits)  |  active  | dissenters |  a bit for each attestor    |
///  +----------------------------+----------+------------+-----------------------------+
///
/// The word holds the root that was attested first; who attests another one is a dissenter, and
/// that root stands apart. So a day on which all agree costs one word. Active sites are noted
/// there if one word holds all sites: asking the market would cost every claim 3,000 gas.
contract Origin is IOrigin, Signatures {
    uint256 private constant SLOT_SECONDS = 1800;
    uint256 private constant SLOTS_PER_DAY = 48;
    /// @dev Slot 0 began at 09:00 in Japan.
    uint256 private constant JAPAN_SHIFT = 18;
    uint256 private constant SITES_IN_A_WORD = 50;
    uint256 private constant ATTESTORS = (1 << 50) - 1;
    uint256 private constant DISSENTER = 1 << 50;
    uint256 private constant DISSENTERS = 0x3F;
    uint256 private constant ACTIVE = 1 << 56;
    uint256 private constant GENERATION = 0;
    // Used below, in a slice of calldata, which slither does not follow.
    // slither-disable-next-line unused-state
    uint256 private constant ROW_BYTES = 224;

    bytes32 private constant ATTESTATION_TYPE =
        keccak256("Attestation(uint32 day,uint16 site,bytes32 root,bytes32 replaced)");
    bytes32 private constant ROW_TYPE = keccak256(
        "Row(uint32 slot,uint16 site,uint32 energy,uint8 kind,uint16 originSite,uint32 originSlot,uint16 through)"
    );
    bytes32 private constant CLAIM_TYPE = keccak256(
        "Claim(Row row,uint32 from,uint32 energy,string beneficiary,string purpose)Row(uint32 slot,uint16 site,uint32 energy,uint8 kind,uint16 originSite,uint32 originSlot,uint16 through)"
    );

    /// @notice Whose sites and keys count.
    IKeys public immutable registry;

    mapping(uint256 day => mapping(uint256 group => uint256)) private _attested;
    mapping(uint256 day => mapping(uint256 site => bytes24)) private _dissent;
    /// @dev By all of a row but its energy: should a day's root change, its Wh are not claimed
    /// twice.
    mapping(uint256 row => uint256 energy) private _claimed;

    constructor(IKeys registry_) {
        registry = registry_;
        emit RegistryChosen(address(registry_));
    }

    /// @inheritdoc IOrigin
    function attest(uint256 day, uint256 site, bytes32 root, bytes32 replaced, bytes calldata signature) external {
        uint256 end = _lastSlot(day) + 1;
        require(block.timestamp >= end * SLOT_SECONDS, DayNotOver(day, end * SLOT_SECONDS));
        require(bytes24(root) != 0, RootMissing(day));
        address key = _oracle(site, block.timestamp / SLOT_SECONDS);
        require(key != address(0) && _oracle(site, end - 1) != address(0), UnknownSite(0, site));
        bytes32 message = keccak256(abi.encode(ATTESTATION_TYPE, day, site, root, replaced));
        require(_signerWith(message, signature) == key, WrongSigner(0, site));
        if (_recorded(day, site, bytes24(root), bytes24(replaced))) emit RootAttested(day, site, root, replaced);
    }

    /// @inheritdoc IOrigin
    function claim(
        Row calldata row,
        uint256 from,
        uint256 energy,
        string calldata beneficiary,
        string calldata purpose,
        bytes32 root,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external {
        require(row.kind == GENERATION, NotGenerated(row.kind));
        // The row's words as they were sent: encoding them again would cost 900 gas.
        bytes calldata words = msg.data[4:4 + ROW_BYTES];
        bytes32 leaf = keccak256(bytes.concat(keccak256(words)));
        uint256 day = (row.slot + JAPAN_SHIFT) / SLOTS_PER_DAY;
        require(
            bytes24(root) == _standing(day) && MerkleProofLib.verifyCalldata(proof, root, leaf), ProofWrong(day)
        );
        // Of a site's two keys, the one that claims.
        // slither-disable-next-line unused-return
        (address trader,) = registry.siteAt(row.site, block.timestamp / SLOT_SECONDS);
        require(trader != address(0), UnknownSite(0, row.site));
        bytes32 message = keccak256(
            abi.encode(
                CLAIM_TYPE,
                keccak256(bytes.concat(ROW_TYPE, words)),
                from,
                energy,
                keccak256(bytes(beneficiary)),
                keccak256(bytes(purpose))
            )
        );
        require(_signerWith(message, signature) == trader, WrongSigner(0, row.site));
        uint256 place = _placeOf(row);
        uint256 claimed = _claimed[place];
        require(from == claimed, AlreadyClaimed(from, claimed));
        require(energy != 0 && from + energy <= row.energy, ClaimBeyondRow(from + energy, row.energy));
        _claimed[place] = from + energy;
        emit Claimed(row.slot, row.site, leaf, from, energy, beneficiary, purpose);
    }

    /// @inheritdoc IOrigin
    function standingOf(uint256 day)
        public
        view
        returns (bytes24 root, uint256 attesting, uint256 dissenting, uint256 active)
    {
        uint256 sites;
        active = (_attested[day][0] / ACTIVE) & 0xFF;
        if (active == 0) (sites, active) = registry.sitesAt(_lastSlot(day));
        uint256 group = 0;
        do {
            uint256 word = _attested[day][group];
            uint256 count = LibBit.popCount(word & ATTESTORS);
            if (root == 0) root = _rootIn(word);
            if (_rootIn(word) == root) attesting += count;
            else dissenting += count;
            dissenting += (word / DISSENTER) & DISSENTERS;
        } while (++group * SITES_IN_A_WORD < sites);
    }

    /// @inheritdoc IOrigin
    function rootOf(uint256 day, uint256 site) public view returns (bytes24) {
        uint256 word = _attested[day][site / SITES_IN_A_WORD];
        return word & _bitOf(site) != 0 ? _rootIn(word) : _dissent[day][site];
    }

    /// @inheritdoc IOrigin
    function claimedOf(Row calldata row) external view returns (uint256) {
        return _claimed[_placeOf(row)];
    }

    /// @inheritdoc IOrigin
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparator();
    }

    /// @dev Record a site's root; false if nothing changes by it. A site that attests its root again
    /// is a dissenter no more when the root that it dissented from was withdrawn since.
    function _recorded(uint256 day, uint256 site, bytes24 root, bytes24 replaced) private returns (bool) {
        uint256 word = _attested[day][site / SITES_IN_A_WORD];
        uint256 bit = _bitOf(site);
        bytes24 known = word & bit != 0 ? _rootIn(word) : _dissent[day][site];
        if (known == root && (word & bit != 0 || _rootIn(word) != root)) return false;
        require(known == root || known == replaced, RootNotReplaced(day, site));
        if (word & bit != 0) {
            word &= ~bit;
        } else if (known != 0) {
            delete _dissent[day][site];
            word -= DISSENTER;
        }
        if (word == 0) {
            (uint256 sites, uint256 active) = registry.sitesAt(_lastSlot(day));
            if (sites <= SITES_IN_A_WORD) word = active * ACTIVE;
        }
        if (word & ATTESTORS == 0) word = (uint256(uint192(root)) << 64) | (word & type(uint64).max);
        if (_rootIn(word) == root) {
            word |= bit;
        } else {
            _dissent[day][site] = root;
            word += DISSENTER;
        }
        _attested[day][site / SITES_IN_A_WORD] = word;
        return true;
    }

    /// @dev The root of a day on which a claim can rest.
    function _standing(uint256 day) private view returns (bytes24) {
        (bytes24 root, uint256 attesting, uint256 dissenting, uint256 active) = standingOf(day);
        require(dissenting == 0, RootsConflict(day, dissenting));
        uint256 needed = (2 * active + 2) / 3;
        require(root != 0 && attesting >= needed, RootNotStanding(day, attesting, needed));
        return root;
    }

    function _oracle(uint256 site, uint256 slot) private view returns (address oracle) {
        // Of a site's two keys, the one that attests.
        // slither-disable-next-line unused-return
        (, oracle) = registry.siteAt(site, slot);
    }

    function _signerWith(bytes32 message, bytes calldata signature) private view returns (address) {
        require(signature.length == SIGNATURE_BYTES, WrongLength(signature.length, SIGNATURE_BYTES));
        return _signerOf(message, signature);
    }

    function _lastSlot(uint256 day) private pure returns (uint256) {
        return (day + 1) * SLOTS_PER_DAY - JAPAN_SHIFT - 1;
    }

    function _rootIn(uint256 word) private pure returns (bytes24) {
        // The shift leaves 192 bits.
        return bytes24(uint192(word >> 64));
    }

    function _bitOf(uint256 site) private pure returns (uint256) {
        return 1 << (site % SITES_IN_A_WORD);
    }

    function _placeOf(Row calldata row) private pure returns (uint256) {
        return (uint256(row.slot) << 88) | (uint256(row.site) << 72) | (uint256(row.kind) << 64)
            | (uint256(row.originSite) << 48) | (uint256(row.originSlot) << 16) | row.through;
    }
}
