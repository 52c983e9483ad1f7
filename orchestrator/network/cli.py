"""`yui network`: make a network of members, and run it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from eth_utils.address import is_address, to_checksum_address
from rich.console import Console

from chain.network.folders import (
    FIRST_PORT,
    FIRST_RPC_PORT,
    create,
    join,
    member_at,
    new_member,
    with_member,
)
from chain.network.liveness import watched
from chain.network.local import down, state_of, up
from chain.network.node import MemberNode, holds_nodes, nodes_in
from chain.network.profile import genesis_hash, profile_at
from energy.errors import SettingError
from orchestrator import screen
from orchestrator.council.draft import DEFAULT_NETWORK, Network
from orchestrator.network import upkeep as network_upkeep
from orchestrator.network.view import status_table, warnings_of
from orchestrator.network.words import say
from orchestrator.options import InLanguage, Json
from orchestrator.setting.sites import load_setting
from orchestrator.words import Language

app = typer.Typer(no_args_is_help=True, help="Make and run the members' own network.")

Own = Annotated[Path, typer.Argument(help="The member's own folder.")]


@app.command()
def member(
    name: Annotated[str, typer.Argument(help="The member's name.")],
    folder: Annotated[Path, typer.Option(help="Where the keys are made.")],
    host: Annotated[str, typer.Option(help="Where peers reach its node.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port for peers.")] = FIRST_PORT,
    rpc_port: Annotated[int, typer.Option(help="JSON-RPC's, on loopback.")] = FIRST_RPC_PORT,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Make a member's keys on its own machine, and the public half to hand out."""
    made = new_member(folder, name, host, port, rpc_port)
    file = folder / "member.json"
    print(say(language, "hand_out", file=file, validator=made.validator))
    print(say(language, "off_line", file=folder / "council.json"))


@app.command("create")
def create_network(
    network: Network = DEFAULT_NETWORK,
    members: Annotated[
        str | None,
        typer.Option(help="Names, as a,b,c: all keys here; the sites file's if not given."),
    ] = None,
    member_file: Annotated[
        list[Path] | None,
        typer.Option(help="A member.json, once for each member: keys stay where they are."),
    ] = None,
    name: Annotated[str, typer.Option(help="What it is called.")] = "yui",
    chain_id: Annotated[int, typer.Option(help="The chain's id.")] = 7_001,
    period: Annotated[int, typer.Option(help="Seconds from block to block.")] = 5,
    threshold: Annotated[
        int | None, typer.Option(help="Signatures that the council needs; about two thirds.")
    ] = None,
    fund: Annotated[
        list[str] | None,
        typer.Option(help="An account to prefund, as oracle-sendai=0x...; repeat it."),
    ] = None,
    first_port: Annotated[
        int | None, typer.Option(help="With --members, the first of two ports each.")
    ] = None,
    sites: Annotated[Path | None, typer.Option(help="A sites file of your own.")] = None,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Make a network: first block, profile, keys of those accounts that pay for gas."""
    funded = dict(_named(each) for each in fund or [])
    if member_file:
        if members is not None:
            raise SettingError("--members and --member-file must not be given together")
        known = [member_at(file) for file in member_file]
    else:
        names = members.split(",") if members else _site_names(sites)
        first = FIRST_PORT if first_port is None else first_port
        known = [
            new_member(
                network / "members" / each, each, port=first + 2 * at, rpc_port=first + 2 * at + 1
            )
            for at, each in enumerate(names)
        ]
    profile = create(network, name, known, chain_id, period, threshold, funded=funded)
    print(
        say(
            language,
            "created",
            network=network,
            chain=chain_id,
            members=len(known),
            depth=profile.depth,
            safe=profile.safe,
            threshold=profile.threshold,
        )
    )
    print(say(language, "genesis", hash=genesis_hash(network)))


@app.command("up")
def start(network: Network = DEFAULT_NETWORK, language: InLanguage = Language.ENGLISH) -> None:
    """Start all members' nodes on this machine, for tests and demonstrations."""
    console = Console(stderr=True)
    with console.status("") as shown:

        def tell(_: str, done: int, total: int) -> None:
            shown.update(say(language, "joined", done=done, total=total))

        nodes = up(network, tell)
    for node in nodes:
        values = {"process": node.pid(), "url": node.member.url, "block": node.height()}
        print(say(language, "up", name=node.name, **values))


@app.command("down")
def stop(network: Network = DEFAULT_NETWORK) -> None:
    """Stop all members' nodes on this machine."""
    down(network)


@app.command()
def status(
    network: Network = DEFAULT_NETWORK,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Say of each node here: its block, seen and final, its peers, whether it seals."""
    nodes = nodes_in(network)
    states = [state_of(node) for node in nodes]
    if as_json:
        print(json.dumps([state.to_json() for state in states], indent=2))
    else:
        screen.console().print(status_table(nodes[0].profile, states, language))
    for warning in warnings_of(nodes, states, language):
        print(say(language, "warning", said=warning), file=typer.get_text_stream("stderr"))


@app.command("join")
def join_network(
    own: Own,
    network: Network = DEFAULT_NETWORK,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Put a network's public files into a member's own folder, with a service to run it."""
    profile = join(own, network)
    peers = len(profile.members) - 1
    print(say(language, "own", folder=own, chain=profile.chain_id, peers=peers))
    print(say(language, "genesis", hash=genesis_hash(own)))


@app.command()
def run(own: Own) -> None:
    """Run one member's node in the foreground, as a service does, and look after it."""
    node = MemberNode(own)
    with watched([node]):
        code = node.run()
    raise typer.Exit(code)


@app.command()
def watch(network: Network = DEFAULT_NETWORK) -> None:
    """Look after the nodes that `up` started, as `run` does after its own; until Ctrl-C."""
    told = 0
    with watched(nodes_in(network)) as done:
        while True:
            time.sleep(1)
            for line in done[told:]:
                print(line, flush=True)
            told = len(done)


@app.command()
def peer(
    file: Annotated[Path, typer.Argument(help="The other member's member.json.")],
    network: Network = DEFAULT_NETWORK,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Let nodes here know a new member, or one that has moved; running ones at once."""
    other = member_at(file)

    def knows(who: object) -> str:
        return say(language, "knows", who=who, name=other.name, host=other.host, port=other.port)

    profile = with_member(profile_at(network), other)
    profile.write(network)
    # Whoever made the network for others holds no member's folder.
    nodes = nodes_in(network) if holds_nodes(network) else []
    if not nodes:
        print(knows(network))
    for node in nodes:
        if node.name == other.name:
            continue
        if node.folder != network.absolute():
            with_member(node.profile, other).write(node.folder)
        join(node.folder, node.folder)
        if node.answers():
            node.ask("admin_addPeer", other.enode)
        print(knows(node.name))


def _named(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    if not name or not is_address(address):
        raise SettingError(f"--fund must be as oracle-sendai=0x..., got {text!r}")
    return name, to_checksum_address(address)


def _site_names(sites: Path | None) -> list[str]:
    return [site.name.lower() for site in load_setting(sites).sites]


network_upkeep.mount(app)
