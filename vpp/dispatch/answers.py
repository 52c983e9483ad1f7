"""The site's answers, and when the battery's power first followed each instruction.

Power in W, positive out of the battery; time in unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vpp.commands import Answer, Instruction

MOST = 200
"""So many answers are remembered."""
CHANGED_SHARE, CHANGED_W = 0.02, 50
"""Power has changed when it moved by this share of the rating, and by this at least."""


@dataclass
class _Awaited:
    """An answer, and what left the battery before its instruction began."""

    answer: Answer
    starts_at: int
    power_w: int | None


class Answers:
    """The latest answers of a site, by sequence."""

    def __init__(self) -> None:
        self._awaited: dict[int, _Awaited] = {}

    def add(self, instruction: Instruction, answer: Answer, power_w: int | None) -> None:
        """Remember an answer, and what leaves the battery as it is given."""
        if instruction.sequence in self._awaited:
            return
        self._awaited[instruction.sequence] = _Awaited(answer, instruction.starts_at, power_w)
        while len(self._awaited) > MOST:
            del self._awaited[next(iter(self._awaited))]

    def of(self, sequence: int) -> Answer | None:
        """Return an answer as it stands by now; None if it is not known."""
        awaited = self._awaited.get(sequence)
        return None if awaited is None else awaited.answer

    def see(self, now: float, power_w: int, wanted_w: int | None, rating_w: int) -> None:
        """Note which instructions are followed: power moved, or is where it is wanted already."""
        least_w = max(CHANGED_SHARE * rating_w, CHANGED_W)
        for awaited in self._awaited.values():
            if awaited.answer.changed_at is not None or awaited.answer.refused:
                continue
            if now < awaited.starts_at:
                awaited.power_w = power_w
                continue
            moved = awaited.power_w is not None and abs(power_w - awaited.power_w) >= least_w
            arrived = wanted_w is not None and abs(power_w - wanted_w) < least_w
            if moved or arrived:
                awaited.answer = replace(awaited.answer, changed_at=now)
