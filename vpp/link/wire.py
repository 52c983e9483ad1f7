"""How instructions, answers and reports go over the wire: JSON in UTF-8, checked field by field.

    yui/FLEET/site-7/instruction   room -> site   an envelope: the signed instruction
    yui/FLEET/site-7/answer        site -> room   an answer, which names the envelope (`of`)
    yui/FLEET/site-7/report        site -> room   how the site stands; the broker keeps the last
    yui/FLEET/site-7/link          site -> room   whether it is connected; the broker says the end

An envelope holds nothing that is not signed. Reports and answers may hold more than is known
here: a site may be newer than its control room. What they hold that is known, each store and page
can take: a text is one that UTF-8 and PostgreSQL know, a time one that a calendar does.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields
from typing import Any, TypeGuard

from energy.errors import LinkError, SettingError
from energy.messages import SIGNATURE_BYTES
from energy.units import TIME_LIMIT
from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.link.signing import FIELDS, Order, message

MOST_BYTES = 65_536
MOST_TEXT = 500
MOST_NUMBERS = 1_000
ROOM = "room"
_TOPIC = re.compile(r"yui/[^/]+/site-([0-9]{1,10})/(instruction|answer|report|link)")
_UNHEARD_OF = re.compile("[\0\ud800-\udfff]")
"""What JSON can spell and nobody can keep: no character, and halves of one."""


def user_of(site: int) -> str:
    """Return what a site's certificate names it, and its topics."""
    return f"site-{site}"


def topic(fleet: str, site: int | str, kind: str) -> str:
    """Return a topic; of all sites for `+`."""
    return f"yui/{fleet}/{site if site == '+' else user_of(int(site))}/{kind}"


def topic_parts(text: str) -> tuple[int, str]:
    """Return the site and kind of a topic.

    Raises:
        LinkError: if it is none of ours.
    """
    found = _TOPIC.fullmatch(text)
    if found is None:
        raise LinkError(f"a topic must be of a site, got {text[:100]!r}")
    return int(found[1]), found[2]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed instruction, and the bytes that carry it."""

    order: Order
    signature: bytes
    payload: str

    @property
    def of(self) -> str:
        """What an answer names it by."""
        return name_of(self.payload.encode())


def name_of(payload: bytes) -> str:
    """Return what an answer names an envelope by: the first half of its SHA-256, in hex."""
    return hashlib.sha256(payload).hexdigest()[:32]


def enveloped(order: Order, signature: bytes) -> Envelope:
    """Return an order ready to go out."""
    values = {**message(order), "trail": order.trail.hex(), "signature": signature.hex()}
    return Envelope(order, signature, _written(values))


def envelope_from(payload: bytes | str) -> Envelope:
    """Read an envelope.

    Raises:
        LinkError: if it is none, or says something impossible.
    """
    values = _object(payload)
    if unknown := sorted(set(values) - {*FIELDS, "signature"}):
        raise LinkError(f"an instruction must hold what is signed alone, got {unknown[0][:50]!r}")
    try:
        instruction = Instruction(
            site=_number(values, "site", 0, 2**32 - 1),
            sequence=_number(values, "sequence", 1, 2**63 - 1),
            action=Action(_text(values, "action")),
            starts_at=_number(values, "starts_at", 0, 2**63 - 1),
            ends_at=_number(values, "ends_at", 0, 2**63 - 1),
            expires_at=_number(values, "expires_at", 0, 2**63 - 1),
            power_w=_number(values, "power_w", -(2**62), 2**62),
            plan_wh=_numbers(values, "plan_wh"),
            call=_text(values, "call"),
        )
    except (ValueError, SettingError) as error:
        raise LinkError(f"an instruction must be possible: {error}") from None
    order = Order(instruction, _text(values, "by"), _text(values, "why"), _hex(values, "trail", 32))
    text = payload if isinstance(payload, str) else payload.decode()
    return Envelope(order, _hex(values, "signature", SIGNATURE_BYTES), text)


def answer_text(answer: Answer, of: str) -> str:
    """Return an answer to an envelope as it is sent."""
    values: dict[str, Any] = {
        "site": answer.site,
        "sequence": answer.sequence,
        "at": answer.at,
        "refused": answer.refused,
        "of": of,
    }
    if answer.changed_at is not None:
        values["changed_at"] = round(answer.changed_at, 3)
    return _written(values)


def answer_from(payload: bytes | str) -> tuple[Answer, str]:
    """Read an answer and the envelope's name.

    Raises:
        LinkError: if it is none.
    """
    values = _object(payload)
    changed_at = values.get("changed_at")
    if changed_at is not None and (
        isinstance(changed_at, bool)
        or not isinstance(changed_at, int | float)
        or not 0 <= changed_at <= TIME_LIMIT
    ):
        raise LinkError(f"changed_at must be a time, got {changed_at!r:.50}")
    answer = Answer(
        _number(values, "site", 0, 2**32 - 1),
        _number(values, "sequence", 1, 2**63 - 1),
        _number(values, "at", 0, TIME_LIMIT),
        _text(values, "refused"),
        None if changed_at is None else float(changed_at),
    )
    return answer, _text(values, "of")


_TEXTS = ("name", "municipality", "kind", "call")
_NUMBERS = ("site", "sequence", "charge_w", "discharge_w")
_PERHAPS = ("stored_wh", "capacity_wh", "battery_w", "generated_w", "imported_w", "target_w")


def report_text(report: Report) -> str:
    """Return a report as it is sent: what is not known is left out."""
    values: dict[str, Any] = {}
    for field in fields(Report):
        value = getattr(report, field.name)
        if value is not None:
            values[field.name] = value.value if isinstance(value, Following) else value
    return _written(values)


def report_from(payload: bytes | str) -> Report:
    """Read a report.

    Raises:
        LinkError: if it is none.
    """
    values = _object(payload)
    alarms = values.get("alarms", [])
    if not isinstance(alarms, list) or not all(map(_is_text, alarms)):
        raise LinkError(f"alarms must be texts, got {alarms!r:.50}")
    try:
        following = Following(_text(values, "following"))
    except ValueError as error:
        raise LinkError(f"following must be known: {error}") from None
    found: dict[str, Any] = {name: _text(values, name) for name in _TEXTS}
    found |= {name: _number(values, name, 0, 2**63 - 1) for name in _NUMBERS}
    found["at"] = _number(values, "at", 0, TIME_LIMIT)
    found |= {
        name: _number(values, name, -(2**62), 2**62) if values.get(name) is not None else None
        for name in _PERHAPS
    }
    alarms = tuple(each[:MOST_TEXT] for each in alarms[:100])
    return Report(following=following, alarms=alarms, **found)


def link_text(up: bool, at: int = 0) -> str:
    """Return what says that a site is connected, or is not any more."""
    return _written({"up": up, "at": at})


def link_from(payload: bytes | str) -> bool:
    """Return whether a site says that it is connected.

    Raises:
        LinkError: if it says nothing of the kind.
    """
    up = _object(payload).get("up")
    if not isinstance(up, bool):
        raise LinkError(f"up must be true or false, got {up!r:.50}")
    return up


def _written(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _object(payload: bytes | str) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        raise LinkError(f"a message must have at most {MOST_BYTES} bytes, got {len(payload)}")
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise LinkError(f"a message must be JSON, got {error}") from None
    if not isinstance(found, dict):
        raise LinkError(f"a message must be a JSON object, got {type(found).__name__}")
    return found


def _number(values: dict[str, Any], name: str, least: int, most: int) -> int:
    found = values.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise LinkError(f"{name} must be a whole number from {least} to {most}, got {found!r:.50}")
    return found


def _numbers(values: dict[str, Any], name: str) -> tuple[int, ...]:
    found = values.get(name)
    if not isinstance(found, list) or len(found) > MOST_NUMBERS:
        raise LinkError(f"{name} must be at most {MOST_NUMBERS} numbers, got {found!r:.50}")
    return tuple(_number({name: each}, name, -(2**31), 2**31 - 1) for each in found)


def _text(values: dict[str, Any], name: str) -> str:
    found = values.get(name)
    if not _is_text(found) or len(found) > MOST_TEXT:
        raise LinkError(f"{name} must be a text of at most {MOST_TEXT}, got {found!r:.50}")
    return found


def _is_text(found: object) -> TypeGuard[str]:
    return isinstance(found, str) and not _UNHEARD_OF.search(found)


def _hex(values: dict[str, Any], name: str, length: int) -> bytes:
    try:
        found = bytes.fromhex(_text(values, name))
    except ValueError:
        found = b""
    if len(found) != length:
        raise LinkError(f"{name} must be {length} bytes in hex, got {values.get(name)!r:.50}")
    return found
