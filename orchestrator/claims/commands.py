"""`yui attest`, `claim`, `verify` and `audit`: what is done with origins on a chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from eth_account import Account

from chain.attesting import Attestor, key_signed
from chain.indexer import indexed
from chain.origin import OriginContract
from chain.store import Store, opened
from energy.attestation import day_number
from energy.errors import SettingError
from energy.merkle import leaf_of
from energy.reason import reason_of
from energy.units import half_hour
from orchestrator import screen
from orchestrator.claims.certificate import Certificate, certificate_from, verified
from orchestrator.claims.claiming import Draft, claimable
from orchestrator.claims.words import say
from orchestrator.dates import slots_named
from orchestrator.names import site_number
from orchestrator.options import (
    DEFAULT_STORE,
    InLanguage,
    Json,
    NetworkPath,
    Rpc,
    SiteName,
    StorePath,
    When,
    chain_at,
    engine_at,
    print_json,
    store_at,
    write_json,
)
from orchestrator.progress import progress_bar, working
from orchestrator.statements.statement import statement_of
from orchestrator.words import Language

ManifestPath = Annotated[Path, typer.Option(help="The deployment's manifest.")]
Keystore = Annotated[Path, typer.Option(help="The signing key, a keystore V3 file.")]
Passphrase = Annotated[Path, typer.Option(help="The file with the keystore's passphrase.")]
GasPrice = Annotated[int, typer.Option(help="What the key pays for gas, wei.")]


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (attest, claim, verify, audit):
        app.command()(command)


def attest(
    site: Annotated[int, typer.Argument(help="The site's number.")],
    manifest: ManifestPath,
    keystore: Keystore,
    passphrase_file: Passphrase,
    rpc: Rpc = None,
    network: NetworkPath = None,
    gas_price: GasPrice = 0,
    store_path: Annotated[
        str, typer.Option("--store", help="A store of the site's own; in memory if not given.")
    ] = "sqlite://",
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Recompute the roots of the days that are over from the chain alone, and attest them."""
    key = _key(keystore, passphrase_file)
    node = chain_at(rpc, network, manifest, key, gas_price)
    market, origin = _contracts(manifest)
    contract = OriginContract(node, origin)
    store = opened(store_path)
    attestor = Attestor(store, node, market, contract, site, key_signed(contract, key))
    with progress_bar(language) as progress:
        days = attestor.attest_due(lambda done, total: progress("index", done, total))
    store.dispose()
    for day in days:
        standing = contract.standing_of(day_number(day))
        agree = {"attesting": standing.attesting, "active": standing.active}
        print(say(language, "attested", day=day, **agree))
    if not days:
        print(say(language, "none_due"))


def claim(
    site: SiteName,
    when: When,
    beneficiary: Annotated[str, typer.Option(help="For whom the energy is claimed.")],
    purpose: Annotated[str, typer.Option(help="What for, as 'RE100 2019'.")],
    manifest: ManifestPath,
    keystore: Keystore,
    passphrase_file: Passphrase,
    rpc: Rpc = None,
    network: NetworkPath = None,
    energy: Annotated[
        int | None, typer.Option(help="How many Wh; all that is left if not given.")
    ] = None,
    origin_site: Annotated[
        str | None, typer.Option("--origin", help="Only what this site generated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be claimed, and claim nothing.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the proof files are written.")] = Path(),
    gas_price: GasPrice = 0,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Claim solar energy that a site used, once, on the chain: a day's rows in one transaction."""
    key = _key(keystore, passphrase_file)
    node = chain_at(rpc, network, manifest, key, gas_price)
    market, address = _contracts(manifest)
    contract = OriginContract(node, address)
    with progress_bar(language) as progress:
        indexed(
            engine_at(store_path),
            node,
            market,
            lambda done, total: progress("index", done, total),
        )
    with store_at(store_path) as (store, names):
        number, span = site_number(names, site), slots_named(when)
        rows = [entry.row for entry in statement_of(store, number, span).rows]
        _demand_final(store, {row.slot for row in rows})
        maker = None if origin_site is None else site_number(names, origin_site)
        with working(language, "left"):
            found = claimable(store, contract, rows, maker, energy)
        done: list[dict[str, object]] = []
        with progress_bar(language) as progress:
            for draft in progress.each("claim", found.drafts):
                said: dict[str, object] = {"day": draft.day.isoformat()}
                said |= {"rows": len(draft.slices), "energy_wh": draft.energy}
                if not dry_run:
                    receipt = node.finally_in(draft.send(contract, beneficiary, purpose, key))
                    paid = {"block": receipt.block, "gas": receipt.gas_used}
                    paid |= {"transaction": "0x" + receipt.transaction.hex()}  # type: ignore[dict-item]
                    files = _written(folder, names["en"], contract, draft, beneficiary, purpose)
                    said |= {**paid, "files": files}
                done.append(said)
    if as_json:
        left_out = {day.isoformat(): reason for day, reason in found.left_out.items()}
        print_json({"dry_run": dry_run, "claims": done, "left_out": left_out})
        return
    for one in done:
        print(say(language, "would_claim" if dry_run else "claimed", **one))
    for day, reason in found.left_out.items():
        print(say(language, "left_out", day=day, reason=reason))


def _written(
    folder: Path,
    names: Mapping[int, str],
    contract: OriginContract,
    draft: Draft,
    beneficiary: str,
    purpose: str,
) -> list[str]:
    """Write a proof file for each claimed slice; return their paths."""
    paths = []
    for one in draft.slices:
        row = one.row
        proof = tuple(draft.tree.proof(row))
        certificate = Certificate(
            contract.chain.chain_id, contract.address, row, proof, draft.tree.root
        )
        said = {"from_wh": one.start, "energy_wh": one.energy}
        said |= {"beneficiary": beneficiary, "purpose": purpose}  # type: ignore[dict-item]
        # Among a site's rows of a slot a leaf's beginning tells one from the others.
        site = names[row.site].replace(" ", "-")
        name = f"claim-{site}-{row.slot}-{leaf_of(row).hex()[:8]}-{one.start}.json"
        write_json(folder / name, {**certificate.to_json(names), "claim": said})
        paths.append(str(folder / name))
    return paths


def verify(
    file: Annotated[Path, typer.Argument(help="A proof file.")],
    rpc: Rpc = None,
    network: NetworkPath = None,
    root: Annotated[
        str | None, typer.Option(help="Without a node: the day's root, from a source you trust.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Check a proof file: offline against a root, or against any node of the chain."""
    certificate = certificate_from(file)
    certificate.check(None if root is None else _root(root))
    row = certificate.row
    said: dict[str, object] = {
        "day": certificate.day.isoformat(),
        "energy_wh": row.energy,
        "root": "0x" + certificate.root.hex(),
        "checked": "the file's own root" if root is None else "the root given",
    }
    asked = rpc is not None or network is not None
    if asked:
        with working(language, "check"):
            verdict = verified(certificate, chain_at(rpc, network).as_final())
        said |= {
            "checked": "the chain",
            "attesting": verdict.standing.attesting,
            "active_sites": verdict.standing.active,
            "claimed_wh": verdict.claimed,
            "claims": [
                {
                    "from_wh": one.start,
                    "energy_wh": one.energy,
                    "beneficiary": one.beneficiary,
                    "purpose": one.purpose,
                }
                for one in verdict.claims
            ],
        }
    if as_json:
        print_json(said)
        return
    print(say(language, "proof_holds", **said))
    if asked:
        print(say(language, "root_stands", **said))
        for one in verdict.claims:
            print(say(language, "claim_of_it", **asdict(one)))
    elif root is None:
        print(say(language, "ask_a_node"))


def audit(
    manifest: Annotated[Path | None, typer.Option(help="The deployment's manifest.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A replay's folder, in place of a node and a manifest.")
    ] = None,
    rpc: Rpc = None,
    network: NetworkPath = None,
    state: Annotated[
        Path | None, typer.Option(help="Go on from this file's audit, and leave it for the next.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Run every transaction of a deployment again, from the chain's first block, and compare."""
    from orchestrator.auditing.audit import audited, audited_again

    if (manifest is None) == (folder is None):
        raise SettingError(
            "either --manifest, with --rpc or --network, or --folder must be given, got "
            f"{'neither' if folder is None else 'both'}"
        )
    with progress_bar(language) as progress:
        if folder is not None:
            if rpc or network:
                raise SettingError("--folder must stand alone: a replay's chain has no node")
            findings = audited_again(folder, progress, state)
        else:
            assert manifest is not None
            findings = audited(
                chain_at(rpc, network, manifest),
                *_contracts(manifest),
                lambda done, total: progress("audit", done, total),
                state,
            )
    if as_json:
        print_json(findings.to_json())
    else:
        screen.console().print(screen.audit_line(findings, language), style="bold green")


def _demand_final(store: Store, slots: set[int]) -> None:
    """Demand that no fork can change what is claimed of some slots."""
    unsure = slots - store.final_slots(range(min(slots), max(slots) + 1)) if slots else slots
    if unsure:
        raise SettingError(
            f"a half hour must be final to be claimed, got {half_hour(min(unsure))} that is only "
            "seen: a fork can still change it"
        )


def _contracts(manifest: Path) -> tuple[str, str]:
    """Return the addresses of market and ledger of origins."""
    try:
        contracts = json.loads(manifest.read_text())["contracts"]
        return contracts["Market"]["address"], contracts["Origin"]["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{manifest} must be a manifest, got {reason_of(error)}") from error


def _key(keystore: Path, passphrase_file: Path) -> bytes:
    try:
        passphrase = passphrase_file.read_text().rstrip("\n")
        return bytes(Account.decrypt(json.loads(keystore.read_text()), passphrase))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{keystore} must open with {passphrase_file}, got {error}") from None


def _root(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != 32:
        raise SettingError(f"--root must be 32 bytes in hexadecimal, got {text!r}")
    return value
