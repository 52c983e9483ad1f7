// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LibBit} from "solady/utils/LibBit.sol";
import {MerkleProofLib} from "solady/utils/MerkleProofLib.sol";
import {IOrigin, Taken} from "./interfaces/IOrigin.sol";
import {Signatures} from "./Signatures.sol";
import {Row, Slice} from "./types/Slice.sol";

/// @dev What is needed of {IRegistry}: leaving a site's ratings undecoded saves a claim 700 gas.
interface IKeys {
    function siteAt(uint256 site, uint256 slot) external view returns (address trader, address oracle);
    function sitesAt(uint256 slot) external view returns (uint256 enrolled, uint256 active);
}

/// @title Origin
/// @notice See {IOrigin}. Keys and active sites are the market's. A day's attestations lie in a
/// word for each 44 sites:
///
///   255                  64 63    56 55    50 49        44 43                   0
///  +-----------------------+--------+--------+------------+----------------------+
///  | root, first 192 bits  |  turn  | active | dissenters | a bit for an attestor|
///  +-----------------------+--------+--------+------------+----------------------+
///
/// The word holds the root that was attested first; who attests another one is a dissenter, and
/// that root stands apart. So a day on which all agree costs one word. Active sites are noted
/// there if one word holds all sites: asking the market would cost every claim 3,000 gas.
///
/// Days lie in a ring; `turn` counts its turns, 8 bits of them until the year 2355. A word of
/// another turn counts as empty: a new word costs 17,100 gas more than one used before, and state
/// does not grow. Claims are counted in a ring as well: see {Slice}.
contract Origin is IOrigin, Signatures {
    uint256 private constant SLOT_SECONDS = 1800;
    uint256 private constant SLOTS_PER_DAY = 48;
    /// @dev Slot 0 began at 09:00 in Japan.
    uint256 private constant JAPAN_SHIFT = 18;
    /// @dev Days: a guarantee of origin expires after 18 months (Directive (EU) 2018/2001,
    /// article 19(3)), which are at most 550.
    uint256 private constant RING = 550;
    uint256 private constant SITE_BYTES = 2;
    uint256 private constant SITES_IN_A_WORD = 44;
    uint256 private constant ATTESTORS = (1 << 44) - 1;
    uint256 private constant DISSENTER = 1 << 44;
    uint256 private constant ACTIVE = 1 << 50;
    uint256 private constant COUNT = 0x3F;
    uint256 private constant TURN = 1 << 56;
    uint256 private constant GENERATION = 0;

    bytes32 private constant ATTESTATION_TYPE =
        keccak256("Attestation(uint32 day,uint16 site,bytes32 root,bytes32 replaced)");
    bytes32 private constant CLAIM_TYPE = keccak256(
        "Claim(Slice[] slices,string beneficiary,string purpose)Row(uint32 slot,uint16 site,uint32 energy,uint8 kind,uint16 originSite,uint32 originSlot,uint16 through)Slice(Row row,uint32 from,uint32 energy)"
    );

    /// @notice Whose sites and keys count.
    IKeys public immutable registry;

    mapping(uint256 place => mapping(uint256 group => uint256)) private _attested;
    mapping(uint256 day => mapping(uint256 site => bytes24)) private _dissent;
    /// @dev By all of a row but its energy: should a day's root change, its Wh are not claimed
    /// twice.
    mapping(uint256 place => uint256) private _claimed;

    constructor(IKeys registry_) {
        registry = registry_;
        emit RegistryChosen(address(registry_));
    }

    /// @inheritdoc IOrigin
    function attest(uint256 day, uint256 site, bytes32 root, bytes32 replaced, bytes calldata signature) external {
        uint256 last = _attestable(day, root);
        _attest(0, day, last, site, root, replaced, signature);
    }

    /// @inheritdoc IOrigin
    function attestTogether(uint256 day, bytes32 root, bytes calldata sites, bytes calldata signatures) external {
        uint256 last = _attestable(day, root);
        require(sites.length % SITE_BYTES == 0, WrongLength(sites.length, sites.length + 1));
        uint256 count = sites.length / SITE_BYTES;
        require(signatures.length == count * SIGNATURE_BYTES, WrongLength(signatures.length, count * SIGNATURE_BYTES));
        for (uint256 i = 0; i < count; ++i) {
            uint256 site = uint16(bytes2(sites[SITE_BYTES * i:]));
            if (_rootOf(_wordOf(day, site / SITES_IN_A_WORD), day, site) != 0) continue;
            _attest(i, day, last, site, root, 0, signatures[SIGNATURE_BYTES * i:SIGNATURE_BYTES * (i + 1)]);
        }
    }

    /// @inheritdoc IOrigin
    function claim(
        Slice[] calldata slices,
        string calldata beneficiary,
        string calldata purpose,
        bytes32 root,
        bytes32[] calldata proof,
        bool[] calldata flags,
        bytes calldata signature
    ) external {
        require(slices.length != 0, ClaimEmpty());
        uint256 site = slices[0].row.site;
        uint256 day = _dayOf(slices[0].row.slot);
        // Roots, which no block's time moves.
        // slither-disable-next-line incorrect-equality
        require(bytes24(root) == _standing(day), ProofWrong(day));
        (Taken[] memory taken, bytes32 message) = _taken(slices, site, day, root, proof, flags);
        // Of a site's two keys, the one that claims.
        // slither-disable-next-line unused-return
        (address trader,) = registry.siteAt(site, block.timestamp / SLOT_SECONDS);
        require(trader != address(0), UnknownSite(0, site));
        message = keccak256(
            abi.encode(CLAIM_TYPE, message, keccak256(bytes(beneficiary)), keccak256(bytes(purpose)))
        );
        require(_signerWith(message, signature) == trader, WrongSigner(0, site));
        emit Claimed(day, site, taken, beneficiary, purpose);
    }

    /// @inheritdoc IOrigin
    function standingOf(uint256 day)
        public
        view
        returns (bytes24 root, uint256 attesting, uint256 dissenting, uint256 active)
    {
        uint256 sites;
        active = (_wordOf(day, 0) / ACTIVE) & COUNT;
        if (active == 0) (sites, active) = registry.sitesAt(_lastSlot(day));
        uint256 group = 0;
        do {
            uint256 word = _wordOf(day, group);
            uint256 count = LibBit.popCount(word & ATTESTORS);
            if (root == 0) root = _rootIn(word);
            // Roots, which no block's time moves.
            // slither-disable-next-line incorrect-equality
            if (_rootIn(word) == root) attesting += count;
            else dissenting += count;
            dissenting += (word / DISSENTER) & COUNT;
        } while (++group * SITES_IN_A_WORD < sites);
    }

    /// @inheritdoc IOrigin
    function rootOf(uint256 day, uint256 site) external view returns (bytes24) {
        return _rootOf(_wordOf(day, site / SITES_IN_A_WORD), day, site);
    }

    /// @inheritdoc IOrigin
    function claimedOf(Row calldata row) external view returns (uint256) {
        return _countsOf(row) >> row.lane() & type(uint32).max;
    }

    /// @inheritdoc IOrigin
    function domainSeparator() external view returns (bytes32) { return _domainSeparator(); }

    /// @dev The last slot of a day that can be attested.
    function _attestable(uint256 day, bytes32 root) private view returns (uint256 last) {
        last = _lastSlot(day);
        uint256 end = (last + 1) * SLOT_SECONDS;
        require(block.timestamp >= end, DayNotOver(day, end));
        _requireHeld(day);
        require(bytes24(root) != 0, RootMissing(day));
    }

    function _attest(
        uint256 index,
        uint256 day,
        uint256 last,
        uint256 site,
        bytes32 root,
        bytes32 replaced,
        bytes calldata signature
    ) private {
        address key = _oracle(site, block.timestamp / SLOT_SECONDS);
        require(key != address(0) && _oracle(site, last) != address(0), UnknownSite(index, site));
        bytes32 message = keccak256(abi.encode(ATTESTATION_TYPE, day, site, root, replaced));
        require(_signerWith(message, signature) == key, WrongSigner(index, site));
        if (_recorded(day, site, bytes24(root), bytes24(replaced))) emit RootAttested(day, site, root, replaced);
    }

    /// @dev Record a site's root; false if nothing changes by it. A site that attests its root again
    /// is a dissenter no more when the root that it dissented from was withdrawn since.
    function _recorded(uint256 day, uint256 site, bytes24 root, bytes24 replaced) private returns (bool) {
        uint256 word = _wordOf(day, site / SITES_IN_A_WORD);
        uint256 bit = _bitOf(site);
        bytes24 known = _rootOf(word, day, site);
        // Roots, which no block's time moves.
        // slither-disable-next-line incorrect-equality
        if (known == root && (word & bit != 0 || _rootIn(word) != root)) return false;
        // Roots, which no block's time moves.
        // slither-disable-next-line incorrect-equality
        require(known == root || known == replaced, RootNotReplaced(day, site));
        if (word & bit != 0) {
            word &= ~bit;
        } else if (known != 0) {
            delete _dissent[day][site];
            word -= DISSENTER;
        }
        if (word == 0) {
            // The registry was chosen at deployment; once for a word of many sites.
            // slither-disable-next-line calls-loop
            (uint256 sites, uint256 active) = registry.sitesAt(_lastSlot(day));
            word = _turnOf(day) * TURN;
            if (sites <= SITES_IN_A_WORD) word |= active * ACTIVE;
        }
        // A count of sites.
        // slither-disable-next-line incorrect-equality
        if (word & ATTESTORS == 0) word = (uint256(uint192(root)) << 64) | (word & type(uint64).max);
        // Roots, which no block's time moves.
        // slither-disable-next-line incorrect-equality
        if (_rootIn(word) == root) {
            word |= bit;
        } else {
            _dissent[day][site] = root;
            word += DISSENTER;
        }
        _attested[day % RING][site / SITES_IN_A_WORD] = word;
        return true;
    }

    /// @dev Count slices as claimed; return what of which leaves, and the hash of all for the
    /// site's signature.
    function _taken(
        Slice[] calldata slices,
        uint256 site,
        uint256 day,
        bytes32 root,
        bytes32[] calldata proof,
        bool[] calldata flags
    ) private returns (Taken[] memory taken, bytes32 hash) {
        uint256 count = slices.length;
        taken = new Taken[](count);
        bytes32[] memory leaves = new bytes32[](count);
        bytes32[] memory hashes = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Slice calldata slice = slices[i];
            // A site and a day, as the claim has them.
            // slither-disable-next-line incorrect-equality
            require(slice.row.site == site && _dayOf(slice.row.slot) == day, ClaimMixed(i));
            _count(i, slice);
            leaves[i] = slice.row.leaf();
            hashes[i] = slice.structHash();
            taken[i] = Taken(leaves[i], slice.from, slice.energy);
        }
        // One row's proof needs no flags.
        bool isProved = count == 1
            ? MerkleProofLib.verifyCalldata(proof, root, leaves[0])
            : MerkleProofLib.verifyMultiProof(proof, root, leaves, flags);
        require(isProved, ProofWrong(day));
        hash = keccak256(abi.encodePacked(hashes));
    }

    function _count(uint256 index, Slice calldata slice) private {
        Row calldata row = slice.row;
        require(row.kind == GENERATION, NotGenerated(index, row.kind));
        uint256 word = _countsOf(row);
        uint256 claimed = word >> row.lane() & type(uint32).max;
        require(slice.from == claimed, AlreadyClaimed(index, slice.from, claimed));
        uint256 end = claimed + slice.energy;
        require(slice.energy != 0 && end <= row.energy, ClaimBeyondRow(index, end, row.energy));
        // The lane holds `claimed`, and `end` is at most a row's 32 bits.
        _claimed[row.place()] = word + (uint256(slice.energy) << row.lane());
    }

    /// @dev The root of a day on which a claim can rest.
    function _standing(uint256 day) private view returns (bytes24) {
        _requireHeld(day);
        (bytes24 root, uint256 attesting, uint256 dissenting, uint256 active) = standingOf(day);
        // A count of sites.
        // slither-disable-next-line incorrect-equality
        require(dissenting == 0, RootsConflict(day, dissenting));
        uint256 needed = (2 * active + 2) / 3;
        require(root != 0 && attesting >= needed, RootNotStanding(day, attesting, needed));
        return root;
    }

    function _requireHeld(uint256 day) private view {
        uint256 today = _dayOf(block.timestamp / SLOT_SECONDS);
        require(today < day + RING, DayGone(day, today + 1 - RING));
    }

    /// @dev What a group of sites attests of a day; 0 for nothing yet.
    function _wordOf(uint256 day, uint256 group) private view returns (uint256 word) {
        // A place in the ring, and nothing random.
        // slither-disable-next-line weak-prng
        word = _attested[day % RING][group];
        if ((word / TURN) & 0xFF != _turnOf(day)) return 0;
    }

    /// @dev The counts of claims that a row shares a word with.
    function _countsOf(Row calldata row) private view returns (uint256 word) {
        word = _claimed[row.place()];
        uint256 empty = row.word();
        if (word >> 224 != empty >> 224) return empty;
    }

    function _rootOf(uint256 word, uint256 day, uint256 site) private view returns (bytes24) {
        if (word == 0) return 0;
        return word & _bitOf(site) != 0 ? _rootIn(word) : _dissent[day][site];
    }

    function _oracle(uint256 site, uint256 slot) private view returns (address oracle) {
        // Of a site's two keys, the one that attests; the registry was chosen at deployment.
        // slither-disable-next-line unused-return,calls-loop
        (, oracle) = registry.siteAt(site, slot);
    }

    function _signerWith(bytes32 message, bytes calldata signature) private view returns (address) {
        require(signature.length == SIGNATURE_BYTES, WrongLength(signature.length, SIGNATURE_BYTES));
        return _signerOf(message, signature);
    }

    function _dayOf(uint256 slot) private pure returns (uint256) { return (slot + JAPAN_SHIFT) / SLOTS_PER_DAY; }

    function _lastSlot(uint256 day) private pure returns (uint256) {
        return (day + 1) * SLOTS_PER_DAY - JAPAN_SHIFT - 1;
    }

    function _turnOf(uint256 day) private pure returns (uint256) { return (day / RING) & 0xFF; }

    function _rootIn(uint256 word) private pure returns (bytes24) {
        // The shift leaves 192 bits.
        return bytes24(uint192(word >> 64));
    }

    function _bitOf(uint256 site) private pure returns (uint256) { return 1 << (site % SITES_IN_A_WORD); }
}
