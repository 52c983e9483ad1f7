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

    uint256 private constant STRUCT = 96;
    uint256 private constant RECOVERY = 448;

    uint256 private immutable _chainId = block.chainid;
    // What it is made of is constant, or the block's and the contract's own.
    // slither-disable-next-line function-init-state
    bytes32 private immutable _separator = _freshSeparator();

    /// @dev Another one after a fork that changes the chain's id.
    function _domainSeparator() internal view returns (bytes32) {
        return block.chainid == _chainId ? _separator : _freshSeparator();
    }

    function _freshSeparator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256("Yui"), keccak256("1"), block.chainid, address(this)));
    }

    /// @dev Memory for the messages of a batch: what is hashed for the digest (66 bytes, at 0),
    /// the struct (at STRUCT), and what is asked of ecrecover (at RECOVERY). What all messages
    /// share is written once; abi.encode and ecrecover() of the language would take new memory
    /// for each, which 1,000 orders would pay for with 800 gas each.
    function _messages(bytes32 kind) private view returns (uint256 buffer) {
        bytes32 separator = _domainSeparator();
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore(0x40, add(buffer, 576))
            mstore(buffer, hex"1901")
            mstore(add(buffer, 2), separator)
            mstore(add(buffer, STRUCT), kind)
        }
    }

    function _orderMessages() internal view returns (uint256 buffer) { return _messages(ORDER_TYPE); }

    function _readingMessages() internal view returns (uint256 buffer) { return _messages(READING_TYPE); }

    /// @dev Who signed an order, 0 if its signature is none. Warning: the caller compares with an
    /// address that is not 0, and has checked that `index` is inside.
    function _signerOf(uint256 buffer, uint256 slot, Order order, bytes calldata signatures, uint256 index)
        internal
        view
        returns (address)
    {
        uint256 word = Order.unwrap(order);
        assembly ("memory-safe") {
            let fields := add(buffer, STRUCT)
            mstore(add(fields, 32), slot)
            mstore(add(fields, 64), shr(64, word))
            mstore(add(fields, 96), and(shr(4, word), 1))
            mstore(add(fields, 128), and(shr(32, word), 0xFFFFFFFF))
            mstore(add(fields, 160), and(shr(8, word), 0xFFFFFF))
            mstore(add(fields, 192), and(word, 15))
            mstore(add(fields, 224), and(shr(5, word), 1))
        }
        return _recovered(buffer, 256, signatures, index);
    }

    /// @dev Who signed a reading; as for an order.
    function _signerOf(uint256 buffer, Reading reading, bytes calldata signatures, uint256 index)
        internal
        view
        returns (address)
    {
        uint256 word = Reading.unwrap(reading);
        assembly ("memory-safe") {
            let fields := add(buffer, STRUCT)
            mstore(add(fields, 32), shr(224, word))
            mstore(add(fields, 64), and(shr(208, word), 0xFFFF))
            mstore(add(fields, 96), and(shr(176, word), 0xFFFFFFFF))
            mstore(add(fields, 128), and(shr(144, word), 0xFFFFFFFF))
            mstore(add(fields, 160), and(shr(112, word), 0xFFFFFFFF))
            mstore(add(fields, 192), and(shr(80, word), 0xFFFFFFFF))
            mstore(add(fields, 224), and(shr(48, word), 0xFFFFFFFF))
            mstore(add(fields, 256), and(shr(16, word), 0xFFFFFFFF))
            mstore(add(fields, 288), and(shr(8, word), 0xFF))
            mstore(add(fields, 320), and(word, 0xFF))
        }
        return _recovered(buffer, 352, signatures, index);
    }

    /// @dev Who signed a struct with this hash, 0 if the signature is none; for messages that come
    /// one at a time. Warning: the caller has checked the signature's length.
    function _signerOf(bytes32 structHash, bytes calldata signature) internal view returns (address) {
        (bytes32 r, uint256 vs) = abi.decode(signature, (bytes32, uint256));
        uint256 s = vs & (type(uint256).max >> 1);
        if (s > HALF_ORDER) return address(0);
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", _domainSeparator(), structHash));
        // The shift leaves one bit.
        return ecrecover(digest, uint8(27 + (vs >> 255)), r, bytes32(s));
    }

    function _recovered(uint256 buffer, uint256 size, bytes calldata signatures, uint256 index)
        private
        view
        returns (address signer)
    {
        assembly ("memory-safe") {
            mstore(add(buffer, 34), keccak256(add(buffer, STRUCT), size))
            let question := add(buffer, RECOVERY)
            let at := add(signatures.offset, shl(6, index))
            let vs := calldataload(add(at, 32))
            let s := shr(1, shl(1, vs))
            mstore(question, keccak256(buffer, 66))
            mstore(add(question, 32), add(27, shr(255, vs)))
            mstore(add(question, 64), calldataload(at))
            mstore(add(question, 96), s)
            mstore(0, 0)
            if iszero(gt(s, HALF_ORDER)) { pop(staticcall(gas(), 1, question, 128, 0, 32)) }
            signer := mload(0)
        }
    }
}
