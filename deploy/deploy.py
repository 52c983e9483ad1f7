"""Deploy the market and the ledger of origins, once: by `make deploy`, or `brownie run deploy`
(with `deploy/with-tools` before it).

The constructor's arguments are read from the ABI by name and filled from the `[market]` table
of the sites file. What was deployed is written to a manifest; run again, nothing changes.

Environment:
    YUI_RPC_URL       the chain of `--network yui`; `development` is a chain of brownie's own
    YUI_SITES         the sites file, instead of the bundled one
    YUI_MANIFEST      the manifest, instead of deploy/manifests/<chain id>.json
    YUI_MODE          ahead or after-metering, instead of the sites file's
    YUI_OWNER         who may change the registry; the deployer, if not given
    YUI_NETWORK       the folder of a members' network: its node, deployer's key and manifest, and
                      its council as owner, which is created if it is not there yet
    YUI_REDEPLOY      1: deploy anew where the manifest does not hold
    YUI_DEPLOYER_KEYSTORE, YUI_DEPLOYER_PASSPHRASE_FILE
                      the deployer's key (keystore V3) and the file with its passphrase; an
                      account of the node, if not given
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from brownie import accounts, network, project, rpc, web3
from brownie.exceptions import VirtualMachineError
from eth_abi.exceptions import EncodingError
from eth_utils.address import is_address, to_checksum_address
from eth_utils.crypto import keccak
from web3.exceptions import ContractLogicError

from chain.contract import interface
from chain.files import write_whole
from chain.network.genesis import GAS_PRICE_WEI
from chain.network.profile import profile_at
from chain.safe import creation_of
from energy.errors import ChainError, SettingError, YuiError
from energy.units import slot_at
from orchestrator.setting.sites import load_setting

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ("Market", "Origin")
"""In this order: the second is told the first one's address."""

Manifest = dict[str, Any]


def main() -> None:
    """Deploy to the connected network, unless its manifest says that this is done."""
    try:
        create_council()
        print(deployed())
        print(ownership())
    except YuiError as error:
        sys.exit(str(error))


def deployed() -> str:
    """Deploy where it is needed, and return a sentence about each contract.

    Raises:
        SettingError, ChainError.
    """
    path = manifest_path(web3.chain_id)
    account = deployer()
    said = []
    anew = os.environ.get("YUI_REDEPLOY") == "1" or rpc.is_child()
    for name in CONTRACTS:
        manifest = manifest_at(path)
        stands, sentence = placed(name, path, manifest, account, anew)
        # What is deployed after a contract is told its address.
        anew = anew or not stands
        said.append(sentence)
    return "\n".join(said)


def placed(
    name: str, path: Path, manifest: Manifest | None, account: Any, anew: bool
) -> tuple[bool, str]:
    """Deploy a contract unless it stands; return whether it stood, and a sentence about it."""
    container = project.get_loaded_projects()[0][name]
    recorded = manifest["contracts"].get(name) if manifest else None
    arguments = constructor_arguments(container.abi, account.address, manifest, recorded)
    try:
        encoded = container.deploy.encode_input(*arguments.values())
    except (EncodingError, OverflowError, ValueError) as error:
        raise SettingError(f"arguments must fit the constructor, got {error}") from error
    init_code = bytes.fromhex(encoded.removeprefix("0x"))
    if manifest and recorded:
        flaw = flaw_of(manifest, recorded, hexadecimal(keccak(init_code)))
        if flaw is None:
            since = f"since block {recorded['block']}"
            return True, f"{name} stands at {recorded['address']} {since}: nothing to do."
        if not anew:
            raise ChainError(f"{shown(path)} must hold, but {flaw}: YUI_REDEPLOY=1 deploys anew")
        print(f"Deploying {name} anew: {flaw}.")
    receipt = sent(account, data="0x" + init_code.hex())
    write(path, manifest_of(name, container, receipt, arguments, init_code, manifest))
    return False, f"{name} is deployed at {receipt.contract_address}; see {shown(path)}."


def create_council() -> None:
    """Create the council of the members' network, if there is one and it has none yet.

    Raises:
        ChainError: if the chain does not take it.
    """
    named = os.environ.get("YUI_NETWORK")
    if not named:
        return
    profile = profile_at(Path(named))
    if not web3.eth.get_code(profile.safe):
        call = creation_of(profile.seats, profile.threshold)
        sent(deployer(), to=call.to, data="0x" + call.data.hex())


def sent(account: Any, **transaction: Any) -> Any:
    """Send a transaction at a price that a proof-of-authority node takes; return its receipt.

    Raises:
        ChainError: if the chain does not take it.
    """
    base_fee = web3.eth.get_block("latest").get("baseFeePerGas", 0)
    if base_fee:
        transaction["gas_price"] = max(GAS_PRICE_WEI, 2 * base_fee)
    try:
        # Not `account.deploy`, which fails on a live network after the transaction was sent.
        return account.transfer(silent=True, skip_undo=True, **transaction)
    except (VirtualMachineError, ValueError) as error:
        raise ChainError(f"the chain must take the deployment, got {error}") from error


def ownership() -> str:
    """Return a sentence about who may change the registry, as the chain has it."""
    recorded = manifest_at(manifest_path(web3.chain_id))
    assert recorded is not None
    # Not brownie's own contract object, which fails on a live network.
    code, to, by = interface("Market"), recorded["contracts"]["Market"]["address"], deployer()
    holder = code.result("owner", web3.eth.call({"to": to, "data": code.call("owner")}))
    attempt = {"to": to, "from": by.address, "data": code.call("changeOwner", by.address)}
    try:
        web3.eth.call(attempt)
    except (ContractLogicError, VirtualMachineError, ValueError):
        return f"The market's owner is {holder}; the deployer {by.address} may change nothing."
    return f"The market's owner is {holder}, the deployer; changeOwner hands it on."


def deployer() -> Any:
    """Return the account that deploys: from a keystore, or one that the node holds.

    Raises:
        SettingError: if there is neither.
    """
    keystore = os.environ.get("YUI_DEPLOYER_KEYSTORE")
    secret = os.environ.get("YUI_DEPLOYER_PASSPHRASE_FILE")
    if not keystore and not secret:
        if len(accounts):
            return accounts[0]
        raise SettingError(
            "YUI_DEPLOYER_KEYSTORE and YUI_DEPLOYER_PASSPHRASE_FILE must name the deployer's "
            "files, since the node holds no account"
        )
    if not keystore or not secret:
        raise SettingError(
            "YUI_DEPLOYER_KEYSTORE and YUI_DEPLOYER_PASSPHRASE_FILE must both be set, got one"
        )
    try:
        passphrase = Path(secret).read_text().rstrip("\n")
        key = web3.eth.account.decrypt(json.loads(Path(keystore).read_text()), passphrase)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{keystore} must open with {secret}, got {error}") from None
    return accounts.add(key)


def constructor_arguments(
    abi: list[dict[str, Any]],
    deployer_address: str,
    manifest: Manifest | None,
    recorded: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the constructor's arguments by name, in the ABI's order.

    What is not set (the owner, the first slot) stays as it is in the manifest, if there is one.

    Raises:
        SettingError: if the constructor wants what the sites file does not have.
    """
    named = os.environ.get("YUI_SITES")
    market = load_setting(Path(named) if named else None).market
    market = replace(market, mode=os.environ.get("YUI_MODE") or market.mode)
    before = recorded["constructor_arguments"] if recorded else {}
    values: dict[str, Any] = {
        "owner": owner() or before.get("owner") or deployer_address,
        "first_slot": market.first_slot or before.get("first_slot") or slot_now() + 1,
        "horizon_slots": market.horizon_slots,
        "reading_deadline_seconds": market.reading_deadline_seconds,
        "gate_seconds": market.gate_seconds,
        "after_metering": market.after_metering,
        "registry": manifest["contracts"]["Market"]["address"] if manifest else None,
    }
    constructor = next(entry for entry in abi if entry["type"] == "constructor")
    names = [name_of(field["name"]) for field in constructor["inputs"]]
    unknown = [name for name in names if name not in values]
    if unknown:
        raise SettingError(f"the constructor's arguments must be known, got {', '.join(unknown)}")
    return {name: values[name] for name in names}


def owner() -> str | None:
    """Return the address that the environment names as owner, if it does.

    Raises:
        SettingError: if it is no address.
    """
    named = os.environ.get("YUI_OWNER")
    if named and not is_address(named):
        raise SettingError(f"YUI_OWNER must be an address, got {named}")
    return to_checksum_address(named) if named else None


def slot_now() -> int:
    """Return the slot of the chain's newest block."""
    return slot_at(int(web3.eth.get_block("latest")["timestamp"]))


def name_of(parameter: str) -> str:
    """Return a Solidity parameter's name as Python and TOML write it (gateSeconds_)."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", parameter.strip("_")).lower()


def flaw_of(manifest: Manifest, recorded: Mapping[str, Any], init_code_hash: str) -> str | None:
    """Return why a manifest is not of this chain, code and setting; None if it is."""
    address = recorded["address"]
    if manifest["chain_id"] != web3.chain_id:
        return f"it is of chain {manifest['chain_id']}, and this is chain {web3.chain_id}"
    code = bytes(web3.eth.get_code(address))
    if not code:
        return f"the chain has no code at {address}"
    if hexadecimal(keccak(code)) != recorded["runtime_code_hash"]:
        return f"the chain has another code at {address}"
    if init_code_hash != recorded["init_code_hash"]:
        return f"the contract or its settings have changed since {address} was deployed"
    return None


def manifest_of(
    name: str,
    container: Any,
    receipt: Any,
    arguments: Mapping[str, Any],
    init_code: bytes,
    before: Manifest | None,
) -> Manifest:
    """Return the manifest with a deployment added.

    `init_code_hash` is the hash of the deploying transaction's input, arguments included;
    `runtime_code_hash` that of the code which the chain now has at the address.
    """
    compiler = container._build["compiler"]
    address = str(receipt.contract_address)
    return {
        "chain_id": web3.chain_id,
        "compiler": compiler["version"],
        "evm_version": compiler["evm_version"],
        "contracts": {
            **(before["contracts"] if before and before["chain_id"] == web3.chain_id else {}),
            name: {
                "address": address,
                "block": receipt.block_number,
                "constructor_arguments": dict(arguments),
                "init_code_hash": hexadecimal(keccak(init_code)),
                "runtime_code_hash": hexadecimal(keccak(web3.eth.get_code(address))),
                "transaction": receipt.txid,
            },
        },
    }


def manifest_path(chain_id: int) -> Path:
    """Return where the manifest of a chain is."""
    named = os.environ.get("YUI_MANIFEST")
    return Path(named) if named else ROOT / "deploy" / "manifests" / f"{chain_id}.json"


def manifest_at(path: Path) -> Manifest | None:
    """Return a manifest; None if there is none yet.

    Raises:
        SettingError: if the file is no manifest.
    """
    if not path.exists():
        return None
    try:
        manifest: Manifest = json.loads(path.read_text())
        manifest["contracts"][CONTRACTS[0]]["constructor_arguments"]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{shown(path)} must be a manifest, got {error!r}") from error
    return manifest


def write(path: Path, manifest: Manifest) -> None:
    """Write a manifest, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def shown(path: Path) -> str:
    """Return a path as people are shown it: within the project, from there."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def hexadecimal(value: bytes) -> str:
    """Return bytes with 0x before them."""
    return "0x" + value.hex()


if __name__ == "__main__":
    # `brownie run` fails where a folder above the project has a dot in its name; this does not.
    project.load(ROOT, name="YuiProject").load_config()
    network.connect("yui" if os.environ.get("YUI_RPC_URL") else "development")
    main()
