"""`yui orchestrator`: set up, check, run and ask the service."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx
import typer
from eth_utils.address import is_address

from chain.database import steps_to_do
from chain.files import write_secret, write_whole
from energy.errors import ChainError, SettingError, YuiError
from energy.japanese import in_language
from oracle.keys import new_keystore, new_passphrase
from orchestrator.options import InLanguage, print_json
from orchestrator.service.alerts import log
from orchestrator.service.settings import AgentSettings, load_settings
from orchestrator.service.words import alert_line, say
from orchestrator.words import Language

app = typer.Typer(
    no_args_is_help=True, help="The service that relays, clears, settles, indexes and watches."
)
SettingsPath = Annotated[Path, typer.Option("--settings", help="The orchestrator's settings file.")]
DEFAULT_SETTINGS = Path("orchestrator.toml")

_TEXT = """\
# An orchestrator's settings; docs/orchestrator.md says what each of them means.

[chain]
rpc = {rpc}
# second = "http://10.0.0.2:8545"   # another member's node, to compare with
market = {market}
{origin}
chain_id = {chain_id}
confirmations = 4

[key]
keystore = "relay.json"
passphrase = "relay.passphrase"

[store]
url = "store.sqlite"                # or postgresql://user@host/database
# sites = "sites.toml"

[run]
poll_seconds = 2.0
port = 9465

[alerts]
# webhook = "https://example.org/hook"
low_coins = 1.0
"""


@app.command()
def init(
    market: Annotated[str, typer.Option(help="The market's address, 0x and 40 hex digits.")],
    chain_id: Annotated[int, typer.Option(help="The chain's number.")],
    rpc: Annotated[str, typer.Option(help="A node of the chain.")] = "http://127.0.0.1:8545",
    origin: Annotated[
        str | None, typer.Option(help="The address of the ledger of origins.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where settings and key go.")] = Path(),
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Make settings and a key that pays for gas, and print the address to fund."""
    for name, address in (("--market", market), ("--origin", origin)):
        if address is not None and not is_address(address):
            raise SettingError(f"{name} must be an address (0x and 40 hex digits), got {address!r}")
    if chain_id < 1:
        raise SettingError(f"--chain-id must be 1 or more, got {chain_id}")
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / DEFAULT_SETTINGS.name
    for path in (settings, folder / "relay.json", folder / "relay.passphrase"):
        if path.exists():
            raise SettingError(f"{path} must not be there yet: a key is never overwritten")
    passphrase = new_passphrase()
    write_secret(folder / "relay.passphrase", passphrase + "\n")
    payer = new_keystore(folder / "relay.json", passphrase)
    told = f"origin = {json.dumps(origin)}" if origin else '# origin = "0x..."'
    text = _TEXT.format(
        rpc=json.dumps(rpc), market=json.dumps(market), origin=told, chain_id=chain_id
    )
    write_whole(settings, text)
    print(say(language, "payer", address=payer))
    print(say(language, "go_on", settings=settings))


@app.command()
def check(
    settings: SettingsPath = DEFAULT_SETTINGS, language: InLanguage = Language.ENGLISH
) -> None:
    """Check settings, keys, nodes, market, funds, store and inbox; say what is wrong of all."""
    from orchestrator.service.deployment import check_chain, check_market, node_of, second_of
    from orchestrator.service.inbox import waiting_in
    from orchestrator.service.opening import agent_of, key_of
    from orchestrator.setting.sites import load_setting

    wanted = load_settings(settings)
    wrong = 0

    def tried(what: str, act: Callable[[], object]) -> None:
        nonlocal wrong
        try:
            print(say(language, "ok", what=what, said=act()))
        except YuiError as error:
            wrong += 1
            print(say(language, "wrong", what=what, said=in_language(language, str(error))))

    def funds() -> str:
        chain = node_of(wanted, key_of(wanted.key))
        check_market(wanted, chain)
        coins = chain.balance_of(chain.sender) / 1e18
        if coins < wanted.alerts.low_coins:
            least = wanted.alerts.low_coins
            raise SettingError(f"{chain.sender} must have {least:g} coins or more, got {coins:g}")
        market = wanted.chain.market
        return say(language, "has", address=chain.sender, coins=coins, market=market)

    def second() -> str:
        node = second_of(wanted)
        assert node
        check_chain(wanted, node)
        return say(language, "block", block=node.height())

    def store() -> str:
        behind = steps_to_do(wanted.store)
        if behind is None:
            return say(language, "to_be_made")
        return say(language, "older" if behind else "opens")

    def inbox() -> str:
        count = waiting_in(wanted.inbox)
        return say(language, "to_be_made") if count is None else say(language, "wait", count=count)

    tried(say(language, "key"), lambda: key_of(wanted.key) and say(language, "opens"))
    tried(say(language, "node"), funds)
    if wanted.second:
        tried(say(language, "second"), second)
    tried(say(language, "store"), store)
    tried(say(language, "inbox"), inbox)
    tried(
        say(language, "sites"),
        lambda: say(language, "count", count=len(load_setting(wanted.sites).sites)),
    )
    for agent in wanted.agents:

        def trading(agent: AgentSettings = agent) -> str:
            agent_of(agent, load_setting(wanted.sites))
            return str(agent.strategy)

        tried(say(language, "agent", site=agent.site), trading)
    if wrong:
        raise SettingError(f"all must be ok, got {wrong} wrong")


@app.command()
def run(settings: SettingsPath = DEFAULT_SETTINGS) -> None:
    """Run the service: relay, clear, settle, index, trade and watch, until it is told to end."""
    from orchestrator.service.opening import run_until_told

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    asyncio.run(run_until_told(load_settings(settings)))


@app.command()
def status(
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Ask the running service how it is; exit code 1 if something is wrong."""
    wanted = load_settings(settings)
    if not wanted.port:
        raise SettingError(
            f"{settings}: [run] port must be above 0 for its service to be asked, got 0 (any)"
        )
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    url = f"http://{host}:{wanted.port}/health"
    try:
        answer = httpx.get(url, timeout=5.0)
        told = answer.json()
        healthy, alerts = told["healthy"], told["alerts"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise ChainError(f"the service must answer at {url}, got {error}") from error
    if as_json:
        print_json(told)
    else:
        waiting = told["waiting_orders"]
        inbox = "no_inbox" if waiting is None else "waiting"
        print(say(language, inbox, block=told["height"], count=waiting))
        for each in alerts:
            print(alert_line(language, each))
        print(say(language, "healthy" if healthy else "alerts", count=len(alerts)))
    if not healthy:
        raise typer.Exit(1)
