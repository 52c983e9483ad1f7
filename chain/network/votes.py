"""Validators come and go by vote of the validators (EIP-225): more than half must agree.

A vote travels in the blocks that its voter seals, so that it takes its next turn to be cast.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from chain.network.node import MemberNode
from chain.network.profile import majority_of
from energy.errors import ChainError, SettingError

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Standing:
    """How a vote stands: at which block, who seals, and who has voted of how many needed."""

    block: int
    validators: tuple[str, ...]
    voters: tuple[str, ...]
    needed: int


def standing(node: MemberNode, candidate: str) -> Standing:
    """Return how the vote on a candidate stands at the node's newest block."""
    snapshot = node.ask("clique_getSnapshot")
    votes = snapshot.get("votes") or []
    voters = [
        to_checksum_address(vote["signer"])
        for vote in votes
        if vote["address"].lower() == candidate.lower()
    ]
    validators = tuple(sorted(to_checksum_address(signer) for signer in snapshot["signers"]))
    return Standing(
        int(snapshot["number"]), validators, tuple(voters), majority_of(len(validators))
    )


def voted(
    nodes: Sequence[MemberNode], candidate: str, admit: bool, timeout_seconds: float
) -> tuple[Standing, Standing]:
    """Let members vote to admit or remove a validator; return how it stood before, and after.

    Returns as soon as the vote has passed, or when all have cast theirs and others are waited
    for. What has passed is kept in the members' profiles.

    Raises:
        SettingError: if a member does not seal, or the candidate is (or is not) among those who
            do already, or the last validator would go.
        ChainError: if the votes are not cast in time.
    """
    candidate = to_checksum_address(candidate)
    before = standing(nodes[0], candidate)
    _check(before, nodes, candidate, admit)
    for node in nodes:
        node.ask("clique_propose", candidate, admit)
    end = time.monotonic() + timeout_seconds
    while True:
        now = standing(nodes[0], candidate)
        if (candidate in now.validators) is admit:
            for node in nodes:
                # Else it would vote so again, should others decide otherwise one day.
                node.ask("clique_discard", candidate)
                node.keep_validators(now.validators)
            return before, now
        if {node.member.validator for node in nodes} <= set(now.voters):
            return before, now
        if time.monotonic() > end:
            raise ChainError(
                f"{len(nodes)} votes must be cast within {timeout_seconds:g} s, got "
                f"{len(now.voters)}: a vote waits for its voter's turn to seal"
            )
        time.sleep(_POLL_SECONDS)


def _check(before: Standing, nodes: Sequence[MemberNode], candidate: str, admit: bool) -> None:
    if (candidate in before.validators) is admit:
        wanted = "not seal yet" if admit else "seal"
        raise SettingError(f"{candidate} must {wanted} for this vote, got the opposite")
    if not admit and len(before.validators) == 1:
        raise SettingError("a network must keep a validator, got a vote against the last")
    for node in nodes:
        if node.member.validator not in before.validators:
            raise SettingError(f"{node.name} must seal to vote, got {node.member.validator}")
