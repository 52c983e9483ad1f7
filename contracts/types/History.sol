// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice The versions of a word, oldest first, each with the slot from which it holds in its
/// bits 64 to 95. The latest stands apart, so that the present costs one read.
struct History {
    uint256 latest;
    uint256[] past;
}

using {versionAt, change} for History global;

function fromOf(uint256 word) pure returns (uint256) { return (word >> 64) & 0xFFFFFFFF; }

/// @notice What holds in a slot; 0 before the first version.
function versionAt(History storage history, uint256 slot) view returns (uint256 word) {
    word = history.latest;
    if (slot >= fromOf(word)) return word;
    // The oldest is 0, from slot 0 on.
    for (uint256 i = history.past.length; slot < fromOf(word);) {
        word = history.past[--i];
    }
}

/// @notice Add a version. It supersedes those that were planned for its slot or later; they go, so
/// that a look-up never passes more versions than there are slots with changes.
function change(History storage history, uint256 word) {
    uint256[] storage past = history.past;
    past.push(history.latest);
    while (past.length != 0 && fromOf(past[past.length - 1]) >= fromOf(word)) past.pop();
    history.latest = word;
}
