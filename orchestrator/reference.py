"""The reference pages in `docs/`, written from the program itself.

    python -m orchestrator.reference

renews `docs/errors.md`, and in `docs/commands.md` what stands between the marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from energy import errors
from energy.japanese import in_japanese
from orchestrator.cli import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN = "<!-- written by python -m orchestrator.reference -->"
END = "<!-- end of what is written -->"

_ERRORS = """\
# Errors

{begin}

`yui` tells an error in one line and ends with exit code 1; programs catch `YuiError` of
`energy/errors.py`, or a kind of it:

| Error | What it means | In Japanese |
| --- | --- | --- |
{kinds}

The line is in English; with `--language ja`, or a Japanese locale where no language is given, in
Japanese, after the kind. Each folder's `errors.ja.toml` has its sentences in both languages;
another program's words (a database's, a device's) stay as they are.

## Refusals

What the contract reverts with, its twin in Python raises: the same name, the same values.
`index` is the place in the batch, from 0, of the record at fault.

| Refusal | Rule that was not met | In Japanese |
| --- | --- | --- |
{refusals}

{end}
"""


def main() -> None:
    """Renew the reference pages."""
    (DOCS / "errors.md").write_text(errors_page(), encoding="utf-8")
    page = DOCS / "commands.md"
    page.write_text(with_commands(page.read_text(encoding="utf-8")), encoding="utf-8")


def errors_page() -> str:
    """Return the page of all errors."""
    kinds = [errors.YuiError]
    for kind in errors.YuiError.__subclasses__():
        # What the contract refuses has a table of its own.
        kinds += [kind, *(kind.__subclasses__() if kind is not errors.Refusal else [])]
    # Kinds that other modules derive belong to those.
    kinds = [kind for kind in kinds if kind.__module__ == errors.__name__]
    return _ERRORS.format(
        begin=BEGIN,
        end=END,
        kinds="\n".join(
            f"| `{kind.__name__}` | {_first_line(kind.__doc__)} | {kind.kind_ja} |"
            for kind in kinds
        ),
        refusals="\n".join(_refusal_row(refusal) for refusal in errors.refusals()),
    )


def _refusal_row(refusal: type[errors.Refusal]) -> str:
    values = ", ".join(field.name for field in fields(refusal))
    return f"| `{refusal.__name__}({values})` | {refusal.rule} | {in_japanese(refusal.rule)} |"


def with_commands(page: str) -> str:
    """Return a page with what stands between its marks renewed."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{commands_section()}\n{END}{after}"


def commands_section() -> str:
    """Return each command with its arguments and options."""
    return "\n".join(_command_part(name, command) for name, command in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by its full name, `trades` or with its group `group name`."""
    yield from _commands_of("", typer.main.get_command(app))


def _commands_of(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    if name and command.invoke_without_command:
        yield name, command
    for word, found in inner.items():
        yield from _commands_of(f"{name} {word}".strip(), found)


def _command_part(name: str, command: Any) -> str:
    parameters = [each for each in command.params if not getattr(each, "hidden", False)]
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    words = " ".join(
        each.name.upper() if each.required else f"[{each.name.upper()}]" for each in arguments
    )
    lines = [f"### `{f'yui {name} {words}'.strip()}`", "", _first_line(command.help), ""]
    if parameters:
        lines += ["| Argument or option | What it is | If left out |", "| --- | --- | --- |"]
        lines += [_parameter_row(each) for each in parameters]
        lines.append("")
    return "\n".join(lines)


def _parameter_row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        spelled = parameter.name.upper()
    else:
        spelled = "`, `".join([*parameter.opts, *parameter.secondary_opts])
    return f"| `{spelled}` | {parameter.help or ''} | {_if_left_out(parameter)} |"


def _if_left_out(parameter: Any) -> str:
    if parameter.required:
        return "an error"
    default = getattr(parameter.default, "value", parameter.default)
    return "" if default in (None, False) else f"`{default}`"


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    main()
