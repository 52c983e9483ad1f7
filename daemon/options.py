"""What the commands of daemons share: the language that they speak, and JSON."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from energy.language import Language

InLanguage = Annotated[Language, typer.Option("--language", help="en or ja.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2))
