"""How a control room takes calls: `calls.toml` beside its store.

    store = "calls.sqlite"              # or postgresql://user@host/database
    chain = "store.sqlite"              # the store of the chain's events, for reports
    reverse_flow = "counted"            # or cut: exports count as no demand
    host = "127.0.0.1"                  # where calls are posted
    port = 9475                         # 0: a free one
    token = "calls.token"               # a file; who posts must know what is in it

    [products.tertiary-2]               # terms, by the name that a call or a program gives
    price_kwh = 30.5                    # JPY per kWh delivered
    price_kw = 2.1                      # JPY per kW and half hour of standing ready
    penalty = 1.5                       # times price_kw, for what is missing
    tolerance = 0.1                     # of what was asked, for which nothing is due
    response_seconds = 2700             # after the call came, before anything is due
    basis = "meter"                     # or plan

    [openadr]                           # none if left out
    vtn = "https://vtn.example.org/openadr3/3.1.0"
    client_id = "yui"
    client_secret = "vtn.secret"        # a file
    ven = "miyagi"                      # the name by which the VTN knows this fleet
    scope = "read_all"                  # none if left out
    token_url = "https://..."           # the VTN says it if left out
    poll_seconds = 10

Paths are relative to the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.table import Table, load_table
from energy.errors import SettingError
from energy.units import PRICE_PER_YEN
from vpp.calls.baseline import ReverseFlow
from vpp.calls.call import Basis, Product

PORT = 9475
SETTINGS_FILE = "calls.toml"
MOST_YEN = 16_777.0


@dataclass(frozen=True)
class OpenAdrSettings:
    """The VTN, and what it knows this fleet by."""

    vtn: str
    client_id: str
    client_secret: Path
    ven: str
    scope: str
    token_url: str | None
    poll_seconds: float


@dataclass(frozen=True)
class CallSettings:
    """How calls are taken."""

    store: str
    chain: str | None
    reverse_flow: ReverseFlow
    host: str
    port: int
    token: Path
    products: dict[str, Product]
    openadr: OpenAdrSettings | None


def load_call_settings(path: Path) -> CallSettings:
    """Read the settings in a file.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """
    return call_settings(load_table(path, "settings file"), path.parent)


def call_settings(table: Table, folder: Path) -> CallSettings:
    """Return what a settings file in a folder says; no more may be in it.

    Raises:
        SettingError: naming file, key, value and what was expected.
    """

    def place(url: str) -> str:
        return url if "://" in url else str(folder / url)

    products = {}
    named = table.part("products", {})
    for name in named.names():
        products[name] = _product(name, named.part(name))
    openadr = None
    if "openadr" in table:
        its = table.part("openadr")
        openadr = OpenAdrSettings(
            vtn=its.text("vtn"),
            client_id=its.text("client_id"),
            client_secret=folder / its.text("client_secret"),
            ven=its.text("ven"),
            scope=its.text("scope", ""),
            token_url=its.text("token_url") if "token_url" in its else None,
            poll_seconds=its.number("poll_seconds", 1, 3600, 10),
        )
        its.refuse_unknown()
    found = CallSettings(
        store=place(table.text("store", "calls.sqlite")),
        chain=place(table.text("chain")) if "chain" in table else None,
        reverse_flow=ReverseFlow(
            table.one_of("reverse_flow", [each.value for each in ReverseFlow], "counted")
        ),
        host=table.text("host", "127.0.0.1"),
        port=table.whole("port", 0, 65_535, PORT),
        token=folder / table.text("token", "calls.token"),
        products=products,
        openadr=openadr,
    )
    table.refuse_unknown()
    return found


def secret_in(path: Path, what: str) -> str:
    """Return the secret that a file holds.

    Raises:
        SettingError: if there is none.
    """
    try:
        found = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(f"{path} must be a readable file with {what}, got: {error}") from error
    if not found:
        raise SettingError(f"{path} must hold {what}, got an empty file")
    return found


def _product(name: str, table: Table) -> Product:
    found = Product(
        name=name,
        price_kwh=round(table.number("price_kwh", 0, MOST_YEN, 0) * PRICE_PER_YEN),
        price_kw=round(table.number("price_kw", 0, MOST_YEN, 0) * PRICE_PER_YEN),
        penalty=table.number("penalty", 0, 100, 1.5),
        tolerance=table.number("tolerance", 0, 1, 0.1),
        response_seconds=table.whole("response_seconds", 0, 86_400, 300),
        basis=Basis(table.one_of("basis", [each.value for each in Basis], "meter")),
    )
    table.refuse_unknown()
    return found
