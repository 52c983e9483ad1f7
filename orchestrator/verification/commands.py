"""`yui report`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Drawn

from energy.errors import SettingError
from orchestrator.options import (
    DEFAULT_STORE,
    InLanguage,
    Json,
    StorePath,
    folder_of,
    print_json,
    store_at,
)
from orchestrator.progress import progress_bar, working
from orchestrator.words import Language, short

if TYPE_CHECKING:
    from orchestrator.verification.report import Figures
    from orchestrator.verification.section import Voice


def report(
    period: Annotated[
        str | None,
        typer.Option(help="2019, 2019-05, 2019-05-15 or 2019-05-15..2019-06-11; all if not given."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a document to print.")] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            help="Write report-en.md or report-ja.md, its charts, and the readings and figures to "
            "check it by, to this folder."
        ),
    ] = None,
    comma: Annotated[
        Path | None, typer.Option("--csv", help="Write each table as CSV to this folder.")
    ] = None,
    co2_factor: Annotated[
        float | None, typer.Option(help="kg CO2 for a kWh of the utility; the bundled one if not.")
    ] = None,
    calls: Annotated[
        Path | None,
        typer.Option(help="Balancing calls that were asked, as JSON; calls.json beside the store."),
    ] = None,
    rpc: Annotated[
        str | None, typer.Option(help="A node, for blocks and the validators' share of them.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            help="Report nothing; hold a published report's readings, in this folder, against the "
            "chain beside the store, or --rpc's."
        ),
    ] = None,
    store_path: StorePath = DEFAULT_STORE,
    language: InLanguage = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """Verify a period from chain data alone: energy, money against no trading, wear, audit."""
    if check is not None:
        _check(check, store_path, rpc, language, as_json)
        return
    # What draws and prints takes seconds to load.
    from orchestrator.verification.document import (
        html_of,
        json_of,
        write_csv,
        write_markdown,
        write_report_pdf,
    )
    from orchestrator.verification.published import write_data
    from orchestrator.verification.report import calls_file
    from orchestrator.verification.section import Voice

    figures, both = _figures(store_path, period, rpc, co2_factor, calls, language)
    names = both[language]
    written = []
    with working(language, "print"):
        if html:
            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_text(html_of(figures, language, names), encoding="utf-8")
            written.append(html)
        if pdf:
            write_report_pdf(figures, language, names, pdf)
            written.append(pdf)
        if markdown:
            written.append(write_markdown(figures, language, names, markdown))
            stated = json_of(figures, both[Language.ENGLISH])
            with store_at(store_path) as (store, _):
                asked = calls_file(folder_of(store_path), calls)
                written += write_data(store.connection, figures.facts, stated, markdown, asked)
        if comma:
            write_csv(figures, language, names, comma)
            written.append(comma)
    if as_json:
        print_json(json_of(figures, both[Language.ENGLISH]))
    elif written:
        for path in written:
            print(path)
    else:
        _print(figures, Voice(language, names))


def _check(
    published: Path, store_path: str, rpc: str | None, language: Language, as_json: bool
) -> None:
    from chain.node import NodeChain
    from chain.recorded import RecordedChain
    from orchestrator.replay.indexing import CHAIN
    from orchestrator.verification.published_check import checked
    from orchestrator.verification.section import Voice

    folder = folder_of(store_path)
    if rpc is None and not (folder and (folder / CHAIN).exists()):
        raise SettingError(
            f"--check must have a chain: --rpc, or a replay's {CHAIN} beside --store, got none"
        )
    with working(language, "check_published"):
        if rpc is not None:
            found = checked(published, NodeChain(rpc))
        else:
            assert folder is not None
            chain = RecordedChain(folder / CHAIN)
            try:
                found = checked(published, chain)
            finally:
                chain.close()
    if as_json:
        print_json(asdict(found))
        return
    counts = {name: f"{value:,}" for name, value in asdict(found).items()}
    Console().print(Voice(language, ())("published_fine", **counts), style="bold green")


def _figures(
    store_path: str,
    period: str | None,
    rpc: str | None,
    co2_factor: float | None,
    calls: Path | None,
    language: Language,
) -> tuple[Figures, dict[Language, list[str]]]:
    from orchestrator.verification.facts import settled_slots
    from orchestrator.verification.period import period_from
    from orchestrator.verification.report import figures_of

    folder = folder_of(store_path)
    with store_at(store_path) as (store, names), progress_bar(language) as progress:

        def shown(step: str, done: int, total: int) -> None:
            progress("report", done, total)

        slots = period_from(period, settled_slots(store.connection))
        figures = figures_of(store.connection, slots, folder, rpc, co2_factor, calls, shown)
    sites = range(figures.facts.sites)
    return figures, {each: [short(names[each][site]) for site in sites] for each in Language}


def _print(figures: Figures, say: Voice) -> None:
    from orchestrator.verification.answers import answers_of
    from orchestrator.verification.document import period_line, source_of
    from orchestrator.verification.provenance import said_first
    from orchestrator.verification.summary import summary_section

    section = summary_section(figures, say)
    console = Console()
    console.print(say("title"), style="bold")
    console.print(period_line(figures, say))
    source, first = source_of(figures, say), said_first(figures.provenance)
    for line in source[:first]:
        console.print(line, highlight=False)
    for one in answers_of(figures, say):
        console.print(f"\n{one.question}", style="bold")
        console.print(f"{one.verdict} {one.because}", highlight=False)
    console.print()
    for line in source[first:]:
        console.print(line, highlight=False)
    table = section.tables[0]
    drawn = Drawn(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        drawn.add_column(column.heading, justify="right" if number == 1 else "left")
    for cells in table.shown():
        drawn.add_row(*cells)
    console.print(drawn)
    for finding in section.findings:
        console.print(f"• {finding}", highlight=False)
