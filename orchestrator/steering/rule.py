"""Steering without a plan: a battery that rests, one that follows the rule of `vpp.rule`, and one
that serves its own site first.

Energy in Wh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from energy.units import SLOT_SECONDS
from orchestrator.steering.steering import Offer, Position, net_offers
from vpp.forecast import History
from vpp.rule import BatterySize, Command, Mode, command_for, expected_flows


class Idle:
    """For a site without a battery, or whose battery rests."""

    def __init__(self, history: History) -> None:
        self._history = history

    def begin(self, slot: int, stored_wh: int, position: Position) -> Command:
        """Return that there is nothing to do."""
        return Command(Mode.HOLD)

    def offers(self, slot: int) -> list[Offer]:
        """Return the expected surplus."""
        return net_offers(slot, self._surplus(slot))

    def planned(self, slot: int) -> int:
        """Return that nothing leaves it."""
        return 0

    def go_on(self, stored_wh: Sequence[int]) -> None:
        """Nothing is carried from slot to slot."""

    def _surplus(self, slot: int) -> int:
        return self._history.generation(slot) - self._history.load(slot)


class Rule(Protocol):
    """What a battery is told for a slot that begins with `stored_wh` to deliver."""

    def __call__(self, slot: int, stored_wh: int, size: BatterySize) -> Command:
        """Return the command."""
        ...


class ByRule(Idle):
    """Follows a rule that looks at the time and at what is stored: that of `vpp.rule`, which stores
    surplus by day and gives it away in the evening, if no other is given."""

    def __init__(self, history: History, size: BatterySize, rule: Rule = command_for) -> None:
        super().__init__(history)
        self._size, self._rule = size, rule
        self._slot: int | None = None
        self._stored, self._command = 0, Command(Mode.HOLD)

    def begin(self, slot: int, stored_wh: int, position: Position) -> Command:
        """Return the rule's command; what was sold makes no difference to it."""
        self._slot, self._stored = slot, stored_wh
        self._command = self._rule(slot, stored_wh, self._size)
        return self._command

    def offers(self, slot: int) -> list[Offer]:
        """Return the expected net export, the battery following the rule."""
        return net_offers(slot, self._surplus(slot) + self.planned(slot))

    def planned(self, slot: int) -> int:
        """Return what the rule comes to by forecast, slot by slot from the one that runs on."""
        stored, size, given = self._stored, self._size, 0
        for at in range(slot if self._slot is None else self._slot, slot + 1):
            command = self._command if at == self._slot else self._rule(at, stored, size)
            charged, discharged = expected_flows(command, self._surplus(at), stored, size)
            stored += charged * size.efficiency // 1000 - discharged
            given = discharged - charged
        return given


def own_use(slot: int, stored_wh: int, size: BatterySize) -> Command:
    """Return that all surplus is stored, and what the site lacks is served as far as that lasts.

    The reserve for an outage stays: it is told no more than what it may give.
    """
    most_wh = min(stored_wh, size.slot_limit_wh)
    return Command(Mode.OWN, most_wh * 3600 // SLOT_SECONDS)
