"""Write `docs/contracts.md` from the comments of the contracts' interfaces, as compiled, and from
the types that are signed.

`make abi` runs it. `--check` writes nothing and fails where the page is not current. Both fail
where a function, event or error has no notice, or a parameter no word on what it is: in its
`@param`, or in the table of words at the head of its interface or of one that it builds on.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from energy.messages import MESSAGE_DOMAIN, MESSAGE_TYPES, type_string

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "contracts.md"
INTERFACES = ("IMarket", "IRegistry", "IOrigin")
"""As they are read: a word that one explains, the next may use."""

_PAGE = """\
# The contracts: every function, event and error

<!-- written by make abi -->

`Market` holds everything from order to balance and answers to `IMarket` and `IRegistry`; `Origin`
stands beside it for roots and claims and answers to `IOrigin`. Their comments are the text below.
How they keep their word stands in [ledger.md](ledger.md), what the rules are in
[market.md](market.md) and [origin.md](origin.md). Records are drawn bit by bit in
`contracts/types/`.

{interfaces}
## What is signed

Typed data after EIP-712, in signatures of 64 bytes after EIP-2098. `energy/eip712.json` has the
types for programs to read, `tests/unit/eip712_examples.json` messages with their hashes and
signatures. The domain is name `{name}`, version `{version}`, the chain's id and the contract's
address: `Market` for orders and readings, `Origin` for attestations and claims.

{messages}"""


@dataclass(frozen=True)
class Comment:
    """What a NatSpec comment says by tag; of parameters and returned values, by name."""

    notice: str
    details: str
    values: dict[str, str]


def main(arguments: list[str]) -> None:
    """Write the page, or check it."""
    text = page()
    if arguments != ["--check"]:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)} written")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit("docs/contracts.md must be current: run make abi")


def page() -> str:
    """Return the whole page."""
    words: set[str] = set()
    parts = []
    for name in INTERFACES:
        interface = _compiled(name)
        head = _text_of(interface)
        words |= set(re.findall(r"^\| *(\w+) *\|", head, re.MULTILINE))
        parts.append(_interface_part(interface, head, words))
    messages = "\n".join(_message_part(name) for name in MESSAGE_TYPES)
    return _PAGE.format(interfaces="\n".join(parts), messages=messages, **MESSAGE_DOMAIN)


def _compiled(name: str) -> dict[str, Any]:
    build = json.loads((ROOT / "build" / "contracts" / f"{name}.json").read_text())
    for node in build["ast"]["nodes"]:
        if node["nodeType"] == "ContractDefinition" and node["name"] == name:
            return dict(node)
    sys.exit(f"build/ must hold the interface {name}: run make abi")


def _text_of(node: dict[str, Any]) -> str:
    text = (node.get("documentation") or {}).get("text", "")
    return "\n".join(line.strip() for line in text.splitlines())


def _comment_of(node: dict[str, Any]) -> Comment:
    tags = re.split(r"^@(\w+) ", _text_of(node), flags=re.MULTILINE)
    said = {"notice": "", "dev": ""}
    values = {}
    for tag, text in zip(tags[1::2], tags[2::2], strict=True):
        flowing = text.strip().replace("\n", " ")
        if tag in said:
            said[tag] = flowing
        else:
            value, _, meaning = flowing.partition(" ")
            values[value] = meaning
    return Comment(said["notice"], said["dev"], values)


def _interface_part(interface: dict[str, Any], head: str, words: set[str]) -> str:
    title, _, notice = head.removeprefix("@title ").partition("\n@notice ")
    # The compiler drops the empty line before a table.
    notice = notice.replace("\n|", "\n\n|", 1)
    kinds: dict[str, list[str]] = {"FunctionDefinition": [], "EventDefinition": []}
    errors = []
    for node in interface["nodes"]:
        comment = _comment_of(node)
        _require_complete(f"{interface['name']}.{node['name']}", node, comment, words)
        if node["nodeType"] == "ErrorDefinition":
            errors.append(_error_row(node, comment))
        else:
            kinds[node["nodeType"]].append(_described(node, comment))
    return "\n".join(
        [
            f"## {interface['name']}: {title[0].lower()}{title[1:]}\n\n{notice}\n",
            "### Functions\n",
            *kinds["FunctionDefinition"],
            "### Events\n",
            *kinds["EventDefinition"],
            "### Errors\n",
            "| Error | Selector | When it is thrown |\n| --- | --- | --- |",
            *errors,
            "",
        ]
    )


def _require_complete(place: str, node: dict[str, Any], comment: Comment, words: set[str]) -> None:
    if not comment.notice:
        sys.exit(f"{place} must have a notice, got none")
    for parameter in node["parameters"]["parameters"]:
        if parameter["name"] not in words | set(comment.values):
            sys.exit(f"{place} must say what `{parameter['name']}` is (@param), got nothing")


def _described(node: dict[str, Any], comment: Comment) -> str:
    is_event = node["nodeType"] == "EventDefinition"
    lines = [f"#### `{node['name']}({_parameters(node['parameters'])})`", "", comment.notice]
    lines += ["", comment.details] if comment.details else []
    meant = [f"- `{name}`: {meaning}" for name, meaning in comment.values.items()]
    lines += ["", *meant] if meant else []
    if is_event:
        lines += ["", f"Topic `0x{node['eventSelector']}`."]
    else:
        returned = _parameters(node["returnParameters"])
        kind = "Only reads" if node["stateMutability"] == "view" else "A transaction"
        answer = f", returns `{returned}`" if returned else ""
        lines += ["", f"{kind}{answer}; selector `0x{node['functionSelector']}`."]
    return "\n".join([*lines, ""])


def _error_row(node: dict[str, Any], comment: Comment) -> str:
    meant = "".join(f" `{name}`: {meaning}" for name, meaning in comment.values.items())
    when = comment.notice.removeprefix("Thrown ")
    when = when[0].upper() + when[1:]
    signature = f"{node['name']}({_parameters(node['parameters'])})"
    return f"| `{signature}` | `0x{node['errorSelector']}` | {when}{meant} |"


def _parameters(listed: dict[str, Any]) -> str:
    return ", ".join(" ".join(_parameter_words(one)) for one in listed["parameters"])


def _parameter_words(parameter: dict[str, Any]) -> Iterator[str]:
    yield re.sub(r"^(struct|contract|enum) ", "", parameter["typeDescriptions"]["typeString"])
    if parameter.get("indexed"):
        yield "indexed"
    if parameter["name"]:
        yield parameter["name"]


def _message_part(name: str) -> str:
    rows = "\n".join(f"| `{one['name']}` | `{one['type']}` |" for one in MESSAGE_TYPES[name])
    type_hash = keccak(text=type_string(name)).hex()
    return f"### {name}\n\nType hash `0x{type_hash}`.\n\n| Field | Type |\n| --- | --- |\n{rows}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
