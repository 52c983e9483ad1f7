"""The pages with a year behind them, in Chromium: first and largest paint, weight, server's work.

The store is filled as `bench.desk` fills it. Each repetition asks for another day in a new
browser context, so that neither the browser nor the server has anything of the page ready. The
middle of the repetitions counts; a weight is all that a page loads, not compressed.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Response, sync_playwright
from sqlalchemy import Engine
from starlette.testclient import TestClient

from bench.desk import fill
from bench.figures import Figure
from bench.origin import THE_DAY
from bench.serving import serving
from chain.database import opened, opened_to_read
from chain.writer import written
from energy.units import slots_of
from orchestrator.setting.sites import load_setting
from orchestrator.web.app import application
from orchestrator.web.desk import Desk

SITES, DAYS = 7, 365
MOST_MS = 1_000.0
MOST_KB = 200.0
REPETITIONS = 7
WITH_BATTERY = 0
PAINTS = """() => new Promise(tell => {
  new PerformanceObserver(list => {
    const largest = list.getEntries().at(-1).startTime;
    const [load] = performance.getEntriesByType("navigation");
    const [first] = performance.getEntriesByName("first-contentful-paint");
    tell([first.startTime, largest, load.responseStart]);
  }).observe({type: "largest-contentful-paint", buffered: true});
})"""


def figures() -> list[Figure]:
    """Measure each page."""
    with tempfile.TemporaryDirectory(prefix="yui-bench-") as folder, ExitStack() as stack:
        path = str(Path(folder) / "store.sqlite")
        _filled(opened(path))
        engine = opened_to_read(path)
        stack.callback(engine.dispose)
        address = stack.enter_context(serving(Desk(engine, load_setting())))
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        stack.callback(browser.close)
        # What is loaded once in a process's life is no page's.
        for where in _addresses(THE_DAY + timedelta(days=40)).values():
            _painted(browser, address + where)
        found = [figure for page in _addresses(THE_DAY) for figure in _page(browser, address, page)]
        return [*found, *_work(engine)]


def _filled(engine: Engine) -> None:
    fill(engine, SITES, DAYS)
    names = [[site.name, site.name_ja] for site in load_setting().sites]
    # The first site is the one with a battery, and so has the name of the one that has it.
    named = {str(site): pair for site, pair in enumerate([names[-1], *names[:-1]])}
    with written(engine) as store:
        store.set("names", json.dumps(named))
    engine.dispose()


def _addresses(day: date) -> dict[str, str]:
    noon = slots_of(day)[24]
    return {
        "now": f"/now?at={noon}",
        "half hour": f"/slot/{noon}",
        "office, a day": f"/site/{WITH_BATTERY}?day={day}",
        "office, a month": f"/site/{WITH_BATTERY}?month={day:%Y-%m}",
        "battery": f"/battery/{WITH_BATTERY}?day={day}",
        "audit": f"/audit?day={day}",
    }


def _days() -> Iterator[date]:
    """Yield late days of the year, each in another month."""
    last = THE_DAY + timedelta(days=DAYS - 2)
    for repetition in range(REPETITIONS):
        yield last - timedelta(days=31 * repetition)


def _page(browser: Browser, address: str, page: str) -> list[Figure]:
    painted = [_painted(browser, address + _addresses(day)[page]) for day in _days()]
    first, largest, answered, weight = (median(column) for column in zip(*painted, strict=True))
    return [
        Figure(f"{page}: first contentful paint", first, "ms", MOST_MS),
        Figure(f"{page}: largest contentful paint", largest, "ms"),
        Figure(f"{page}: of it waiting for the server", answered, "ms"),
        Figure(f"{page}: weight", weight / 1_000, "kB", MOST_KB),
    ]


def _painted(browser: Browser, address: str) -> tuple[float, float, float, float]:
    """Return first and largest paint and the answer's beginning, ms, and the weight, bytes."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(address)
    paints: Any = page.evaluate(PAINTS)
    weight = sum([len(answer.body()) for answer in answers])
    context.close()
    return paints[0], paints[1], paints[2], weight


def _work(engine: Engine) -> list[Figure]:
    client = TestClient(application(Desk(engine, load_setting())))
    client.get("/now")
    found = []
    for page in _addresses(THE_DAY):
        spent = []
        for day in _days():
            begin = time.process_time()
            client.get(_addresses(day)[page])
            spent.append(time.process_time() - begin)
        found.append(Figure(f"{page}: server's processor time", median(spent) * 1_000, "ms"))
    return found
