"""The report as a document: HTML in one file, PDF, Markdown with charts beside it, JSON, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from energy.units import SLOTS_PER_DAY, day_of
from orchestrator.statements.page import write_pdf
from orchestrator.verification.answers import answers_of
from orchestrator.verification.charts import DARK, LIGHT, PALETTE, style_of
from orchestrator.verification.provenance import said_first, source_lines
from orchestrator.verification.published import given_of
from orchestrator.verification.published_check import DAYS_FILE, FIGURES_FILE, READINGS_FILE
from orchestrator.verification.report import Figures
from orchestrator.verification.section import Section, Table, Voice
from orchestrator.verification.sections_battery import battery_section
from orchestrator.verification.sections_calls import call_section
from orchestrator.verification.sections_chain import chain_section
from orchestrator.verification.sections_energy import energy_section
from orchestrator.verification.sections_flow import flow_section
from orchestrator.verification.sections_market import forecast_section, price_section
from orchestrator.verification.sections_money import money_section
from orchestrator.verification.sections_plant import carbon_section, reading_section
from orchestrator.verification.sections_turns import turns_section
from orchestrator.verification.summary import summary_section
from orchestrator.words import Language, say_day

SECTIONS = (
    summary_section,
    energy_section,
    flow_section,
    money_section,
    price_section,
    forecast_section,
    battery_section,
    turns_section,
    reading_section,
    call_section,
    carbon_section,
    chain_section,
)
_LONG = 24
"""Tables with more rows than this are left to JSON and CSV in Markdown, and are small in print."""
_WIDE = 9
"""Tables with so many columns or more are set to the width of the paper, or they would be cut."""


def sections_of(figures: Figures, say: Voice) -> list[Section]:
    """Return the report's sections in a language."""
    return [section(figures, say) for section in SECTIONS]


def period_line(figures: Figures, say: Voice) -> str:
    """Return the period as people write it."""
    slots = figures.facts.slots
    return say(
        "period",
        first=say_day(say.language, day_of(slots[0])),
        last=say_day(say.language, day_of(slots[-1])),
        days=len(slots) // SLOTS_PER_DAY,
    )


def source_of(figures: Figures, say: Voice) -> list[str]:
    """Return what the report was made from, and where that comes from."""
    settled = f"{figures.facts.counts['settled']:,}"
    made = say("made_from", slots=settled, sites=figures.facts.sites)
    return [*source_lines(figures.provenance, say), made]


def made_by(figures: Figures, say: Voice) -> tuple[str, ...]:
    """Return the commands that make a replay's report again."""
    return figures.provenance.replayed_by(figures.facts.slots, str(say.language))


def html_of(figures: Figures, language: Language, names: Sequence[str], paper: bool = False) -> str:
    """Return the report as one self-contained page without scripts; `paper` for the PDF."""
    # On paper each chart carries its own style: WeasyPrint gives it none of the page's.
    say = Voice(language, names, style_of(LIGHT) if paper else "")
    environment = Environment(
        loader=PackageLoader("orchestrator.verification"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html").render(
        language=str(language),
        say=say,
        period=period_line(figures, say),
        source=source_of(figures, say),
        first=said_first(figures.provenance),
        answers=answers_of(figures, say),
        remade=made_by(figures, say),
        sections=sections_of(figures, say),
        light=style_of(LIGHT),
        dark=style_of(DARK),
        long=_LONG,
        wide=_WIDE,
        paper=paper,
    )


def write_report_pdf(
    figures: Figures, language: Language, names: Sequence[str], path: Path
) -> None:
    """Write the report to print.

    Raises:
        SettingError: if no font for Japanese is installed, or WeasyPrint finds no Pango.
    """
    write_pdf(html_of(figures, language, names, paper=True), path, language)


def json_of(figures: Figures, names: Sequence[str]) -> dict[str, object]:
    """Return what the report states, in English, numbers not rounded."""
    say = Voice(Language.ENGLISH, names)
    sections, slots = sections_of(figures, say), figures.facts.slots
    return {
        "first_day": day_of(slots[0]).isoformat(),
        "last_day": day_of(slots[-1]).isoformat(),
        "slots": [slots[0], slots[-1]],
        "chain": figures.provenance.pinned(),
        "given": given_of(figures.facts, figures.carbon.factor),
        "source": source_of(figures, say),
        "answers": {
            one.key: {"question": one.question, "verdict": one.verdict, "because": one.because}
            for one in answers_of(figures, say)
        },
        "made_by": list(made_by(figures, say)),
        "findings": {one.key: list(one.findings) for one in sections},
        "tables": {table.key: table.to_json() for section in sections for table in section.tables},
        "method": {one.key: list(one.method) for one in sections},
        "again": {one.key: one.again for one in sections if one.again},
        "by_command": {one.key: one.by_command for one in sections if one.by_command},
    }


def write_csv(figures: Figures, language: Language, names: Sequence[str], folder: Path) -> None:
    """Write each table to a file of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections_of(figures, Voice(language, names)):
        for table in section.tables:
            (folder / f"{table.key}.csv").write_text(table.to_csv(), encoding="utf-8")


def write_markdown(
    figures: Figures, language: Language, names: Sequence[str], folder: Path
) -> Path:
    """Write the report as text, with its charts as files beside it; return the text's path."""
    folder.mkdir(parents=True, exist_ok=True)
    say = Voice(language, names, PALETTE)
    source, first = source_of(figures, say), said_first(figures.provenance)
    page = [f"# {say('title')}", period_line(figures, say), _quoted(source[:first])]
    page.append(f"## {say('answers')}")
    page += [
        f"**{one.question}** **{one.verdict}** {one.because}" for one in answers_of(figures, say)
    ]
    page.append(f"## {say('rests_on')}")
    page.append(_quoted(source[first:]))
    if remade := made_by(figures, say):
        page.append(f"{say('made_again')}\n\n```\n" + "\n".join(remade) + "\n```")
    beside = {"readings": READINGS_FILE, "days": DAYS_FILE, "figures": FIGURES_FILE}
    page.append(say("data_beside", **beside))
    for section in sections_of(figures, say):
        page.append(f"## {section.title}")
        if section.findings:
            page.append("\n".join(f"- {finding}" for finding in section.findings))
        for chart in section.charts:
            name = f"{chart.key.replace('_', '-')}-{language}.svg"
            (folder / name).write_text(chart.svg + "\n", encoding="utf-8")
            page.append(f"![{chart.title}]({name})")
            page.append(f"*{say('caption', title=chart.title, period=period_line(figures, say))}*")
        page += [_markdown(table, say) for table in section.tables]
        if section.method:
            page.append(f"**{say('method')}.** " + " ".join(section.method))
        if section.again or section.by_command:
            page.append(_recipe(section, say))
    path = folder / f"report-{language}.md"
    path.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    return path


def _quoted(lines: Sequence[str]) -> str:
    return "\n".join(f"> {line}  " for line in lines).rstrip()


def _recipe(section: Section, say: Voice) -> str:
    parts = []
    if section.is_sql:
        parts.append(f"{say('again_note')}\n\n```sql\n{section.again}\n```")
    elif section.again:
        parts.append(f"`{section.again}`")
    if section.by_command:
        parts.append(section.by_command)
    return f"**{say('again')}.** " + "\n\n".join(parts)


def _markdown(table: Table, say: Voice) -> str:
    if len(table.rows) > _LONG:
        return say("table_elsewhere", title=table.title, rows=len(table.rows), table=table.key)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = ["---", *["---:"] * (len(table.columns) - 1)]
    rows = [line([column.heading for column in table.columns]), line(rule)]
    shown = table.shown()
    bold = len(shown) - table.totals
    for number, cells in enumerate(shown):
        rows.append(line([f"**{cell}**" if number >= bold else cell for cell in cells]))
    note = f"\n\n{table.note}" if table.note else ""
    return f"*{table.title}*\n\n" + "\n".join(rows) + note
