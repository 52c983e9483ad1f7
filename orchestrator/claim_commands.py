"""`yui attest`, `claim`, `verify` and `audit`: what is done with origins on a chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from eth_account import Account

from chain.attesting import Attestor, key_signed
from chain.indexer import indexed
from chain.origin import OriginContract
from chain.store import Store, opened
from energy.attestation import Claim, day_number, signed
from energy.errors import SettingError
from energy.lots import Kind
from energy.rows import Row
from energy.units import half_hour
from orchestrator import screen
from orchestrator.audit import audited
from orchestrator.certificate import certificate_from, certificate_of, verified
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
    progress_bar,
    site_number,
    slots_named,
    store_at,
    write_json,
)
from orchestrator.statement import statement_of
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
) -> None:
    """Recompute the roots of the days that are over from the chain alone, and attest them."""
    key = _key(keystore, passphrase_file)
    node = chain_at(rpc, network, manifest, key, gas_price)
    market, origin = _contracts(manifest)
    contract = OriginContract(node, origin)
    store = opened(store_path)
    attestor = Attestor(store, node, market, contract, site, key_signed(contract, key))
    days = attestor.attest_due()
    store.dispose()
    for day in days:
        standing = contract.standing_of(day_number(day))
        print(f"{day}: attested, {standing.attesting} of {standing.active} sites agree")
    if not days:
        print("no day is due")


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
    folder: Annotated[Path, typer.Option(help="Where the proof files are written.")] = Path(),
    gas_price: GasPrice = 0,
    store_path: StorePath = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Claim solar energy that a site used in a half hour or on a day, once, on the chain."""
    key = _key(keystore, passphrase_file)
    node = chain_at(rpc, network, manifest, key, gas_price)
    market, address = _contracts(manifest)
    contract = OriginContract(node, address)
    indexed(engine_at(store_path), node, market)
    done = []
    with store_at(store_path) as (store, names):
        number, span = site_number(names, site), slots_named(when)
        rows = [entry.row for entry in statement_of(store, number, span).rows]
        _demand_final(store, {row.slot for row in rows})
        maker = None if origin_site is None else site_number(names, origin_site)
        parts = _parts(rows, maker, energy, contract)
        for row, start, part in parts:
            certificate = certificate_of(store, node.chain_id, address, row)
            message = Claim(row, start, part, beneficiary, purpose)
            signature = signed(message, contract.domain, key)
            receipt = contract.claim(message, certificate.root, certificate.proof, signature)
            receipt = node.finally_in(receipt)
            path = folder / f"claim-{names['en'][number]}-{row.slot}-{receipt.block}.json"
            said = {"from_wh": start, "energy_wh": part, "beneficiary": beneficiary}
            said |= {"purpose": purpose, "block": receipt.block}
            said |= {"transaction": "0x" + receipt.transaction.hex()}
            write_json(path, {**certificate.to_json(names["en"]), "claim": said})
            done.append({**said, "file": str(path), "gas": receipt.gas_used})
    if as_json:
        print_json(done)
        return
    for one in done:
        print(f"{one['file']}: {one['energy_wh']} Wh claimed in block {one['block']}")


def verify(
    file: Annotated[Path, typer.Argument(help="A proof file.")],
    rpc: Rpc = None,
    network: NetworkPath = None,
    root: Annotated[
        str | None, typer.Option(help="Without a node: the day's root, from a source you trust.")
    ] = None,
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
    print(f"The proof holds: {row.energy} Wh lead to root {said['root']} of {certificate.day}.")
    if asked:
        print(
            f"The root stands: {said['attesting']} of {said['active_sites']} sites attest it. "
            f"Claimed: {said['claimed_wh']} Wh."
        )
        for one in verdict.claims:
            print(f"  {one.energy} Wh from Wh {one.start}: {one.beneficiary}, {one.purpose}")
    elif root is None:
        print(
            "Whether this root stands, a node says: --rpc or --network; or compare it with --root."
        )


def audit(
    manifest: ManifestPath,
    rpc: Rpc = None,
    network: NetworkPath = None,
    state: Annotated[
        Path | None, typer.Option(help="Go on from this file's audit, and leave it for the next.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Run every transaction of a deployment again, from the chain's first block, and compare."""
    market, origin = _contracts(manifest)
    with progress_bar() as progress:
        findings = audited(
            chain_at(rpc, network, manifest),
            market,
            origin,
            lambda done, total: progress("audit", done, total),
            state,
        )
    if as_json:
        print_json(findings.to_json())
    else:
        screen.console().print(screen.audit_line(findings, language), style="bold green")


def _parts(
    rows: list[Row], maker: int | None, energy: int | None, contract: OriginContract
) -> list[tuple[Row, int, int]]:
    """Return what to claim of which rows: row, from which Wh on, how many Wh."""
    parts = []
    left = energy
    for row in rows:
        if row.origin.kind != Kind.GENERATION or maker not in (None, row.origin.site):
            continue
        claimed = contract.claimed_of(row)
        part = row.energy - claimed if left is None else min(row.energy - claimed, left)
        if part > 0:
            parts.append((row, claimed, part))
            left = None if left is None else left - part
    free = sum(part for _, _, part in parts)
    if not parts or (energy is not None and free < energy):
        wanted = "at least 1" if energy is None else energy
        raise SettingError(f"unclaimed solar energy must be {wanted} Wh, got {free} Wh")
    return parts


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
        raise SettingError(f"{manifest} must be a manifest, got {error!r}") from error


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
