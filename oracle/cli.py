"""The site's commands: `yui oracle` and `yui simulate`.

They need no more than the extra `site`; the operator's command line takes them in.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from daemon.journal import log_to_stdout
from daemon.options import InLanguage, Json, print_json
from energy.errors import SettingError, YuiError
from energy.japanese import in_japanese
from energy.language import Language
from energy.units import slot_from
from field.modbus import Line, Serial, Tcp
from oracle import screen
from oracle.journal import log
from oracle.outbox import Outbox, State
from oracle.told import first_line, of_the_system, told, wants_japanese
from oracle.words import say

# Of typer's own errors only the one kind has a public name; they have the rest in common.
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A site's commands. The operator's (trades, audits) come with the extra operator.",
)
oracle = typer.Typer(no_args_is_help=True, help="The terminal on site: from devices to readings.")
simulate = typer.Typer(no_args_is_help=True, help="Simulated devices, for tests and rehearsals.")
app.add_typer(oracle, name="oracle")
app.add_typer(simulate, name="simulate")

SettingsPath = Annotated[Path, typer.Option("--settings", help="The terminal's settings file.")]
SlotText = Annotated[str, typer.Argument(help="A half hour, as '2026-04-01 18:30'.")]
DEFAULT_SETTINGS = Path("oracle.toml")


def main() -> None:
    """Run the site's commands alone."""
    run(app)


def run(commands: typer.Typer) -> None:
    """Run a command line: no traceback reaches a user.

    An error is one sentence and exit code 1, arguments that make no sense 2, an interruption 130,
    and what nobody has thought of 70, with the traceback in a file to be sent in.
    """
    # Asked to end, it ends as by Ctrl-C: what it started is stopped first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    japanese = wants_japanese(sys.argv[1:], os.environ)
    try:
        sys.exit(commands(prog_name="yui", standalone_mode=False) or 0)
    except UsageError as error:
        # Of a group without a command, its help has been printed, and nothing is left to say.
        if line := error.format_message():
            of = error.ctx.command_path if error.ctx else "yui"
            line = line.replace("Value error, ", "")
            line = in_japanese(line) if japanese else line
            print(f"yui: {line} ({of} --help)", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Abort:
        # A question was answered by the end of the input.
        sys.exit(1)
    except YuiError as error:
        print(f"yui: {told(error, japanese)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has gone: there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(INTERRUPTED)
    except OSError as error:
        # A file, or the network in the middle of something: what they say is enough.
        print(f"yui: {of_the_system(error, japanese)}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError:
        raise  # `orchestrator.entry` says what to install
    except Exception as error:
        print(f"yui: {_unforeseen(error)}", file=sys.stderr)
        sys.exit(UNFORESEEN)


INTERRUPTED, UNFORESEEN = 130, 70


def _unforeseen(error: Exception) -> str:
    """Keep an error's traceback in a file and return the sentence that says where."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="yui-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    told = f"{type(error).__name__}: {first_line(error)}"
    return f"{told} (unforeseen; please send in {file.name})"


@oracle.command()
def init(
    site: Annotated[int, typer.Option(help="The site's number in the market.")],
    market: Annotated[
        str | None,
        typer.Option(
            help="Its address, 0x and 40 hex digits; the network's manifest's if left out."
        ),
    ] = None,
    chain_id: Annotated[
        int | None, typer.Option(help="The chain's number; the network's if left out.")
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(help="The members' network: its folder, a member's own, or its network.json."),
    ] = None,
    rpc: Annotated[
        str | None, typer.Option(help="A node; the member's own, or http://127.0.0.1:8545.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where settings, key and outbox go.")] = Path(),
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file with the key's passphrase; else one is made up.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Make a site's key and settings, and print the address that the council enrols."""
    from chain.files import write_secret, write_whole
    from oracle.keys import new_keystore, new_passphrase, passphrase_from
    from oracle.template import place_of, settings_text

    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "oracle.toml"
    for path in (settings, folder / "oracle.json"):
        if path.exists():
            raise SettingError(f"{path} must not be there yet: a key is never overwritten")
    text = settings_text(site, place_of(market, chain_id, rpc, network), passphrase_file)
    if passphrase_file is None:
        passphrase = new_passphrase()
        write_secret(folder / "passphrase", passphrase + "\n")
    else:
        passphrase = passphrase_from(passphrase_file)
    address = new_keystore(folder / "oracle.json", passphrase)
    write_whole(settings, text)
    print(say(language, "enrol", site=site, address=address))
    print(say(language, "go_on", settings=settings))


@oracle.command()
def probe(
    host: Annotated[str, typer.Argument(help="A host, or the path of a serial line.")],
    port: Annotated[int, typer.Option(help="The host's port.")] = 502,
    units: Annotated[str, typer.Option(help="Which units, as 1-10 or 1,3,100.")] = "1-3",
    baud: Annotated[int, typer.Option(help="A serial line's speed.")] = 9600,
    parity: Annotated[str, typer.Option(help="A serial line's parity: N, E or O.")] = "N",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 1.0,
    map_name: Annotated[
        str | None, typer.Option("--map", help="A register map, for devices without SunSpec.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Show what devices answer: their models and every value, with its unit."""
    from oracle.probe import probed

    if parity not in ("N", "E", "O"):
        raise SettingError(f"--parity must be N, E or O, got {parity!r}")
    address = Serial(host, baud, parity) if host.startswith("/") else Tcp(host, port)  # type: ignore[arg-type]
    wanted = _units(units)
    register_map = None
    if map_name:
        from oracle.registermap import load_map

        register_map = load_map(map_name)

    async def asked(told: Callable[[int], None]) -> Any:
        line = Line(address, timeout_seconds=timeout, retries=0)
        try:
            return await probed(line, wanted, told, register_map)
        finally:
            line.close()

    def asking(unit: int) -> str:
        return say(language, "asking", unit=unit, address=address)

    with Console(stderr=True).status(asking(wanted[0])) as status:
        answered, silent = asyncio.run(asked(lambda unit: status.update(asking(unit))))
    if as_json:
        print_json({"units": [asdict(unit) for unit in answered], "silent": silent})
    else:
        Console().print(screen.probe_view(str(address), answered, silent, language))
    if not answered:
        raise SettingError(next(iter(silent.values())))


@oracle.command("run")
def run_terminal(
    settings: SettingsPath = DEFAULT_SETTINGS,
    once: Annotated[
        bool, typer.Option("--once", help="Sample, close and deliver once, as a test.")
    ] = False,
) -> None:
    """Run the terminal: sample, close half hours, sign and deliver, until it is told to end."""
    from oracle.service import run_once, run_until_told
    from oracle.settings import load_settings

    log_to_stdout(log)
    asyncio.run((run_once if once else run_until_told)(load_settings(settings)))


@oracle.command()
def status(
    settings: SettingsPath = DEFAULT_SETTINGS,
    slots: Annotated[int, typer.Option(help="How many of the latest half hours.")] = 8,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Show what is on disk: readings and where they are, what is missing, what went wrong."""
    from oracle.status import status_of

    with _outbox(settings) as outbox:
        shown = status_of(outbox, slots)
    if as_json:
        print_json(shown.to_json())
    else:
        Console().print(screen.status_view(shown, language))


@oracle.command()
def retry(
    slot: SlotText,
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Let a refused reading be sent again, once its cause is gone."""
    with _outbox(settings) as outbox:
        entry = outbox.reading_of(_slot(slot))
        if entry is None or entry.state != State.REFUSED:
            held = "no reading" if entry is None else entry.state
            raise SettingError(f"the reading of {slot} must be refused, got {held}")
        outbox.mark([entry.reading], State.MADE, entry.remark, entry.changed_seconds)
    print(say(language, "waits", slot=slot))


@oracle.command()
def correct(
    slot: SlotText,
    reason: Annotated[str, typer.Argument(help="Why; it stands in the journal.")],
    imported: Annotated[int | None, typer.Option(help="Wh from the network.")] = None,
    exported: Annotated[int | None, typer.Option(help="Wh into the network.")] = None,
    generated: Annotated[int | None, typer.Option(help="Wh out of the inverters.")] = None,
    charged: Annotated[int | None, typer.Option(help="Wh into the battery.")] = None,
    discharged: Annotated[int | None, typer.Option(help="Wh out of the battery.")] = None,
    stored: Annotated[int | None, typer.Option(help="Wh in the battery at its end.")] = None,
    settings: SettingsPath = DEFAULT_SETTINGS,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Correct a half hour by what is known of it otherwise, as an exchanged meter's last count."""
    from oracle.service import corrected
    from oracle.settings import load_settings

    given = {
        "imported": imported,
        "exported": exported,
        "generated": generated,
        "charged": charged,
        "discharged": discharged,
        "stored": stored,
    }
    energies = {name: energy for name, energy in given.items() if energy is not None}
    for name, energy in energies.items():
        if not 0 <= energy < 2**32:
            raise SettingError(f"--{name} must be 0 to {2**32 - 1} Wh, got {energy}")
    log_to_stdout(log)
    revision = asyncio.run(corrected(load_settings(settings), _slot(slot), energies, reason))
    print(say(language, "corrected", slot=slot, revision=revision))


@simulate.command("site")
def simulate_site(
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 5020,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    serial: Annotated[
        str | None, typer.Option(help="A serial line to answer at instead, with RTU.")
    ] = None,
    pv_kw: Annotated[float, typer.Option(help="The roof, on a clear day.")] = 40.0,
    load_kw: Annotated[float, typer.Option(help="The office, by day.")] = 20.0,
    battery_kwh: Annotated[float, typer.Option(help="The battery; 0 for none.")] = 44.0,
    battery_kw: Annotated[float, typer.Option(help="The battery's power.")] = 15.0,
    series: Annotated[
        Path | None, typer.Option(help="A CSV file with load_wh and generation_wh by half hour.")
    ] = None,
    speed: Annotated[float, typer.Option(help="How much faster than time it goes.")] = 1.0,
    ramp_kw: Annotated[
        float, typer.Option(help="How fast the battery's power changes, a second; 0: at once.")
    ] = 0.0,
    control: Annotated[
        int | None, typer.Option(help="The one model that commands the battery, 124 or 704.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With a seed, load and sun are never still.")
    ] = None,
    language: InLanguage = Language.ENGLISH,
) -> None:
    """Be a site's meter, inverter and battery; faults are typed: 'help' says which."""
    from oracle.stage import Stage

    stage = Stage.of(
        pv_kw=pv_kw,
        load_kw=load_kw,
        battery_kwh=battery_kwh,
        battery_kw=battery_kw,
        series=series,
        speed=speed,
        ramp_kw=ramp_kw,
        control=control,
        seed=seed,
        language=language,
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(stage.play(host, port, serial))


def _units(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise SettingError(f"--units must be as 1-10 or 1,3,100, got {text!r}")
        found += range(int(first), int(last or first) + 1)
    if not all(1 <= unit <= 247 for unit in found):
        raise SettingError(f"--units must be within 1 to 247, got {text!r}")
    return found


def _slot(text: str) -> int:
    try:
        return slot_from(text)
    except ValueError as error:
        raise SettingError(str(error)) from error


def _outbox(settings: Path) -> Any:
    """Return the outbox of a settings file, to be opened with `with`."""
    from contextlib import closing

    from oracle.settings import load_settings

    path = load_settings(settings).outbox
    if not path.exists():
        raise SettingError(f"{path} must be there (yui oracle run makes it), got no such file")
    return closing(Outbox(path))


if __name__ == "__main__":
    main()
