"""Which sites of a fleet are meant: by number or name, municipality, type, state of charge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from energy.errors import SettingError
from vpp.room.store import State


@dataclass(frozen=True, slots=True)
class Selection:
    """What must hold of a site, all of it; of the texts in a tuple one. Charges are per cent."""

    sites: tuple[str, ...] = ()
    municipalities: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    charge_above: float | None = None
    charge_below: float | None = None
    everything: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing was said."""
        return self == Selection()

    @property
    def by_charge(self) -> bool:
        """Whether the state of charge matters."""
        return self.charge_above is not None or self.charge_below is not None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The sites that are meant, and those of which it is not known (their charge is not)."""

    states: tuple[State, ...]
    unknown: tuple[State, ...] = ()


def chosen(states: Sequence[State], selection: Selection) -> Chosen:
    """Return the sites that a selection means.

    Raises:
        SettingError: if it names a site, municipality or type that is not there, or makes no
            sense.
    """
    if selection.everything and selection != Selection(everything=True):
        raise SettingError("--all must stand alone, got other selectors beside it")
    for name, value in (("above", selection.charge_above), ("below", selection.charge_below)):
        if value is not None and not 0 <= value <= 100:
            raise SettingError(f"--charge-{name} must be from 0 to 100 %, got {value:g}")
    found = list(states)
    for what, wanted, of in (
        ("a site", selection.sites, _names),
        ("a municipality", selection.municipalities, lambda state: {state.municipality.lower()}),
        ("a type", selection.kinds, lambda state: {state.kind.lower()}),
    ):
        if wanted:
            _all_known(what, wanted, states, of)
            spelled = {each.strip().lower() for each in wanted}
            found = [state for state in found if spelled & of(state)]
    if not selection.by_charge:
        return Chosen(tuple(found))
    known = [state for state in found if _charge(state) is not None]
    return Chosen(
        tuple(state for state in known if _within(_charge(state), selection)),
        tuple(state for state in found if _charge(state) is None),
    )


def _names(state: State) -> set[str]:
    return {str(state.site), state.name.lower(), state.name_ja.lower()} - {""}


def _all_known(
    what: str, wanted: Sequence[str], states: Sequence[State], of: Callable[[State], set[str]]
) -> None:
    known = set().union(*(of(state) for state in states)) if states else set()
    for each in wanted:
        if each.strip().lower() not in known:
            some = ", ".join(sorted(known)[:12])
            raise SettingError(f"{what} must be one of the fleet's ({some}), got {each!r}")


def _charge(state: State) -> float | None:
    share = state.report.charge_share if state.report else None
    return None if share is None else 100 * share


def _within(charge: float | None, selection: Selection) -> bool:
    assert charge is not None
    return (selection.charge_above is None or charge > selection.charge_above) and (
        selection.charge_below is None or charge < selection.charge_below
    )
