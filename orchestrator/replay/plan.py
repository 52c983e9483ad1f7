"""What is replayed, and the files that it is made of: by these a replay is told from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from chain.contract import interface
from energy.errors import SettingError
from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY, slots_of
from orchestrator.setting.series import LOADS_NAME, PV_NAME, PvSeries

TRUTHFUL = "truthful"
BUNDLED, SYNTHETIC, EXAMPLE = "bundled", "synthetic", "example"
MARKUP = 8 * PRICE_PER_YEN
"""That the utility adds to the exchange's price when it sells, 0.001 JPY/kWh."""
KIND = "replay"
SITES_PRICES = "sites file"
"""What a store says of prices that are the sites file's."""
_CONTRACTS = ("Market", "Origin")
_FILES = {
    "sites": {BUNDLED: ("orchestrator.setting", "sites.toml")},
    "loads": {BUNDLED: ("orchestrator.setting", "office_load_2019_hourly_kwh.csv")},
    "pv": {BUNDLED: ("orchestrator.setting", "pv_2024_30min_per_unit.csv")},
    "tariffs": {},
    "exchange": {SYNTHETIC: ("vpp", "data/synthetic_prices_jpy_per_kwh.csv")},
}
"""What each file is for, and which one a word names instead of a path."""


@dataclass(frozen=True)
class Plan:
    """What is replayed: from a day on, how many, who steers batteries, the seed, and by which
    strategy all agents quote.

    Files are named by their paths, or by `bundled` and the like. Without `tariffs` or `exchange`
    the sites file's prices hold; `markup` counts with an exchange alone. Without `calls` there
    are none.
    """

    first: date
    days: int
    battery: str
    mode: str
    seed: str
    sites: str
    agents: str = TRUTHFUL
    loads: str = BUNDLED
    pv: str = BUNDLED
    tariffs: str = ""
    exchange: str = ""
    markup: int = MARKUP
    calls: str = ""

    @property
    def slots(self) -> range:
        """The slots of the period."""
        start = slots_of(self.first).start
        return range(start, start + self.days * SLOTS_PER_DAY)

    @property
    def dates(self) -> list[date]:
        """The days of the period."""
        return [self.first + timedelta(days=number) for number in range(self.days)]

    def file(self, what: str) -> Traversable | None:
        """Return the file of what is named, as `sites`; None where nothing is."""
        name = getattr(self, what)
        bundled = _FILES[what].get(name)
        if bundled is not None:
            return files(bundled[0]).joinpath(bundled[1])
        return Path(name) if name else None

    def to_json(self) -> dict[str, object]:
        """Return it as it is kept."""
        return {"kind": KIND, **asdict(self), "first": self.first.isoformat()}

    def provenance(self, sun: PvSeries) -> Mapping[str, str]:
        """Return what a store says of where its readings and prices come from, by setting."""
        priced = self.tariffs or SITES_PRICES
        markup = f"{self.markup / PRICE_PER_YEN:g}"
        if self.exchange:
            priced = f"exchange, sold at {markup} JPY/kWh more"
        return {
            "kind": KIND,
            "agents": self.agents,
            "seed": self.seed,
            "battery": self.battery,
            "mode": self.mode,
            "sites": self.sites,
            "loads": LOADS_NAME if self.loads == BUNDLED else self.loads,
            "pv": PV_NAME if self.pv == BUNDLED else self.pv,
            "pv_gap_days": str(sum(map(sun.has_gap, self.dates))),
            "tariffs": priced,
            "exchange": self.exchange,
            "markup": markup if self.exchange else "",
            "calls": self.calls,
        }


def digests(plan: Plan, calls: str | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file that a replay is made of, of its `calls` as they are played,
    and of the contracts' bytecode; empty where there is none.

    Raises:
        SettingError: naming a file that cannot be read.
    """
    found = {what: _digest(plan.file(what)) for what in _FILES}
    found["calls"] = "" if calls is None else sha256(calls.encode()).hexdigest()
    bytecode = b"".join(interface(name).bytecode for name in _CONTRACTS)
    found["contracts"] = sha256(bytecode).hexdigest()
    return found


def _digest(file: Traversable | None) -> str:
    if file is None:
        return ""
    try:
        return sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise SettingError(f"{file} must be a file that can be read, got {error}") from error
