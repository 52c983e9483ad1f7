"""What scenarios came to, side by side: what is used and where it comes from, and the money.

A scenario that was played with several seeds has in each cell the mean, and behind it how far one
seed lies from it (the standard deviation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from energy.units import MICROYEN_PER_YEN, kwh
from orchestrator.replay.outcome import Outcome
from orchestrator.words import Language

Outcomes = Mapping[str, Sequence[Outcome]]
"""By scenario, those of its seeds; in the order in which they are shown."""
Value = Callable[[Outcome, Outcome], float | None]
"""A cell from its outcome and from the one that it is compared with."""


@dataclass(frozen=True)
class Column:
    """A column: its heading in both languages, what stands in it, and how it is written."""

    english: str
    japanese: str
    value: Value
    form: str = ",.0f"

    def heading(self, language: Language) -> str:
        """Return the heading."""
        return self.english if language is Language.ENGLISH else self.japanese

    def cell(self, found: Sequence[Outcome], base: Outcome) -> str:
        """Return the cell of a scenario."""
        values = [value for one in found if (value := self.value(one, base)) is not None]
        if not values:
            return "–"
        mean = format(fmean(values), self.form)
        return f"{mean} ± {stdev(values):{self.form}}" if len(values) > 1 else mean


def _batteries(value: Callable[[Outcome], float]) -> Value:
    return lambda one, _: value(one) if one.stored else None


def _less(spent: Callable[[Outcome], int]) -> Value:
    """Return how much less than in the other outcome is spent, JPY, where the same is used."""
    return lambda one, base: (
        (spent(base) - spent(one)) / MICROYEN_PER_YEN
        if one is not base and one.used_wh == base.used_wh
        else None
    )


ENERGY = (
    Column("used kWh", "消費 kWh", lambda one, _: kwh(one.used_wh)),
    Column("generated kWh", "発電 kWh", lambda one, _: kwh(one.generated_wh)),
    Column("self-sufficiency", "自給率", lambda one, _: one.self_sufficiency, ".1%"),
    Column("of own roof", "うち自所", lambda one, _: one.own_sufficiency, ".1%"),
    Column("self-consumption", "自家消費率", lambda one, _: one.self_consumption, ".1%"),
    Column("between sites kWh", "施設間 kWh", lambda one, _: kwh(one.delivered_wh + one.pooled_wh)),
    Column("through batteries kWh", "蓄電池経由 kWh", lambda one, _: kwh(one.through_battery_wh)),
    Column(
        "full cycles a year",
        "年間等価サイクル",
        _batteries(lambda one: one.worn.full_cycles),
    ),
    Column(
        "capacity after ten years",
        "10年後の容量",
        _batteries(lambda one: one.worn.capacity_left),
        ".1%",
    ),
)
MONEY = (
    Column(
        "utility alone JPY", "取引なし 円", lambda one, _: one.without_microyen / MICROYEN_PER_YEN
    ),
    Column(
        "paid with Yui JPY", "Yuiでの支払 円", lambda one, _: one.with_microyen / MICROYEN_PER_YEN
    ),
    Column("gained JPY", "取引の効果 円", lambda one, _: one.gain_microyen / MICROYEN_PER_YEN),
    Column(
        "gained JPY/kWh used",
        "効果 円/kWh",
        lambda one, _: one.gain_microyen / MICROYEN_PER_YEN / max(kwh(one.used_wh), 1),
        ".2f",
    ),
    Column(
        "paid less than as it is JPY",
        "現状比の支払減 円",
        _less(lambda one: one.with_microyen),
    ),
    Column(
        "batteries' wear JPY",
        "蓄電池の劣化 円",
        _batteries(lambda one: one.worn.microyen / MICROYEN_PER_YEN),
    ),
    Column(
        "less than as it is, with wear JPY",
        "現状比（劣化込み） 円",
        _less(lambda one: one.with_microyen + one.worn.microyen),
    ),
    Column(
        "to the network JPY",
        "系統利用料 円",
        lambda one, _: one.network_microyen / MICROYEN_PER_YEN,
    ),
)


@dataclass(frozen=True)
class Grid:
    """A table of texts; the first column is the scenario's name."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it as Markdown, without its title."""
        lines = [self.headings, ["---", *["---:"] * (len(self.headings) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def grids(found: Outcomes, base: Outcome, days: int, language: Language) -> list[Grid]:
    """Return both tables of scenarios that were played for some days; `base` is what they are
    compared with, itself among them or not."""
    words = {
        Language.ENGLISH: ("scenario", "energy", "money"),
        Language.JAPANESE: ("シナリオ", "電力量", "金額"),
    }[language]
    title = {
        Language.ENGLISH: "What if: {} of {} days, all through the real contract",
        Language.JAPANESE: "シナリオ比較：{}（{}日、実際の契約で再現）",
    }[language]
    return [
        Grid(
            title.format(kind, days),
            [words[0], *(column.heading(language) for column in columns)],
            [
                [name, *(column.cell(outcomes, base) for column in columns)]
                for name, outcomes in found.items()
            ],
        )
        for kind, columns in zip(words[1:], (ENERGY, MONEY), strict=True)
    ]
