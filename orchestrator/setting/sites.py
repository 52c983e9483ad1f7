"""The sites file: market, tariff and sites as TOML, read into whole units and checked.

Units as in `energy.units`: prices 0.001 JPY/kWh, powers 0.1 kW, energies Wh, times seconds.
`sites.toml` beside this file is the example, and what is used where no other file is named.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from energy.errors import SettingError
from energy.market import MarketRules
from energy.registry import WH_PER_CAPACITY_UNIT, WH_PER_POWER_UNIT, Ratings, Tariff
from energy.units import PRICE_LIMIT, PRICE_PER_YEN, SITE_LIMIT, SLOTS_PER_DAY, slot_from
from vpp.rule import BatterySize

MOST_HORIZON_SLOTS = 768
"""Half of the contract's ring of slots."""
MOST_SECONDS = 7 * 86_400
POWER_UNITS_PER_KW = 10
MOST_POWER = 0xFFFF

AHEAD = "ahead"
AFTER_METERING = "after-metering"
MODES = (AHEAD, AFTER_METERING)


@dataclass(frozen=True, slots=True)
class MarketSetting:
    """What a market is deployed with; `first_slot` is None where the deployment chooses it."""

    mode: str
    gate_before_slot_seconds: int
    gate_after_deadline_seconds: int
    reading_deadline_seconds: int
    horizon_slots: int
    first_slot: int | None = None

    @property
    def after_metering(self) -> bool:
        """Whether orders close after the readings are in."""
        return self.mode == AFTER_METERING

    @property
    def gate_seconds(self) -> int:
        """The mode's gate: before a slot's start, or after its reading deadline."""
        if self.after_metering:
            return self.gate_after_deadline_seconds
        return self.gate_before_slot_seconds

    def rules(self, first_slot: int) -> MarketRules:
        """Return the rules of a market that starts with a slot."""
        return MarketRules(
            first_slot=first_slot,
            horizon=self.horizon_slots,
            reading_deadline_seconds=self.reading_deadline_seconds,
            gate_seconds=self.gate_seconds,
            after_metering=self.after_metering,
        )


@dataclass(frozen=True, slots=True)
class Battery:
    """A site's battery. `capacity_wh` is what it can deliver when full, `power` in 0.1 kW,
    `efficiency` of a round trip in per mille, `minimum_wh` what is always left in it."""

    capacity_wh: int
    power: int
    efficiency: int
    minimum_wh: int

    @property
    def size(self) -> BatterySize:
        """What may be used of it: what always stays in it left out."""
        return BatterySize(self.capacity_wh - self.minimum_wh, self.power * 100, self.efficiency)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a site lies, in degrees north and east (WGS 84): for the map alone."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Site:
    """A site. Powers in 0.1 kW; `ask` and `bid` are its agent's limits, 0.001 JPY/kWh, the
    bid with the fee in it. `load_column` names the series that plays it, if one does; `region` is
    the municipality in Japanese, `region_en` in English."""

    number: int
    name: str
    name_ja: str
    region: str
    pv_power: int
    contract_power: int
    connection_power: int
    ask: int
    bid: int
    load_column: str | None = None
    battery: Battery | None = None
    place: Place | None = None
    region_en: str | None = None

    @property
    def ratings(self) -> Ratings:
        """What the contract is told of the site: ceilings of what is physically possible."""
        ratings = Ratings(
            order_energy=self.connection_power * WH_PER_POWER_UNIT,
            import_power=self.connection_power,
            generation_power=self.pv_power,
        )
        if self.battery is None:
            return ratings
        return Ratings(
            ratings.order_energy,
            ratings.import_power,
            ratings.generation_power,
            battery_power=self.battery.power,
            battery_capacity=self.battery.capacity_wh // WH_PER_CAPACITY_UNIT,
            battery_efficiency=self.battery.efficiency,
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """A whole sites file; `tariffs` are those of the day's 48 half hours."""

    market: MarketSetting
    tariffs: tuple[Tariff, ...]
    sites: tuple[Site, ...]


def load_setting(file: Traversable | None = None) -> Setting:
    """Read a sites file, a `Path` for example; the bundled one if none is given.

    Raises:
        SettingError: naming file, key and value of what is wrong, and what was expected.
    """
    file = file or files("orchestrator.setting").joinpath("sites.toml")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError as error:
        raise SettingError(f"{file} must exist") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{file} must be a TOML file, got {error}") from error
    whole = _Table(str(file), "", content)
    market = _market(whole.table("market"))
    tariffs = _tariffs(whole.table("tariff"))
    sites = tuple(_site(number, table) for number, table in enumerate(whole.tables("site")))
    whole.finish()
    if not 0 < len(sites) <= SITE_LIMIT:
        raise whole.error("site", f"be given 1 to {SITE_LIMIT} times", len(sites))
    for name in ("name", "name_ja"):
        _check_distinct(whole, name, [getattr(site, name) for site in sites])
    return Setting(market, tariffs, sites)


def with_mode(setting: Setting, mode: str | None) -> Setting:
    """Return a setting with another gate mode; the file's if none is given.

    Raises:
        SettingError: if there is no such mode.
    """
    if mode is None:
        return setting
    if mode not in MODES:
        raise SettingError(f"--mode must be one of {', '.join(MODES)}, got {mode!r}")
    return replace(setting, market=replace(setting.market, mode=mode))


def _market(table: _Table) -> MarketSetting:
    market = MarketSetting(
        mode=table.choice("mode", MODES),
        gate_before_slot_seconds=table.whole("gate_before_slot_seconds", 0, MOST_SECONDS),
        gate_after_deadline_seconds=table.whole("gate_after_deadline_seconds", 0, MOST_SECONDS),
        reading_deadline_seconds=table.whole("reading_deadline_seconds", 0, MOST_SECONDS),
        horizon_slots=table.whole("horizon_slots", 1, MOST_HORIZON_SLOTS),
        first_slot=table.slot("first_slot"),
    )
    table.finish()
    return market


def _tariffs(table: _Table) -> tuple[Tariff, ...]:
    day = [_tariff(table, None)] * SLOTS_PER_DAY
    given = [False] * SLOTS_PER_DAY
    for band in table.tables("band"):
        first = band.half_hour("from")
        last = band.half_hour("until")
        if not first < last:
            raise band.error("until", "be later than `from`", band.raw("until"))
        if any(given[first:last]):
            raise band.error("from", "not begin within another band", band.raw("from"))
        given[first:last] = [True] * (last - first)
        day[first:last] = [_tariff(band, day[first])] * (last - first)
        band.finish()
    table.finish()
    return tuple(day)


def _tariff(table: _Table, otherwise: Tariff | None) -> Tariff:
    tariff = Tariff(
        selling=table.price("selling_jpy_per_kwh", otherwise.selling if otherwise else None),
        buying=table.price("buying_jpy_per_kwh", otherwise.buying if otherwise else None),
        fee=table.price("fee_jpy_per_kwh", otherwise.fee if otherwise else None),
    )
    if tariff.selling < tariff.buying + 2 * tariff.fee:
        raise table.error(
            "selling_jpy_per_kwh",
            "be at least the buying price and two fees, "
            f"{Decimal(tariff.buying + 2 * tariff.fee) / PRICE_PER_YEN}",
            Decimal(tariff.selling) / PRICE_PER_YEN,
        )
    return tariff


def _site(number: int, table: _Table) -> Site:
    site = Site(
        number=number,
        name=table.text("name"),
        name_ja=table.text("name_ja"),
        region=table.text("region"),
        pv_power=table.power("pv_kw", 0),
        contract_power=table.power("contract_kw", 1),
        connection_power=table.power("connection_kw", 1),
        ask=table.price("ask_jpy_per_kwh"),
        bid=table.price("bid_jpy_per_kwh"),
        load_column=table.text("load_column") if "load_column" in table else None,
        battery=_battery(table.table("battery")) if "battery" in table else None,
        place=_place(table) if "latitude" in table or "longitude" in table else None,
        region_en=table.text("region_en") if "region_en" in table else None,
    )
    table.finish()
    for key, power in (("contract_kw", site.contract_power), ("pv_kw", site.pv_power)):
        if power > site.connection_power:
            raise table.error(key, "be within connection_kw", table.raw(key))
    return site


def _place(table: _Table) -> Place:
    return Place(table.degrees("latitude", 90), table.degrees("longitude", 180))


def _battery(table: _Table) -> Battery:
    battery = Battery(
        capacity_wh=table.energy("capacity_kwh", 1),
        power=table.power("power_kw", 1),
        efficiency=table.whole("round_trip_per_mille", 1, 1000),
        minimum_wh=table.energy("minimum_charge_kwh", 0),
    )
    table.finish()
    if battery.minimum_wh >= battery.capacity_wh:
        key = "minimum_charge_kwh"
        raise table.error(key, "be below capacity_kwh", table.raw(key))
    return battery


def _check_distinct(table: _Table, key: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise table.error(f"site.{key}", "be of one site only", name)


class _Table:
    """A TOML table that knows where it stands, and which of its keys were read."""

    def __init__(self, file: str, place: str, content: dict[str, Any]) -> None:
        self._file = file
        self._place = place
        self._content = content
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def raw(self, key: str) -> Any:
        """Return a value as it stands in the file."""
        self._read.add(key)
        if key not in self._content:
            raise SettingError(f"{self._file}: {self._path(key)} must be given")
        return self._content[key]

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self.raw(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "be a text", value)
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return one of several texts."""
        value = self.raw(key)
        if value not in choices:
            raise self.error(key, "be one of " + ", ".join(choices), value)
        return str(value)

    def whole(self, key: str, least: int, most: int) -> int:
        """Return a whole number."""
        return self._number(key, 1, least, most)

    def power(self, key: str, least: int) -> int:
        """Return a power given in kW, in 0.1 kW."""
        return self._number(key, POWER_UNITS_PER_KW, least, MOST_POWER)

    def degrees(self, key: str, most: int) -> float:
        """Return a coordinate, from `-most` to `most` degrees."""
        value = self.raw(key)
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not is_number or not -most <= value <= most:
            raise self.error(key, f"be a number from -{most} to {most}", value)
        return float(value)

    def energy(self, key: str, least: int) -> int:
        """Return a battery's energy given in kWh, in Wh: whole 0.1 kWh."""
        units = 1000 // WH_PER_CAPACITY_UNIT
        return self._number(key, units, least, 0xFFFF) * WH_PER_CAPACITY_UNIT

    def price(self, key: str, otherwise: int | None = None) -> int:
        """Return a price given in JPY/kWh, in 0.001 JPY/kWh."""
        if otherwise is not None and key not in self:
            return otherwise
        return self._number(key, PRICE_PER_YEN, 0, PRICE_LIMIT - 1)

    def slot(self, key: str) -> int | None:
        """Return the slot that a text names; None if the key is left out."""
        if key not in self:
            return None
        value = self.raw(key)
        try:
            return slot_from(str(value))
        except ValueError as error:
            raise self.error(key, "be a half hour such as 2026-04-01 00:00", value) from error

    def half_hour(self, key: str) -> int:
        """Return the slot of day (0 to 48) that a time of day begins."""
        value = self.raw(key)
        match = re.fullmatch(r"(\d{1,2}):(00|30)", str(value))
        number = int(match[1]) * 2 + (match[2] == "30") if match else SLOTS_PER_DAY + 1
        if number > SLOTS_PER_DAY:
            raise self.error(key, "be a time between 00:00 and 24:00, on a half hour", value)
        return number

    def table(self, key: str) -> _Table:
        """Return the table under a key."""
        value = self.raw(key)
        if not isinstance(value, dict):
            raise self.error(key, "be a table", value)
        return _Table(self._file, self._path(key), value)

    def tables(self, key: str) -> list[_Table]:
        """Return the tables under a key, none if it is left out."""
        value = self.raw(key) if key in self else []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(key, "be a list of tables", value)
        return [
            _Table(self._file, f"{self._path(key)} {one.get('name', number)}", one)
            for number, one in enumerate(value, start=1)
        ]

    def finish(self) -> None:
        """Refuse keys that nothing has read: they would be misspelt."""
        for key in self._content:
            if key not in self._read:
                known = ", ".join(sorted(self._read))
                raise SettingError(
                    f"{self._file}: {self._path(key)} must be a known key, one of {known}"
                )

    def error(self, key: str, expected: str, value: object) -> SettingError:
        """Return the error that a key's value `must` be as expected."""
        shown = repr(value) if isinstance(value, str) else value
        return SettingError(f"{self._file}: {self._path(key)} must {expected}, got {shown}")

    def _number(self, key: str, units: int, least: int, most: int) -> int:
        value = self.raw(key)
        expected = f"be a number from {Decimal(least) / units} to {Decimal(most) / units}"
        expected += f" in steps of {1 / Decimal(units)}" if units > 1 else ", whole"
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.error(key, expected, value)
        scaled = Decimal(value) * units
        if not scaled.is_finite() or scaled != int(scaled) or not least <= scaled <= most:
            raise self.error(key, expected, value)
        return int(scaled)

    def _path(self, key: str) -> str:
        return f"{self._place}, {key}" if self._place else key
