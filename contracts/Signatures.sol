// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Order} from "./types/Order.sol";
import {Reading} from "./types/Reading.sol";

/// @title Signatures
/// @notice EIP-712 messages of orders and readings, and who signed them (EIP-2098).
abstract contract Signatures {
    uint256 internal constant SIGNATURE_BYTES = 64;

    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ORDER_TYPE = keccak256(
        "Order(uint32 slot,uint16 site,uint8 side,uint32 energy,uint24 price,uint8 sequence,bool fresh)"
    );
    bytes32 private constant READING_TYPE = keccak256(
        "Reading(uint32 slot,uint16 site,uint32 imported,uint32 exported,uint32 generated,uint32 charged,uint32 discharged,uint32 stored,uint8 quality,uint8 revision)"
    );
    /// @dev Half the order of secp256k1: with a larger s a signature would have a twin (EIP-2).
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    uint256 private immutable _chainId = block.chainid;
    bytes32 private immutable _separator = _freshSeparator();

    /// @dev Another one after a fork that changes the chain's id.
    function _domainSeparator() internal view returns (bytes32) {
        return block.chainid == _chainId ? _separator : _freshSeparator();
    }

    function _freshSeparator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256("Yui"), keccak256("1"), block.chainid, address(this)));
    }

    /// @dev Memory for one message, used again for each record of a batch: abi.encode would take
    /// new memory each time, which 1,000 orders would pay for with 800 gas each.
    function _buffer() internal pure returns (uint256 buffer) {
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore(0x40, add(buffer, 352))
        }
    }

    function _orderHash(uint256 buffer, uint256 slot, Order order) internal pure returns (bytes32 hash) {
        bytes32 kind = ORDER_TYPE;
        uint256 word = Order.unwrap(order);
        assembly ("memory-safe") {
            mstore(buffer, kind)
            mstore(add(buffer, 32), slot)
            mstore(add(buffer, 64), shr(64, word))
            mstore(add(buffer, 96), and(shr(4, word), 1))
            mstore(add(buffer, 128), and(shr(32, word), 0xFFFFFFFF))
            mstore(add(buffer, 160), and(shr(8, word), 0xFFFFFF))
            mstore(add(buffer, 192), and(word, 15))
            mstore(add(buffer, 224), and(shr(5, word), 1))
            hash := keccak256(buffer, 256)
        }
    }

    function _readingHash(uint256 buffer, Reading reading) internal pure returns (bytes32 hash) {
        bytes32 kind = READING_TYPE;
        uint256 word = Reading.unwrap(reading);
        assembly ("memory-safe") {
            mstore(buffer, kind)
            mstore(add(buffer, 32), shr(224, word))
            mstore(add(buffer, 64), and(shr(208, word), 0xFFFF))
            mstore(add(buffer, 96), and(shr(176, word), 0xFFFFFFFF))
            mstore(add(buffer, 128), and(shr(144, word), 0xFFFFFFFF))
            mstore(add(buffer, 160), and(shr(112, word), 0xFFFFFFFF))
            mstore(add(buffer, 192), and(shr(80, word), 0xFFFFFFFF))
            mstore(add(buffer, 224), and(shr(48, word), 0xFFFFFFFF))
            mstore(add(buffer, 256), and(shr(16, word), 0xFFFFFFFF))
            mstore(add(buffer, 288), and(shr(8, word), 0xFF))
            mstore(add(buffer, 320), and(word, 0xFF))
            hash := keccak256(buffer, 352)
        }
    }

    /// @dev The signer of a struct, 0 if the signature is none. Warning: the caller compares with
    /// an address that is not 0, and has checked that `index` is inside.
    function _signer(uint256 buffer, bytes32 separator, bytes32 structHash, bytes calldata signatures, uint256 index)
        internal
        view
        returns (address signer)
    {
        // ecrecover() of the language copies its arguments to new memory for each call.
        assembly ("memory-safe") {
            mstore(buffer, hex"1901")
            mstore(add(buffer, 2), separator)
            mstore(add(buffer, 34), structHash)
            mstore(buffer, keccak256(buffer, 66))
            let at := add(signatures.offset, mul(index, 64))
            let vs := calldataload(add(at, 32))
            let s := shr(1, shl(1, vs))
            mstore(add(buffer, 32), add(27, shr(255, vs)))
            mstore(add(buffer, 64), calldataload(at))
            mstore(add(buffer, 96), s)
            mstore(0, 0)
            if iszero(gt(s, HALF_ORDER)) { pop(staticcall(gas(), 1, buffer, 128, 0, 32)) }
            signer := mload(0)
        }
    }
}
