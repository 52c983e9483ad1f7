"""`yui council`: propose, sign off line, show in words, execute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from chain.council import Council, Proposal, proposal_at
from chain.network.keys import key_at
from chain.network.profile import Profile, profile_at
from chain.safe import creation_of
from energy.errors import SettingError
from energy.messages import address_of
from orchestrator.council.draft import DEFAULT_NETWORK, Network, Rpc, payer_of
from orchestrator.council.proposal_cli import propose
from orchestrator.council.words import say, words_of
from orchestrator.options import InLanguage
from orchestrator.words import Language

app = typer.Typer(
    no_args_is_help=True, help="The members' council: what it proposes, signs and executes."
)
app.add_typer(propose, name="propose")


@app.command()
def create(
    network: Network = DEFAULT_NETWORK,
    rpc: Rpc = None,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Create the council on the chain, at the address that the profile has; twice is once."""
    profile = profile_at(network)
    chain = profile.chain(rpc, payer_of(network, "deployer"))
    if not chain.code_at(profile.safe):
        call = creation_of(profile.seats, profile.threshold)
        chain.finally_in(chain.send(call.to, call.data))
    council = Council(chain, profile.safe)
    seats = {"threshold": council.threshold(), "owners": len(council.owners())}
    print(say(language, "seats", safe=profile.safe, **seats))


@app.command()
def show(
    files: Annotated[list[Path], typer.Argument(help="The proposal, or copies signed apart.")],
    network: Network = DEFAULT_NETWORK,
    language: InLanguage = Language.ENGLISH,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say in words what a proposal does, and who has signed it; needs no chain."""
    _show(_joined(files), profile_at(network), language, as_json)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="The proposal.")],
    keystore: Annotated[Path, typer.Option(help="The member's council.json.")],
    passphrase: Annotated[
        Path | None,
        typer.Option(help="The file with its passphrase; the one beside it if not given."),
    ] = None,
    network: Network = DEFAULT_NETWORK,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without being asked.")] = False,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Show a proposal, and sign it; needs no chain."""
    proposal, profile = proposal_at(file), profile_at(network)
    if (proposal.chain_id, proposal.safe) != (profile.chain_id, profile.safe):
        raise SettingError(
            f"a proposal must be for council {profile.safe} on chain {profile.chain_id}, got "
            f"{proposal.safe} on chain {proposal.chain_id}"
        )
    _show(proposal, profile, language, False)
    if not yes:
        typer.confirm(say(language, "ask"), abort=True)
    key = key_at(keystore, passphrase)
    proposal.signed(key).write(file)
    print(say(language, "signed", name=profile.name_of(address_of(key)), file=file))


@app.command()
def execute(
    files: Annotated[list[Path], typer.Argument(help="The proposal, or copies signed apart.")],
    network: Network = DEFAULT_NETWORK,
    rpc: Rpc = None,
    account: Annotated[str, typer.Option(help="Who pays for gas.")] = "relay",
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Carry out what enough members have signed, and wait until it is final."""
    profile, proposal = profile_at(network), _joined(files)
    chain = profile.chain(rpc, payer_of(network, account))
    receipt = Council(chain, profile.safe).execute(proposal)
    print(say(language, "executed", block=receipt.block, gas=receipt.gas_used), flush=True)
    receipt = chain.finally_in(receipt)
    print(say(language, "final", block=receipt.block, depth=profile.depth))


def _joined(files: list[Path]) -> Proposal:
    proposal = proposal_at(files[0])
    for file in files[1:]:
        proposal = proposal.joined(proposal_at(file))
    return proposal


def _show(proposal: Proposal, profile: Profile, language: Language, as_json: bool) -> None:
    sentences = words_of(proposal, profile, language)
    signers = [profile.name_of(owner) for owner in proposal.signatures]
    if as_json:
        found = {
            "number": proposal.nonce,
            "hash": "0x" + proposal.digest.hex(),
            "acts": sentences,
            "signed_by": signers,
            "needed": profile.threshold,
        }
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    print(say(language, "title", number=proposal.nonce, name=profile.name))
    for number, sentence in enumerate(sentences, 1):
        print(f"  {number}. {sentence}")
    print(say(language, "hash", hash=proposal.digest.hex()))
    names = ", ".join(signers) or say(language, "nobody")
    print(say(language, "signers", count=len(signers), needed=profile.threshold, names=names))
