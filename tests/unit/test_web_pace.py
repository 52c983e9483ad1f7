"""Who asks for much waits; others do not."""

from orchestrator.web.access import pace
from orchestrator.web.access.pace import Pace


def test_so_many_come_at_once_and_then_one_in_a_while():
    now = [100.0]
    found = Pace(3, 2.0, lambda: now[0])
    assert [found.wait("sato") for _ in range(4)] == [0, 0, 0, 2]
    assert found.wait("abe") == 0
    now[0] += 2.0
    assert found.wait("sato") == 0
    assert found.wait("sato") > 0
    now[0] += 60.0
    assert [found.wait("sato") > 0 for _ in range(4)] == [False, False, False, True]


def test_those_who_came_long_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(pace, "MOST_KNOWN", 2)
    found = Pace(1, 60.0, lambda: 0.0)
    assert [found.wait(who) for who in ("a", "b", "c")] == [0, 0, 0]
    assert found.wait("c") > 0
    assert found.wait("a") == 0
