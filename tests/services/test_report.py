"""The report from each kind of database: what it states, and the queries that it shows."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from chain.store import opened, stored
from chain.tables import META
from orchestrator.replay.period import replayed
from orchestrator.replay.plan import Plan
from orchestrator.setting.sites import load_setting
from orchestrator.steering.steering import RULE
from orchestrator.verification.document import json_of
from orchestrator.verification.facts import settled_slots
from orchestrator.verification.queries import query
from orchestrator.verification.report import figures_of
from tests.databases import fresh_database

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["Ogawara", "Sendai", "Osaki", "Kurihara", "Tome", "Ishinomaki", "Kesennuma"]
QUERIES = tomllib.loads((ROOT / "orchestrator/verification/data/queries.toml").read_text())["sql"]


@pytest.fixture(scope="module")
def both(tmp_path_factory, postgresql_folder) -> list[str]:
    """A day in SQLite, and the same rows in PostgreSQL."""
    folder = tmp_path_factory.mktemp("day")
    setting = load_setting()
    plan = Plan(date(2019, 6, 4), 1, RULE, setting.market.mode, "test", "bundled")
    replayed(setting, plan, folder, lambda step, done, total: None)
    urls = [str(folder / "store.sqlite"), fresh_database(postgresql_folder)]
    here, there = map(opened, urls)
    with here.connect() as source, there.begin() as target:
        for each in META.sorted_tables:
            rows = [dict(row._mapping) for row in source.execute(select(each))]
            if rows:
                target.execute(insert(each), rows)
    here.dispose()
    there.dispose()
    return urls


def test_the_report_is_the_same_from_sqlite_and_postgresql(both):
    reports, answers = [], []
    for url in both:
        engine = opened(url)
        with stored(engine) as store:
            slots = settled_slots(store.connection)
            reports.append(json_of(figures_of(store.connection, slots), NAMES))
            answers.append(
                [
                    [[_whole(cell) for cell in row] for row in store.connection.execute(text(sql))]
                    for sql in (query(key, slots) for key in QUERIES)
                ]
            )
        engine.dispose()
    assert reports[0] == reports[1]
    assert answers[0] == answers[1]
    assert sum(map(len, answers[0])) > 7 * 4


def _whole(cell: Any) -> int | str | None:
    """Return a number without what SQLite's whole division leaves out."""
    return cell if cell is None or isinstance(cell, str) else int(cell)
