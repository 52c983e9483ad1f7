"""A control room's store with many sites, as the room itself keeps it, for the pages."""

from __future__ import annotations

import random

from sqlalchemy import Engine

from vpp.commands import Action, Answer, Following, Instruction, Report
from vpp.room.keeper import keeping
from vpp.room.store import Outcome, Registered, Sent, opened

TOWNS = ("Sendai City", "Osaki City", "Kurihara City", "Tome City", "Ishinomaki City")
KINDS = ("pv+battery", "battery", "pv")
ALARM = "battery: 51 °C"


def room_of(path: str, sites: int, now: int) -> Engine:
    """Fill a room's store: some sites are lost, some were never heard of, some have an alarm."""
    engine, chance = opened(path), random.Random(3)
    names = [f"{TOWNS[n % 5].split()[0]} School {n // 5 + 1}" for n in range(sites)]
    registered = [
        Registered(n, names[n], TOWNS[n % 5], KINDS[n % 9 // 4], f"第{n + 1}小学校")
        for n in range(sites)
    ]
    with keeping(engine) as keep:
        keep.register(registered)
        for site in registered:
            if site.site % 17 == 5:
                continue
            old = 400 if site.site % 23 == 7 else chance.randrange(5)
            keep.reported([(_report(site, now - old, chance), now - old, True)])
        keep.sent(
            [
                _sent(1, 3, Action.CHARGE, now - 300, 5_000, "cheap noon"),
                _sent(2, 8, Action.STOP, now - 200, 0, "smoke in the hall"),
                _sent(3, 9, Action.DISCHARGE, now - 100, 8_000, "evening peak"),
            ]
        )
        keep.answered(
            [
                (Answer(3, 1, now - 299), "of1"),
                (Answer(9, 3, now - 99, "limit: state of charge 10 %"), "of3"),
            ],
            now - 99,
        )
    return engine


def _report(site: Registered, at: int, chance: random.Random) -> Report:
    capacity = chance.choice([20_000, 44_000, 98_000])
    return Report(
        site.site,
        site.name,
        site.municipality,
        site.kind,
        at,
        chance.choice([Following.PLAN, Following.PLAN, Following.COMMAND, Following.SELF]),
        7,
        stored_wh=int(capacity * chance.random()),
        capacity_wh=capacity,
        battery_w=chance.randrange(-15_000, 15_000),
        generated_w=chance.randrange(40_000),
        imported_w=chance.randrange(-20_000, 30_000),
        charge_w=15_000,
        discharge_w=15_000,
        alarms=(ALARM,) if site.site % 31 == 3 else (),
    )


def _sent(sequence: int, site: int, action: Action, at: int, power_w: int, why: str) -> Sent:
    told = Instruction(site, sequence, action, at, at + 1_800, at + 60, power_w)
    return Sent(told, "tanaka", why, at, Outcome.OPEN, None, sequence, "{}", f"of{sequence}")
