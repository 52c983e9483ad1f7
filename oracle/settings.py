"""A terminal's settings, from one TOML file.

    [site]
    number = 6                          # the site's number in the market

    [chain]
    rpc = "http://127.0.0.1:8545"
    market = "0x..."                    # or manifest = "manifest.json", a deployment's
    origin = "0x..."                    # the ledger of origins; the manifest's if not given
    chain_id = 31337                    # what signatures are for; the manifest's if not given
    confirmations = 4                   # blocks on top of one that nothing takes back
    gas_price_wei = 1_000_000_000
    # or network = "network.json", the members' profile: it tells these two and the chain_id
    low_days = 90                       # funds that last less are told as low

    [key]
    keystore = "oracle.json"
    passphrase = "passphrase"           # a file; or credential = "yui-oracle", from systemd
    # or a signer elsewhere, which needs a keystore to pay from all the same:
    # signer = ["/usr/local/bin/sign-on-token"]
    # address = "0x..."

    [store]
    outbox = "outbox.sqlite"
    chain = "chain.sqlite"              # what the chain says, to attest each day's origins
    keep_days = 30                      # of samples; readings are kept for good

    [run]
    sample_seconds = 10
    timeout_seconds = 1.0               # of one question to a device
    port = 9464                         # health and metrics, on 127.0.0.1; 0: none

    [[device]]
    role = "meter"                      # inverter, battery
    name = "main"                       # its role if left out
    host = "192.168.1.10"               # and port = 502; or
    # serial = "/dev/ttyUSB0"           # and baud = 9600, parity = "N", stop_bits = 1
    unit = 1
    ceiling_w = 80_000                  # more than it can ever carry
    protocol = "echonet"                # ECHONET Lite (unit: the instance); Modbus if left out
    map = "float-kwh-meter"             # without SunSpec: a map that comes along, or a file
    reversed = false                    # a meter that counts import as export

Paths are relative to the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

from chain.funds import LOW_DAYS
from chain.network.profile import profile_at
from daemon.table import Table, load_table
from energy.errors import SettingError
from energy.messages import Domain
from energy.reason import reason_of
from field.address import place_from
from oracle.device import Device, SiteDevices
from oracle.registermap import load_map

MOST_SITES = 1000


@dataclass(frozen=True)
class ChainSettings:
    """Where the chain is, and which market and ledger of origins on it."""

    rpc: str
    market: str
    origin: str | None
    chain_id: int
    confirmations: int
    gas_price_wei: int
    low_days: float = LOW_DAYS

    @property
    def domain(self) -> Domain:
        """What signatures are for."""
        return Domain(self.chain_id, self.market)


@dataclass(frozen=True)
class KeySettings:
    """Where the site's key is; `signer` is a command that signs in its place."""

    keystore: Path
    passphrase: Path | None
    credential: str | None
    signer: tuple[str, ...] = ()
    address: str | None = None


@dataclass(frozen=True)
class Settings:
    """All of a terminal's settings."""

    path: Path
    site: int
    chain: ChainSettings
    key: KeySettings
    outbox: Path
    store: Path
    keep_days: int
    sample_seconds: int
    timeout_seconds: float
    port: int
    devices: SiteDevices


def load_settings(path: Path) -> Settings:
    """Read a terminal's settings.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """
    table = load_table(path, "settings file")
    site = table.part("site")
    store, run = table.part("store", {}), table.part("run", {})
    beside = path.parent
    settings = Settings(
        path,
        site.whole("number", 0, MOST_SITES - 1),
        chain_settings(table.part("chain"), beside),
        _key(table.part("key"), beside),
        beside / store.text("outbox", "outbox.sqlite"),
        beside / store.text("chain", "chain.sqlite"),
        store.whole("keep_days", 1, 36_500, 30),
        run.whole("sample_seconds", 1, 300, 10),
        run.number("timeout_seconds", 0.05, 30.0, 1.0),
        run.whole("port", 0, 65_535, 9464),
        _devices(table, beside),
    )
    for part in (site, store, run, table):
        part.refuse_unknown()
    return settings


def chain_settings(part: Table, beside: Path) -> ChainSettings:
    """Take the table of a chain; paths are relative to a folder.

    Raises:
        SettingError: naming key, value and what was expected.
    """
    market, chain_id = part.text("market", ""), part.whole("chain_id", 0, 2**63, 0)
    origin = part.text("origin", "")
    manifest = part.text("manifest", "")
    if bool(market) == bool(manifest):
        raise part.error("market", "be given, or manifest, not both", market or manifest)
    network = part.text("network", "")
    if manifest:
        market, of_manifest, told = manifest_at(beside / manifest)
        chain_id, origin = chain_id or told, origin or of_manifest
    depth, gas_price = part.whole_or_none("confirmations", 0, 1000), 1_000_000_000
    if network:
        if depth is not None:
            raise part.error("confirmations", "be given, or network, not both", depth)
        profile = profile_at(beside / network)
        chain_id = chain_id or profile.chain_id
        depth, gas_price = profile.depth, profile.gas_price_wei
    if not is_address(market):
        raise part.error("market", "be an address (0x and 40 hex digits)", market)
    if not chain_id:
        raise part.error("chain_id", "be the number of the chain, 1 or more", chain_id)
    if origin and not is_address(origin):
        raise part.error("origin", "be an address (0x and 40 hex digits)", origin)
    chain = ChainSettings(
        part.text("rpc"),
        to_checksum_address(market),
        to_checksum_address(origin) if origin else None,
        chain_id,
        4 if depth is None else depth,
        part.whole("gas_price_wei", 0, 10**15, gas_price),
        part.number("low_days", 0.0, 36_500.0, LOW_DAYS),
    )
    if not chain.rpc.startswith(("http://", "https://")):
        raise part.error("rpc", "be an address that begins with http:// or https://", chain.rpc)
    part.refuse_unknown()
    return chain


def manifest_at(path: Path) -> tuple[str, str, int]:
    """Read the market's address, the ledger of origins' if there is one, and the chain's id.

    Raises:
        SettingError: if it is no manifest.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        contracts = manifest["contracts"]
        origin = str(contracts.get("Origin", {}).get("address", ""))
        return str(contracts["Market"]["address"]), origin, int(manifest.get("chain_id", 0))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"{path} must be a deployment's manifest, got {reason_of(error)}"
        ) from error


def _key(part: Table, beside: Path) -> KeySettings:
    passphrase, credential = part.text("passphrase", ""), part.text("credential", "")
    if bool(passphrase) == bool(credential):
        raise part.error("passphrase", "be given, or credential, not both", passphrase)
    signer = part.texts("signer")
    address = part.text("address", "") or None
    if signer and not is_address(address or ""):
        raise part.error("address", "be the address that the signer signs for", address)
    keystore = beside / part.text("keystore")
    part.refuse_unknown()
    return KeySettings(
        keystore,
        beside / passphrase if passphrase else None,
        credential or None,
        signer,
        to_checksum_address(address) if address else None,
    )


def _devices(table: Table, beside: Path) -> SiteDevices:
    devices = []
    for part in table.tables("device"):
        role = part.one_of("role", ("meter", "inverter", "battery"))
        map_name = part.text("map", "")
        try:
            address, unit = place_from(part)
            devices.append(
                Device(
                    role,
                    address,
                    unit,
                    part.whole("ceiling_w", 1, 10**9),
                    part.text("name", ""),
                    load_map(map_name, beside) if map_name else None,
                    part.flag("reversed"),
                )
            )
        except SettingError as error:
            told = str(error)
            raise SettingError(
                told if told.startswith(part.where) else f"{part.where} {told}"
            ) from None
        part.refuse_unknown()
    try:
        return SiteDevices(tuple(devices))
    except SettingError as error:
        raise SettingError(f"{table.where} device: {error}") from None
