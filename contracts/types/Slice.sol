// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What a site used in a slot, of one origin. Energy in Wh.
struct Row {
    uint32 slot;
    uint16 site;
    uint32 energy;
    uint8 kind; // 0 generation, 1 grid, 2 initial stock of a battery, 3 unexplained
    uint16 originSite;
    uint32 originSlot;
    uint16 through; // site of the last battery it left, 65535 for none
}

/// @notice A part of a row: `energy` Wh from Wh `from` on.
struct Slice {
    Row row;
    uint32 from;
    uint32 energy;
}

using {leaf, place, lane, word} for Row global;
using {structHash} for Slice global;

bytes32 constant ROW_TYPE = keccak256(
    "Row(uint32 slot,uint16 site,uint32 energy,uint8 kind,uint16 originSite,uint32 originSlot,uint16 through)"
);
bytes32 constant SLICE_TYPE = keccak256(
    "Slice(Row row,uint32 from,uint32 energy)Row(uint32 slot,uint16 site,uint32 energy,uint8 kind,uint16 originSite,uint32 originSlot,uint16 through)"
);

/// @dev How much of a row was claimed is kept in a word with five others, of consecutive slots:
///
///   255        224 223   192 191     160            31       0
///  +--------------+---------+-----------+--- ... ---+---------+
///  |  three hours |    0    |  slot 5   |           | slot 0  |
///  +--------------+---------+-----------+--- ... ---+---------+
///
/// Three hours are the slots of equal `slot / 6`, told by that number. A word is for rows that
/// differ in their slot alone and come from as long before it: what one roof gives to one site
/// in three hours of a day is counted in one.
uint256 constant SLOTS_IN_A_WORD = 6;
/// @dev The words of 550 days, in a ring.
uint256 constant WORDS = 550 * 48 / SLOTS_IN_A_WORD;

/// @notice A row's leaf in OpenZeppelin's standard format.
function leaf(Row calldata row) pure returns (bytes32 result) {
    // The words as they were sent: encoding them again would cost each row 900 gas.
    assembly ("memory-safe") {
        let free := mload(64)
        calldatacopy(free, row, 224)
        mstore(0, keccak256(free, 224))
        result := keccak256(0, 32)
    }
}

/// @notice A slice's hash after EIP-712.
function structHash(Slice calldata slice) pure returns (bytes32 result) {
    bytes32 rowType = ROW_TYPE;
    bytes32 sliceType = SLICE_TYPE;
    // As above.
    assembly ("memory-safe") {
        let free := mload(64)
        mstore(free, rowType)
        calldatacopy(add(free, 32), slice, 224)
        mstore(add(free, 32), keccak256(free, 256))
        mstore(free, sliceType)
        calldatacopy(add(free, 64), add(slice, 224), 64)
        result := keccak256(free, 128)
    }
}

/// @notice Where in the ring a row's word lies.
function place(Row calldata row) pure returns (uint256) {
    // Nothing in a standing root comes from later than it is used; if it did, it wraps around.
    unchecked {
        uint256 ago = uint32(row.slot - row.originSlot);
        return ((row.slot / SLOTS_IN_A_WORD % WORDS) << 88) | (uint256(row.site) << 72)
            | (uint256(row.kind) << 64) | (uint256(row.originSite) << 48) | (ago << 16) | row.through;
    }
}

/// @notice How far from the right a row's count begins in its word.
function lane(Row calldata row) pure returns (uint256) { return row.slot % SLOTS_IN_A_WORD * 32; }

/// @notice A word without counts, for the row's three hours.
function word(Row calldata row) pure returns (uint256) { return (row.slot / SLOTS_IN_A_WORD) << 224; }
