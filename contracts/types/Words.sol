// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// Memory without the language's bounds checks, which would cost 300 gas an order. Warning: each
// index is of a site that was compared with their number, or of a record within a loop's bounds.

function at(uint256[] memory words, uint256 i) pure returns (uint256 word) {
    assembly ("memory-safe") {
        word := mload(add(add(words, 32), shl(5, i)))
    }
}

function set(uint256[] memory words, uint256 i, uint256 word) pure {
    assembly ("memory-safe") {
        mstore(add(add(words, 32), shl(5, i)), word)
    }
}

/// @notice Memory for packed records of up to `length` bytes in all.
function packedMemory(uint256 length) pure returns (bytes memory) {
    // The write of a record touches the 32 bytes from its place on.
    return new bytes(length + 32);
}

/// @dev Write a word's leading bytes; what comes behind them is written next, or trimmed.
function put(bytes memory packed, uint256 end, uint256 word) pure {
    assembly ("memory-safe") {
        mstore(add(add(packed, 32), end), word)
    }
}

/// @dev Shorten what is full; the memory behind is given up.
function trim(bytes memory packed, uint256 length) pure {
    assembly ("memory-safe") {
        mstore(packed, length)
    }
}
