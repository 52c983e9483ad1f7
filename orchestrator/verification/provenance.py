"""Where a store's chain comes from: a replay of series that stand in for meters, or a market's own.

A replay leaves in the store's settings what it was made from and by what; a store without them
was made by whoever runs the market, and its readings are what its sites' meters said.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import Connection, select

from chain.store import Store
from chain.tables import SETTINGS
from energy.errors import SettingError
from energy.units import PRICE_PER_YEN, SLOTS_PER_DAY, day_of
from orchestrator.replay.folder import FILE
from orchestrator.replay.plan import BUNDLED, KIND, MARKUP, SITES_PRICES
from orchestrator.setting.series import LOADS_NAME, PV_NAME
from orchestrator.verification.section import Voice
from orchestrator.words import say_day

DEMO = "demo"
REPORTS = "docs/report"
_OPTIONS = (
    "mode", "battery", "agents", "seed", "sites", "loads", "pv", "tariffs", "exchange", "calls",
)  # fmt: skip
"""Of `yui replay`, by the settings that tell them."""
_DEFAULTS = {BUNDLED, LOADS_NAME, PV_NAME, SITES_PRICES}
"""What is said of what a replay takes without being told."""
_FOLDER = "FOLDER"
"""Where a replay is made again: the reader's choice."""


@dataclass(frozen=True)
class Provenance:
    """What a store says of itself; `days` from `first` on are those of the whole store."""

    settings: Mapping[str, str]
    first: date
    days: int
    block: tuple[int, bytes] | None
    """The newest indexed block's number and hash."""
    version: str
    """Of the program that made the report."""

    @property
    def is_replay(self) -> bool:
        """Whether it is a replay, which can be made again."""
        return self.settings.get("kind") == KIND

    @property
    def is_played(self) -> bool:
        """Whether series stood in for the sites: in a replay, or in a demonstration."""
        return self.settings.get("kind") in (KIND, DEMO)

    @property
    def gap_days(self) -> int | None:
        """How many days of the played roofs are gaps of the source, played as 0; None unsaid."""
        found = self.settings.get("pv_gap_days")
        return int(found) if found and found.isdigit() else None

    @property
    def markup(self) -> str | None:
        """What the utility added to an exchange's price, JPY/kWh; None without an exchange."""
        return (self.settings.get("markup") or None) if self.settings.get("exchange") else None

    @property
    def chain(self) -> tuple[str, str]:
        """The chain's id and the market's address, empty where the store knows neither."""
        number, _, market = self.settings.get("market", "").rpartition(":")
        return number, market

    def pinned(self) -> dict[str, object]:
        """Return the chain up to the newest indexed block, whose hash stands for all before it."""
        number, market = self.chain
        block, digest = self.block or (0, b"")
        origin = self.settings.get("origin", "")
        return {
            "id": number, "market": market, "origin": origin, "block": block, "hash": digest.hex()
        }  # fmt: skip

    def replayed_by(self, slots: range, language: str) -> tuple[str, ...]:
        """Return the commands that make the replay and the report of some of its slots again;
        none for no replay."""
        if not self.is_replay:
            return ()
        options = {"from": self.first.isoformat(), "days": str(self.days)}
        for name in _OPTIONS:
            value = self.settings.get(name)
            is_text = name == "tariffs" and bool(self.settings.get("exchange"))
            if value and value not in _DEFAULTS and not is_text:
                options[name] = value
        if (markup := self.markup) not in (None, f"{MARKUP / PRICE_PER_YEN:g}"):
            options["markup"] = str(markup)
        given = " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())
        told = f"--store {_FOLDER}/store.sqlite --language {language} --markdown {REPORTS}"
        if len(slots) != self.days * SLOTS_PER_DAY:
            told += f" --period {day_of(slots[0])}..{day_of(slots[-1])}"
        return f"yui replay {given} --folder {_FOLDER}", f"yui report {told}"


def provenance_of(connection: Connection, settled: range, folder: Path | None = None) -> Provenance:
    """Read where a store comes from; `settled` is what of it is settled, from first to last.

    A replay's `folder` says it as well, and alone did before stores kept it.
    """
    rows = connection.execute(select(SETTINGS.c.name, SETTINGS.c.value))
    return Provenance(
        {**_beside(folder), **{row.name: row.value for row in rows}},
        day_of(settled.start),
        len(settled) // SLOTS_PER_DAY,
        Store(connection).last_block(),
        program_version(),
    )


def _beside(folder: Path | None) -> dict[str, str]:
    """Return what a replay's folder says of it."""
    file = folder / FILE if folder else None
    if file is None or not file.exists():
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingError(f"{file} must be JSON, got {error}") from error
    return {
        "kind": KIND,
        **{name: value for name, value in kept.items() if isinstance(value, str)},
    }


def program_version() -> str:
    """Return the installed program's version; `dev` where it runs without being installed."""
    try:
        return version("yui")
    except PackageNotFoundError:
        return "dev"


def said_first(provenance: Provenance) -> int:
    """Return how many lines of the source are said before any figure: that it was played, by what;
    or that it is a market's own."""
    return 2 if provenance.is_played else 1


def source_lines(provenance: Provenance, say: Voice) -> list[str]:
    """Say what the store is, before any figure."""
    settings, (chain_id, market) = provenance.settings, provenance.chain
    lines = []
    if provenance.is_played:
        span = {"first": say_day(say.language, provenance.first), "days": provenance.days}
        lines.append(say("source_replay" if provenance.is_replay else "source_demo", **span))
        lines.append(
            say(
                "source_series",
                loads=_named(settings.get("loads", BUNDLED), say),
                pv=_named(settings.get("pv", BUNDLED), say),
                tariffs=_prices(provenance, say),
            )
        )
        if provenance.gap_days:
            lines.append(say("source_gaps", days=provenance.gap_days))
        names = ("agents", "seed", "mode", "battery", "sites")
        if provenance.is_replay:
            named = {name: _named(settings.get(name), say) for name in names}
            lines.append(say("source_played", **named))
    else:
        lines.append(say("source_market"))
    if provenance.block:
        number, digest = provenance.block
        lines.append(
            say(
                "source_chain",
                market=market or "–",
                chain=chain_id or "–",
                block=f"{number:,}",
                hash="0x" + digest.hex(),
                version=provenance.version,
            )
        )
    return lines


def _prices(provenance: Provenance, say: Voice) -> str:
    settings = provenance.settings
    if provenance.markup is not None:
        return say("set_exchange", exchange=settings["exchange"], markup=provenance.markup)
    return _named(settings.get("tariffs") or SITES_PRICES, say)


def _named(value: str | None, say: Voice) -> str:
    """Return a setting's value as it is called, or as it stands."""
    key = f"set_{value}".replace("-", "_").replace(" ", "_")
    return say(key) if say.knows(key) else value or "–"
