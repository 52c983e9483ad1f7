"""An orchestrator's settings, from one TOML file.

    [chain]
    rpc = "http://127.0.0.1:8545"
    second = "http://10.0.0.2:8545"     # another member's node, to compare with; none if left out
    market = "0x..."                    # or manifest = "manifest.json", a deployment's
    origin = "0x..."                    # the ledger of origins; the manifest's if not given
    chain_id = 31337                    # the manifest's if not given
    confirmations = 4                   # blocks on top of one that nothing takes back
    gas_price_wei = 1_000_000_000
    # or network = "network.json", the members' profile: it tells these two and the chain_id
    most_gas_price_wei = 100_000_000_000
    patience_seconds = 15.0             # after it, a transaction that hangs is replaced

    [key]
    keystore = "relay.json"             # who pays for gas; it may do nothing else
    passphrase = "relay.passphrase"     # a file; or credential = "yui-relay", from systemd

    [store]
    url = "store.sqlite"                # or postgresql://user@host/database
    inbox = "inbox.sqlite"              # signed orders, until they are final on the chain
    sites = "sites.toml"                # names of the sites; the bundled file if not given

    [run]
    poll_seconds = 2.0                  # how often each duty looks
    host = "127.0.0.1"                  # health, metrics, and where signed orders are taken
    port = 9465                         # 0: a free one

    [alerts]
    webhook = "https://..."             # told of each alert as JSON; none if left out
    low_coins = 1.0                     # the payer's funds below which it says so
    late_seconds = 600                  # a settlement later than this after its deadline
    stalled_seconds = 120               # no new block for so long
    behind_blocks = 10                  # a node so far behind the second one is slow

    [[agent]]                           # a trading agent for a site; none if left out
    site = 6
    keystore = "trader.json"            # the site's trader key
    passphrase = "trader.passphrase"
    strategy = "truthful"               # or zero-intelligence, fixed-margin
    margin_jpy_per_kwh = 1.0            # of fixed-margin
    sell_at_least_jpy_per_kwh = 9.0     # never sold below
    buy_at_most_jpy_per_kwh = 18.0      # never bought above, fee included
    region_discount_jpy_per_kwh = 0.0   # given up to trade when its own region needs it
    battery = "plan"                    # who steers its battery: plan, rule, own-use, or none
    plan_file = "plan.json"             # where its dispatch reads the plan; nowhere if left out

Paths are relative to the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.table import Table, load_table
from energy.units import PRICE_LIMIT, PRICE_PER_YEN
from oracle.settings import ChainSettings, chain_settings
from orchestrator.steering.steering import NONE, PLAN, RULE, STEERINGS
from orchestrator.trading.agents import STRATEGIES

MOST_YEN = (PRICE_LIMIT - 1) / PRICE_PER_YEN
MOST_SITES = 1000


@dataclass(frozen=True)
class KeyFile:
    """A keystore, and where its passphrase is."""

    keystore: Path
    passphrase: Path | None
    credential: str | None


@dataclass(frozen=True)
class AlertSettings:
    """When to say that something is wrong, and to whom; coins of 10^18 wei."""

    webhook: str | None
    low_coins: float
    late_seconds: int
    stalled_seconds: int
    behind_blocks: int


@dataclass(frozen=True)
class AgentSettings:
    """A site's trading agent; prices in 0.001 JPY/kWh."""

    site: int
    key: KeyFile
    strategy: str
    margin: int
    ask: int
    bid: int
    region_discount: int
    battery: str
    plan_file: Path | None


@dataclass(frozen=True)
class Settings:
    """All of an orchestrator's settings."""

    path: Path
    chain: ChainSettings
    second: str | None
    most_gas_price_wei: int
    patience_seconds: float
    key: KeyFile
    store: str
    inbox: Path
    sites: Path | None
    poll_seconds: float
    host: str
    port: int
    alerts: AlertSettings
    agents: tuple[AgentSettings, ...]


def load_settings(path: Path) -> Settings:
    """Read an orchestrator's settings.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """
    table, beside = load_table(path, "settings file"), path.parent
    chain, run = table.part("chain"), table.part("run", {})
    store, alerts = table.part("store", {}), table.part("alerts", {})
    second = chain.text("second", "") or None
    most_gas_price = chain.whole("most_gas_price_wei", 1, 10**15, 10**11)
    patience = chain.number("patience_seconds", 0.1, 600.0, 15.0)
    sites = store.text("sites", "")
    settings = Settings(
        path,
        chain_settings(chain, beside),
        second,
        most_gas_price,
        patience,
        _key(table.part("key"), beside),
        _url(store.text("url", "store.sqlite"), beside),
        beside / store.text("inbox", "inbox.sqlite"),
        beside / sites if sites else None,
        run.number("poll_seconds", 0.05, 60.0, 2.0),
        run.text("host", "127.0.0.1"),
        run.whole("port", 0, 65_535, 9465),
        AlertSettings(
            alerts.text("webhook", "") or None,
            alerts.number("low_coins", 0.0, 1e9, 1.0),
            alerts.whole("late_seconds", 0, 86_400, 600),
            alerts.whole("stalled_seconds", 1, 86_400, 120),
            alerts.whole("behind_blocks", 1, 10_000, 10),
        ),
        tuple(_agent(part, beside) for part in table.tables("agent")) if "agent" in table else (),
    )
    for part in (run, store, alerts, table):
        part.refuse_unknown()
    return settings


def _url(url: str, beside: Path) -> str:
    return url if "://" in url else str(beside / url)


def _key(part: Table, beside: Path, whole: bool = True) -> KeyFile:
    passphrase, credential = part.text("passphrase", ""), part.text("credential", "")
    if bool(passphrase) == bool(credential):
        raise part.error("passphrase", "be given, or credential, not both", passphrase)
    keystore = beside / part.text("keystore")
    if whole:
        part.refuse_unknown()
    return KeyFile(keystore, beside / passphrase if passphrase else None, credential or None)


def _agent(part: Table, beside: Path) -> AgentSettings:
    def price(key: str, default: float | None = None) -> int:
        if default is None and key not in part:
            raise part.error(key, "be there", None)
        return round(part.number(key, 0.0, MOST_YEN, default or 0.0) * PRICE_PER_YEN)

    plan_file = part.text("plan_file", "")
    agent = AgentSettings(
        part.whole("site", 0, MOST_SITES - 1),
        _key(part, beside, whole=False),
        part.one_of("strategy", tuple(STRATEGIES), "truthful"),
        price("margin_jpy_per_kwh", 1.0),
        price("sell_at_least_jpy_per_kwh"),
        price("buy_at_most_jpy_per_kwh"),
        price("region_discount_jpy_per_kwh", 0.0),
        part.one_of("battery", STEERINGS, NONE),
        beside / plan_file if plan_file else None,
    )
    if agent.plan_file and agent.battery not in (PLAN, RULE):
        raise part.error("plan_file", "be given with a battery that is planned", plan_file)
    part.refuse_unknown()
    return agent
