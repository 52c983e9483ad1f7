"""What all members know of their network: the profile, `network.json`. Nothing in it is secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from chain.files import write_whole
from chain.node import NodeChain
from energy.errors import ChainError, SettingError
from energy.reason import reason_of

PROFILE_FILE = "network.json"
GENESIS_FILE = "genesis.json"


def majority_of(validators: int) -> int:
    """Return how many validators are more than half.

    Of so many blocks in a row each has another sealer (EIP-225: a signer seals at most one of
    them), so that a block with so many on top has the assent of more than half.

    >>> [majority_of(validators) for validators in (1, 3, 4, 7)]
    [1, 2, 3, 4]
    """
    return validators // 2 + 1


@dataclass(frozen=True)
class Member:
    """A member's public half: addresses, and where the node is reached.

    `node` is the public key (hex, 64 bytes) of its node; `port` that of the peers' protocol;
    `rpc_port` that of JSON-RPC, on the member's own loopback.
    """

    name: str
    validator: str
    council: str
    node: str
    host: str = "127.0.0.1"
    port: int = 30303
    rpc_port: int = 8545

    @property
    def enode(self) -> str:
        """Where its node is, as nodes write it."""
        return f"enode://{self.node}@{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Its node's JSON-RPC, as seen from its own machine."""
        return f"http://127.0.0.1:{self.rpc_port}"


@dataclass(frozen=True)
class Profile:
    """A network: chain id, block period in seconds, members, who seals, how deep is final.

    `accounts` are the prefunded ones by name (relay, deployer, oracles). `safe` is the council's
    address; `seats` and `threshold` are who sat in it, and how many had to sign, when the network
    was made: later ones are asked of the chain.
    """

    name: str
    chain_id: int
    period_seconds: int
    gas_price_wei: int
    threshold: int
    safe: str
    seats: tuple[str, ...]
    members: tuple[Member, ...]
    validators: tuple[str, ...]
    accounts: dict[str, str]

    @property
    def depth(self) -> int:
        """How many blocks on top make a block final: one of each of a majority."""
        return majority_of(len(self.validators))

    def member(self, name: str) -> Member:
        """Return a member by name.

        Raises:
            SettingError: if there is none.
        """
        for member in self.members:
            if member.name == name:
                return member
        known = ", ".join(member.name for member in self.members)
        raise SettingError(f"a member must be one of {known}, got {name!r}")

    def chain(self, url: str | None = None, key: bytes | None = None) -> NodeChain:
        """Return the chain through a node, by default the first member's; `key` pays.

        Raises:
            ChainError: if no node answers there, or one of another chain.
        """
        node = NodeChain(url or self.members[0].url, key, self.gas_price_wei, self.depth)
        if node.chain_id != self.chain_id:
            raise ChainError(
                f"the node at {node.url} must be of chain {self.chain_id}, got {node.chain_id}"
            )
        return node

    def name_of(self, address: str) -> str:
        """Return whose address it is: a member's, an account's, the council's; else itself."""
        for member in self.members:
            if address.lower() == member.validator.lower():
                return member.name
            if address.lower() == member.council.lower():
                return f"{member.name} (council)"
        for name, account in {**self.accounts, "council": self.safe}.items():
            if address.lower() == account.lower():
                return name
        return address

    def with_validators(self, validators: tuple[str, ...]) -> Profile:
        """Return the profile after a vote changed who seals."""
        return replace(self, validators=validators)

    def write(self, folder: Path) -> None:
        """Write `network.json` into a folder, whole or not at all; depth is told as well."""
        text = json.dumps({**asdict(self), "depth": self.depth}, indent=2, ensure_ascii=False)
        write_whole(folder / PROFILE_FILE, text + "\n")


def genesis_hash(folder: Path) -> str:
    """Return what members compare before they join: the SHA-256 of `genesis.json`."""
    return sha256((folder / GENESIS_FILE).read_bytes()).hexdigest()


def profile_at(path: Path) -> Profile:
    """Read a profile: the file, or the folder that holds it.

    Raises:
        SettingError: if it is none.
    """
    file = path / PROFILE_FILE if path.is_dir() else path
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        depth = values.pop("depth")
        members = tuple(Member(**member) for member in values.pop("members"))
        validators, seats = tuple(values.pop("validators")), tuple(values.pop("seats"))
        profile = Profile(members=members, validators=validators, seats=seats, **values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{file} must be a network's profile, got {reason_of(error)}") from error
    if depth != profile.depth:
        raise SettingError(
            f"{file} must state the depth of {len(validators)} validators, {profile.depth}, "
            f"got {depth}"
        )
    return profile
