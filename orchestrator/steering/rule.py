"""Steering without a plan: a battery that rests, and one that follows the rule of `vpp.rule`.

Energy in Wh.
"""

from __future__ import annotations

from collections.abc import Sequence

from energy.units import SLOTS_PER_DAY
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

    def planned_wh(self) -> list[int]:
        """Return that nothing is to leave the battery."""
        return [0] * SLOTS_PER_DAY

    def offers(self, slot: int) -> list[Offer]:
        """Return the expected surplus."""
        return net_offers(slot, self._surplus(slot))

    def go_on(self, stored_wh: Sequence[int]) -> None:
        """Nothing is carried from slot to slot."""

    def _surplus(self, slot: int) -> int:
        return self._history.generation(slot) - self._history.load(slot)


class ByRule(Idle):
    """The rule of `vpp.rule`: it stores surplus by day and gives it away in the evening."""

    def __init__(self, history: History, size: BatterySize) -> None:
        super().__init__(history)
        self._size, self._stored, self._command = size, 0, Command(Mode.HOLD)
        self._slot = 0

    def begin(self, slot: int, stored_wh: int, position: Position) -> Command:
        """Return the rule's command; what was sold makes no difference to it."""
        self._stored, self._command = stored_wh, command_for(slot, stored_wh, self._size)
        self._slot = slot
        return self._command

    def planned_wh(self) -> list[int]:
        """Return what the rule leads to, by the forecast."""
        stored, size, planned = self._stored, self._size, []
        for slot in range(self._slot, self._slot + SLOTS_PER_DAY):
            command = command_for(slot, stored, size)
            charged, discharged = expected_flows(command, self._surplus(slot), stored, size)
            stored += charged * size.efficiency // 1000 - discharged
            planned.append(discharged - charged)
        return planned

    def offers(self, slot: int) -> list[Offer]:
        """Return the expected net export, the battery following the rule."""
        # The slot that runs now ends before this one begins: what will it leave?
        stored, size = self._stored, self._size
        charged, discharged = expected_flows(self._command, self._surplus(slot - 1), stored, size)
        stored += charged * size.efficiency // 1000 - discharged
        surplus = self._surplus(slot)
        charged, discharged = expected_flows(command_for(slot, stored, size), surplus, stored, size)
        return net_offers(slot, surplus - charged + discharged)
