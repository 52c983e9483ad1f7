"""What the council signs, says and refuses; and how a node gets out of Clique's deadlock."""

from __future__ import annotations

import json
import random
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, cast

import pytest

from chain.council import ACCOUNT, COUNCIL, MARKET, Act, Proposal, proposal_at
from chain.network.liveness import Watch
from chain.network.node import MemberNode
from chain.network.profile import Member, Profile
from energy.errors import SettingError
from energy.messages import address_of
from energy.registry import Ratings, Tariff
from energy.units import slot_from
from orchestrator.council.words import words_of
from orchestrator.words import Language

KEYS = [bytes([n]) * 32 for n in range(1, 8)]
SAFE, MARKET_ADDRESS = "0x" + "5A" * 20, "0x" + "11" * 20
SLOT = slot_from("2026-12-01 00:00")
BATTERY = Ratings(50_000, 1_000, 800, 150, 440, 900)


@pytest.fixture
def profile() -> Profile:
    members = tuple(
        Member(f"m{at}", f"0x{at:040x}", address_of(key), f"{at}") for at, key in enumerate(KEYS)
    )
    seats = tuple(member.council for member in members)
    validators = tuple(member.validator for member in members)
    relay = {"relay": "0x" + "33" * 20}
    return Profile("x", 7_001, 5, 10**9, 5, SAFE, seats, members, validators, relay)


def proposal(*acts: Act) -> Proposal:
    return Proposal(7_001, SAFE, 3, acts)


ENROL = Act(
    MARKET,
    MARKET_ADDRESS,
    "enrol",
    (SLOT, "0x" + "22" * 20, "0x" + "44" * 20, astuple(BATTERY)),
)
PAY = Act(ACCOUNT, "0x" + "33" * 20, value=5 * 10**18)


def test_what_is_signed_is_what_the_safe_hashes(profile):
    """The hash is EIP-712's of the type that a Safe publishes: eth-account comes to the same."""
    from eth_account.messages import _hash_eip191_message, encode_typed_data

    call = ENROL.call()
    names = ("to", "value", "data", "operation", "safeTxGas", "baseGas", "gasPrice")
    kinds = ("address", "uint256", "bytes", "uint8", "uint256", "uint256", "uint256")
    fields = [
        *({"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)),
        {"name": "gasToken", "type": "address"},
        {"name": "refundReceiver", "type": "address"},
        {"name": "nonce", "type": "uint256"},
    ]
    nobody = "0x" + "00" * 20
    message = encode_typed_data(
        {"chainId": 7_001, "verifyingContract": SAFE},
        {"SafeTx": fields},
        {
            **{"to": call.to, "value": 0, "data": call.data, "operation": 0, "nonce": 3},
            **{"safeTxGas": 0, "baseGas": 0, "gasPrice": 0},
            **{"gasToken": nobody, "refundReceiver": nobody},
        },
    )
    assert proposal(ENROL).digest == _hash_eip191_message(message)


def test_every_act_is_said_in_words_and_none_in_hexadecimal_where_a_name_is_known(profile):
    tariffs = tuple(
        (Tariff(18_000, 8_000, 1_000) if at < 14 else Tariff(22_000, 8_000, 1_000)).to_word()
        for at in range(48)
    )
    new, old = address_of(bytes([9]) * 32), profile.members[1].council
    first = "0x" + "0" * 39 + "1"
    acts: dict[Act, str] = {
        ENROL: "orders up to 50 kWh, connection 100 kW, generation 80 kW, battery 44 kWh, 15 kW, "
        "90 % round trip",
        Act(MARKET, MARKET_ADDRESS, "amend", (4, *ENROL.arguments)): "Change site 4 from 2026-12",
        Act(MARKET, MARKET_ADDRESS, "suspend", (4, SLOT)): "Suspend site 4 from 2026-12-01",
        Act(MARKET, MARKET_ADDRESS, "retire", (4, SLOT)): "Retire site 4 for good",
        Act(MARKET, MARKET_ADDRESS, "voidOrders", (4, (SLOT, SLOT + 1))): "for 2026-12-01 00:00, "
        "2026-12-01 00:30",
        Act(MARKET, MARKET_ADDRESS, "enactTariff", (SLOT, tariffs)): "00:00-07:00 sells at 18, "
        "buys at 8, fee 1 JPY/kWh; 07:00-24:00 sells at 22",
        Act(MARKET, MARKET_ADDRESS, "changeOwner", (SAFE,)): "to council",
        Act(COUNCIL, SAFE, "addOwnerWithThreshold", (new, 6)): "then on 6 must sign",
        Act(COUNCIL, SAFE, "removeOwner", (first, old, 4)): "Remove m1 (council)",
        Act(COUNCIL, SAFE, "swapOwner", (first, old, new)): "takes the place of m1 (council)",
        Act(COUNCIL, SAFE, "changeThreshold", (4,)): "4 must sign",
        PAY: "Pay 5 coins for gas to relay",
    }
    found = proposal(*acts)
    assert found.transaction.calls
    for said, expected in zip(
        words_of(found, profile, Language.ENGLISH), acts.values(), strict=True
    ):
        assert expected in said
    japanese = words_of(found, profile, Language.JAPANESE)
    assert all(any(ord(letter) > 0x3000 for letter in said) for said in japanese)
    assert len(set(japanese)) == len(acts)


def test_an_act_that_no_words_are_known_for_is_shown_whole(profile):
    act = Act(COUNCIL, SAFE, "enableModule", ("0x" + "99" * 20,))
    (said,) = words_of(proposal(act), profile, Language.ENGLISH)
    assert said == f"enableModule('0x{'99' * 20}',) of council"
    (paid,) = words_of(proposal(replace(act, value=1)), profile, Language.ENGLISH)
    assert "enableModule" in paid


def test_an_impossible_act_is_refused_by_name():
    for act in (
        Act(MARKET, MARKET_ADDRESS, "abolish"),
        Act(MARKET, MARKET_ADDRESS, "retire", (1,)),
        Act(MARKET, MARKET_ADDRESS, "retire", (1, -1)),
        Act("moon", MARKET_ADDRESS, "retire", (1, 2)),
    ):
        with pytest.raises(SettingError, match="must be one of the"):
            act.call()


def test_a_file_that_travelled_says_the_same_and_copies_are_joined(tmp_path):
    file, copy = tmp_path / "a.json", tmp_path / "b.json"
    found = proposal(ENROL, PAY)
    found.signed(KEYS[0]).write(file)
    found.signed(KEYS[1]).write(copy)
    joined = proposal_at(file).joined(proposal_at(copy))
    assert set(joined.signatures) == {address_of(KEYS[0]), address_of(KEYS[1])}
    assert joined.acts == found.acts
    assert joined.digest == found.digest
    other = replace(found, nonce=4)
    with pytest.raises(SettingError, match="copies of a proposal must have the same hash"):
        joined.joined(other)
    with pytest.raises(SettingError, match="must not be signed yet to be changed, got 2"):
        joined.with_act(PAY)


@pytest.mark.parametrize("change", ["nonce", "acts", "chain_id", "signatures"])
def test_a_file_that_was_tampered_with_is_refused(tmp_path: Path, change: str) -> None:
    file = tmp_path / "a.json"
    proposal(ENROL, PAY).signed(KEYS[0]).write(file)
    values: dict[str, Any] = json.loads(file.read_text())
    owner = address_of(KEYS[0])
    values[change] = {
        "nonce": 4,
        "chain_id": 1,
        "acts": values["acts"][:1],
        "signatures": {owner: "0x" + "01" * 65},
    }[change]
    file.write_text(json.dumps(values))
    with pytest.raises(SettingError, match="must be as 0x"):
        proposal_at(file)


def test_a_file_that_is_no_proposal_is_named(tmp_path):
    for text in ("", "[]", '{"acts": 5}', '{"acts": [{"to": 1}], "signatures": {}}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(SettingError, match=r"x\.json must be a proposal"):
            proposal_at(tmp_path / "x.json")


class StuckNode:
    """A node whose height does not grow."""

    def __init__(self, profile: Profile, peers: int) -> None:
        self.profile = profile
        self.name = "m0"
        self.blocks, self.peers = 40, peers
        self.set_to: list[int] = []

    def height(self) -> int:
        return self.blocks

    def ask(self, method: str, *parameters: Any) -> Any:
        if method == "net_peerCount":
            return hex(self.peers)
        assert method == "debug_setHead"
        self.set_to.append(int(parameters[0], 16))
        return None


def looked_after(node: StuckNode, seconds: int) -> list[int]:
    watch = Watch(cast(MemberNode, node), random.Random(5))
    for now in range(seconds):
        watch.look(float(now))
    return node.set_to


def test_a_node_that_is_stuck_among_a_majority_steps_back_from_blocks_that_are_not_final(profile):
    found = looked_after(StuckNode(profile, peers=3), 400)
    assert 3 <= len(found) <= 12
    assert all(40 - profile.depth < block < 40 for block in found)


def test_a_node_without_a_majority_or_with_growing_blocks_is_left_alone(profile):
    assert looked_after(StuckNode(profile, peers=2), 400) == []
    growing = StuckNode(profile, peers=6)
    watch = Watch(cast(MemberNode, growing), random.Random(5))
    for now in range(400):
        growing.blocks += now % 10 == 0
        assert watch.look(float(now)) is None
    assert growing.set_to == []
