"""The site's commands for its battery: `yui vpp`. They need no more than the extra `site`."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from daemon.journal import log_to_stdout
from daemon.options import InLanguage, Json, print_json
from energy.errors import SettingError
from energy.language import Language
from vpp.dispatch.words import say

app = typer.Typer(
    no_args_is_help=True, help="The virtual power plant: a site's battery, and the control room."
)
override = typer.Typer(
    no_args_is_help=True,
    help="Take the battery into one's own hands, at the site: this always wins.",
)
app.add_typer(override, name="override")

SettingsPath = Annotated[Path, typer.Option("--settings", help="The dispatch's settings file.")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", help="For how long; until released if left out.")
]
PowerW = Annotated[int, typer.Argument(help="The power in W.")]
DEFAULT_SETTINGS = Path("dispatch.toml")
STATUS_SECONDS = 2.0


@app.command()
def init(
    site: Annotated[int, typer.Option(help="The site's number in the fleet.")],
    name: Annotated[str, typer.Option(help="Its name.")] = "",
    municipality: Annotated[str, typer.Option(help="Where it is.")] = "",
    power_w: Annotated[int, typer.Option(help="The battery's power, in W.")] = 15_000,
    folder: Annotated[Path, typer.Option(help="Where the settings go.")] = Path(),
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Write a settings file to begin with."""
    from chain.files import write_whole
    from vpp.dispatch.template import settings_text

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DEFAULT_SETTINGS
    if path.exists():
        raise SettingError(f"{path} must not be there yet: settings are never overwritten")
    write_whole(path, settings_text(site, name, municipality, power_w))
    print(say(language, "go_on", path=path))


@app.command()
def check(
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Read all devices once and say what it would do; nothing is written to any."""
    from vpp.dispatch import screen
    from vpp.dispatch.checking import checked
    from vpp.dispatch.settings import load_settings

    found = asyncio.run(checked(load_settings(settings)))
    if as_json:
        print_json(found.to_json())
    else:
        Console().print(screen.check_view(found, language))
    if found.troubles:
        raise SettingError("all must be well before it is dispatched: " + "; ".join(found.troubles))


@app.command()
def run(settings: SettingsPath = DEFAULT_SETTINGS) -> None:
    """Dispatch the battery until told to end: read, decide, write, every second."""
    from vpp.dispatch.alarms import log
    from vpp.dispatch.service import run_until_told
    from vpp.dispatch.settings import load_settings

    log_to_stdout(log)
    asyncio.run(run_until_told(load_settings(settings)))


@app.command("let-go")
def let_go(
    settings: SettingsPath = DEFAULT_SETTINGS, language: InLanguage = Language.ENGLISH
) -> None:
    """Leave the battery to itself now, unless it is stopped; for when the daemon has died."""
    from vpp.dispatch.opening import let_go_now
    from vpp.dispatch.settings import load_settings

    went = asyncio.run(let_go_now(load_settings(settings)))
    print(say(language, "let_go" if went else "still_stopped"))


@app.command()
def status(
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Show what is followed, what the devices show, and what the half hours brought."""
    from vpp.dispatch import screen
    from vpp.dispatch.settings import load_settings
    from vpp.dispatch.store import Store

    found = load_settings(settings)
    shown = _asked(found.port)
    if shown is None:
        store = Store.copied(found.state)
        shown = screen.kept_status(store.standing(), store.owner(), store.slots(8), time.time())
        store.close()
    if as_json:
        print_json(shown)
    else:
        Console().print(screen.status_view(shown, language))


@override.command()
def charge(
    power_w: PowerW,
    minutes: Minutes = None,
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Charge with a power, whatever others say."""
    _override(settings, -_above_zero(power_w), minutes, language)


@override.command()
def discharge(
    power_w: PowerW,
    minutes: Minutes = None,
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Discharge with a power, whatever others say."""
    _override(settings, _above_zero(power_w), minutes, language)


@override.command()
def hold(
    minutes: Minutes = None,
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Neither charge nor discharge, whatever others say."""
    _override(settings, 0, minutes, language)


@override.command()
def stop(
    settings: SettingsPath = DEFAULT_SETTINGS, language: InLanguage = Language.ENGLISH
) -> None:
    """Stop the battery until it is released; without a daemon, it is written to the device now."""
    from vpp.dispatch.opening import is_running, stop_now
    from vpp.dispatch.settings import load_settings

    found = load_settings(settings)
    _keep_owner(found.state, stopped=True)
    if is_running(found):
        print(say(language, "stopped"))
        return
    asyncio.run(stop_now(found))
    print(say(language, "stopped_now"))


@override.command()
def release(
    settings: SettingsPath = DEFAULT_SETTINGS, language: InLanguage = Language.ENGLISH
) -> None:
    """End one's own stop and override; a stop by the control room stays."""
    from vpp.dispatch.opening import is_running
    from vpp.dispatch.settings import load_settings

    found = load_settings(settings)
    _keep_owner(found.state, stopped=False)
    print(say(language, "released" if is_running(found) else "released_later"))


def _override(path: Path, power_w: int, minutes: float | None, language: Language) -> None:
    from vpp.dispatch.opening import is_running
    from vpp.dispatch.settings import load_settings
    from vpp.dispatch.standing import Override

    if minutes is not None and not 0 < minutes <= 7 * 24 * 60:
        raise SettingError(f"--minutes must be above 0 and at most 10080, got {minutes:g}")
    found = load_settings(path)
    ends_at = None if minutes is None else int(time.time() + minutes * 60)
    if _keep_owner(found.state, Override(power_w, ends_at)):
        print(say(language, "stop_stays"))
    lasts = "until_released" if minutes is None else "minutes"
    until = say(language, lasts, minutes=minutes)
    when = "" if is_running(found) else say(language, "once_run")
    print(say(language, "taken_over", power=power_w, until=until, when=when))


def _keep_owner(state: Path, override: Any = None, *, stopped: bool | None = None) -> bool:
    """Keep the owner's word, and return whether he has stopped it: an override leaves that."""
    from vpp.dispatch.store import Owner, Store

    store = Store(state)
    try:
        held = store.owner().stopped if stopped is None else stopped
        store.keep_owner(Owner(held, override))
    finally:
        store.close()
    return held


def _above_zero(power_w: int) -> int:
    if not 0 < power_w <= 100_000_000:
        raise SettingError(f"POWER_W must be 1 to 100000000 W, got {power_w}")
    return power_w


def _asked(port: int) -> dict[str, Any] | None:
    """Return what a running dispatch says of itself; None if none answers."""
    if not port:
        return None
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/status", timeout=STATUS_SECONDS
        ) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return {**found, "running": True}
    except (OSError, ValueError, urllib.error.URLError):
        return None
