"""What is signed: the published types, frozen examples, and signatures that are none."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pyrevm import AccountInfo

from chain.contract import interface
from chain.evm import SENDER
from chain.market import MarketContract
from energy import errors
from energy.market import Market
from energy.messages import (
    HALF_ORDER,
    MESSAGE_DOMAIN,
    MESSAGE_TYPES,
    Domain,
    address_of,
    digest,
    sign,
    signer_of,
    type_string,
    typed_message,
)
from energy.records import Order, Reading, Side
from energy.registry import Registry
from tests.desk import (
    END,
    FIRST_SLOT,
    GATE,
    OGAWARA,
    PLAIN,
    RULES,
    SENDAI,
    SLOT,
    Desk,
    WitnessedChain,
    ask,
    key,
    reading,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("eip712_examples.json").read_text()
)
CURVE_ORDER = 2 * HALF_ORDER + 1


def record_of(example: dict[str, Any]) -> Order | Reading:
    if example["type"] == "Order":
        return Order(**{**example["message"], "side": Side(example["message"]["side"])})
    return Reading(**example["message"])


def compact(signed: Any) -> bytes:
    """What eth_account signed, in 64 bytes."""
    return bytes(signed.r.to_bytes(32) + ((signed.v - 27) << 255 | signed.s).to_bytes(32))


# -- the published types ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Order, Reading], ids=lambda kind: kind.__name__)
def test_a_message_has_a_records_fields_in_their_order(kind: type[Order | Reading]) -> None:
    published = [member["name"] for member in MESSAGE_TYPES[kind.__name__]]
    assert published == [field.name for field in fields(kind)]


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_the_contract_hashes_the_published_types(name: str) -> None:
    source = "".join(path.read_text() for path in (ROOT / "contracts").rglob("*.sol"))
    written = re.findall(r'keccak256\(\s*"(\w+\([^"]*\))"\s*\)', source)
    assert type_string(name) in written
    assert len(written) == len(MESSAGE_TYPES)
    signer = "Market" if name in ("EIP712Domain", "Order", "Reading") else "Origin"
    assert keccak(text=type_string(name)) in interface(signer).bytecode


def test_the_contract_has_the_published_name_and_version() -> None:
    for text in MESSAGE_DOMAIN.values():
        assert keccak(text=text) in interface("Market").bytecode


# -- frozen examples -------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["title"])
def test_frozen_examples_hold_here_and_in_eth_account(example: dict[str, Any]) -> None:
    record = record_of(example)
    domain = Domain(example["chainId"], example["verifyingContract"])
    role = "trader" if isinstance(record, Order) else "oracle"
    signature = bytes.fromhex(example["signature"][2:])
    assert domain.separator.hex() == example["separator"][2:]
    assert digest(record, domain).hex() == example["digest"][2:]
    assert sign(record, domain, key(role, record.site)) == signature
    assert signer_of(record, domain, signature) == example["signer"]
    message = encode_typed_data(full_message=typed_message(record, domain))
    assert message.header.hex() == example["separator"][2:]
    assert message.body.hex() == example["struct"][2:]
    assert compact(Account.sign_message(message, key(role, record.site))) == signature


def test_the_chain_takes_what_a_wallet_signs(desk: Desk) -> None:
    """`eth_account` is given the published types, and nothing of the project's own hashing."""
    order, metered = ask(OGAWARA, 100, 9_000), reading(SENDAI)
    by_wallet = {
        record: compact(
            Account.sign_message(
                encode_typed_data(full_message=typed_message(record, desk.contract.domain)), secret
            )
        )
        for record, secret in ((order, key("trader", OGAWARA)), (metered, key("oracle", SENDAI)))
    }
    desk.at(GATE - 1)
    desk.does("post", SLOT, [order], [by_wallet[order]])
    desk.at(END)
    desk.does("push", [metered], [by_wallet[metered]])
    assert desk.contract.sequence_of(SLOT, OGAWARA) == 1
    assert desk.contract.reading_of(SLOT, SENDAI) == metered


# -- signatures that are none ----------------------------------------------------------------


def no_signatures(good: bytes) -> dict[str, bytes]:
    """What fits 64 bytes and that no key has signed."""
    r, vs = good[:32], good[32:]
    return {
        "all zero": bytes(64),
        "r zero": bytes(32) + vs,
        "s zero": r + bytes(32),
        "s zero, odd": r + (1 << 255).to_bytes(32),
        "r the curve's order": CURVE_ORDER.to_bytes(32) + vs,
        "r beyond the field": b"\xff" * 32 + vs,
        "other parity": r + (int.from_bytes(vs) ^ 1 << 255).to_bytes(32),
        "all ones": b"\xff" * 64,
    }


@pytest.mark.parametrize("name", no_signatures(bytes(64)))
def test_what_no_key_signed_is_refused_behind_a_good_record_as_well(desk: Desk, name: str) -> None:
    """Of the same site: the signer that was found for that one must be forgotten."""
    desk.at(GATE - 1)
    orders = [ask(OGAWARA, 100, 9_000), ask(OGAWARA, 200, 9_000, 2)]
    good, of_second = desk.signed(*orders, role="trader")
    bad = no_signatures(of_second)[name]
    desk.refuses(errors.WrongSigner(1, OGAWARA), "post", SLOT, orders, [good, bad])
    desk.at(END)
    readings = [reading(OGAWARA), reading(OGAWARA, SLOT - 1)]
    good, of_second = desk.signed(*readings, role="oracle")
    bad = no_signatures(of_second)[name]
    desk.refuses(errors.WrongSigner(1, OGAWARA), "push", readings, [good, bad])


ALWAYS_YES = bytes.fromhex("7f1626ba7e" + "00" * 28 + "60005260206000f3")
"""Code of a wallet that answers ERC-1271's question with yes, whatever it is asked."""


def test_no_signature_is_good_for_a_trader_key_that_is_a_contracts_address(desk: Desk) -> None:
    maker = bytes.fromhex("6029600c60003960296000f3")
    wallet, _ = desk.chain.deploy(maker + ALWAYS_YES)
    assert desk.chain.call(wallet, b"any")[:4].hex() == "1626ba7e"
    # The last one's address is its site's number, which lies in scratch memory when ecrecover
    # gives no answer.
    precompile = (5).to_bytes(20)
    contracts = [to_checksum_address(one) for one in (wallet, desk.contract.address, precompile)]
    for site, trader in enumerate(contracts, 3):
        desk.does("enrol", SLOT, trader, address_of(key("oracle", site)), PLAIN)
    desk.at(GATE - 1)
    for site in range(3, 3 + len(contracts)):
        order = ask(site, 100, 9_000)
        (good,) = desk.signed(order, role="trader")
        for signature in (good, *no_signatures(good).values()):
            desk.refuses(errors.WrongSigner(0, site), "post", SLOT, [order], [signature])


# -- deployments -----------------------------------------------------------------------------


def test_after_a_fork_of_the_chain_a_signature_is_good_for_one_side_only() -> None:
    """The forked chain has the code and the state of the first, and an id of its own."""
    first, fork = Desk(), Desk()
    address = first.contract.address
    fork.chain = WitnessedChain(first.chain.now(), first.chain.chain_id + 1)
    code = first.chain._evm.get_code(address)
    fork.chain._evm.insert_account_info(address, AccountInfo(code=code))
    for place in range(16):
        word = first.chain._evm.storage(address, place)
        fork.chain._evm.insert_account_storage(address, place, word)
    fork.contract = MarketContract(fork.chain, address)
    fork.twin = Market(RULES, Registry(RULES.horizon, SENDER), fork.contract.domain)
    order = ask(OGAWARA, 100, 9_000)
    for here, there in ((first, fork), (fork, first)):
        assert here.contract.domain_separator() == here.contract.domain.separator
        assert here.contract.domain != there.contract.domain
        here.open()
        here.at(GATE - 1)
        of_the_other = sign(order, there.contract.domain, key("trader", OGAWARA))
        here.refuses(errors.WrongSigner(0, OGAWARA), "post", SLOT, [order], [of_the_other])
        here.post(order)


def test_a_domain_is_one_deployments_own() -> None:
    """Chain id and contract both count; name and version are the published ones."""
    domain = Domain(7_000, "0x" + "11" * 20)
    others = (Domain(7_001, domain.contract), Domain(7_000, "0x" + "12" * 20))
    assert len({each.separator for each in (domain, *others)}) == 3
    message = typed_message(ask(OGAWARA, 1, 1, slot=FIRST_SLOT), domain)
    assert message["domain"] == {
        **MESSAGE_DOMAIN,
        "chainId": 7_000,
        "verifyingContract": domain.contract,
    }
