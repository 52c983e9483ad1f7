"""The joint plan: both ways agree, the proof holds, and who pays for the limits."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from typer.testing import CliRunner

from energy.errors import SettingError
from orchestrator.cli import app
from orchestrator.setting.fleet import Limits, municipality, synthetic
from vpp.fleet.decomposition import decomposed
from vpp.fleet.exact import exact
from vpp.fleet.master import admissible
from vpp.fleet.model import Fleet, Member
from vpp.fleet.workers import local_workers
from vpp.model import Reserve
from vpp.planner import planned

DAY = date(2019, 6, 4)


def fleet(sites=12, tight=1.0, seed=3):
    return synthetic(sites, DAY, seed, Limits().tighter(tight))


@pytest.fixture(scope="module")
def both():
    made = fleet()
    return exact(made), decomposed(made, gap=1e-4)


def test_one_program_is_exact_and_passes_every_check(both):
    whole, _ = both
    assert whole.faults == []
    assert whole.breaches == ()
    assert abs(whole.gap) < 1e-9


def test_prices_come_to_the_same_within_the_gap_that_they_prove(both):
    whole, priced = both
    assert priced.faults == []
    assert 0 <= priced.gap <= 1e-4
    assert priced.bound <= whole.cost + 1e-6 <= priced.cost + 1e-5
    assert priced.cost == pytest.approx(whole.cost, rel=1e-4)


def test_limits_twice_as_tight_cost_more_and_still_give_a_plan(both):
    whole, _ = both
    tight = exact(fleet(tight=2.0))
    priced = decomposed(fleet(tight=2.0))
    assert tight.cost > whole.cost
    assert tight.faults == priced.faults == []
    assert priced.bound <= tight.cost + 1e-6
    assert priced.gap <= 1e-3


def test_without_shared_limits_each_site_plans_for_itself():
    alone = synthetic(4, DAY, 3)
    plans = [planned(member.problem) for member in alone.members]
    joint = exact(alone)
    assert joint.prices == {}
    assert joint.cost == pytest.approx(sum(p.money.total for p in plans), abs=1e-3)
    priced = decomposed(alone)
    assert priced.cost == pytest.approx(joint.cost, abs=1e-3)


def test_accounts_sum_to_the_whole_and_transfers_to_nothing(both):
    for plan in both:
        assert sum(each.money for each in plan.accounts) == pytest.approx(plan.money)
        assert sum(each.settled for each in plan.accounts) == pytest.approx(plan.money)
        for limit in plan.fleet.limits:
            moved = [each.transfers[limit.kind] for each in plan.accounts]
            assert sum(moved) == pytest.approx(0, abs=1e-6)
        assert any(abs(each.settled - each.money) > 1 for each in plan.accounts)


def test_a_cap_that_no_plan_keeps_is_named_with_its_half_hours():
    made = replace(fleet(4), import_kw=0.0, reserve_up=None)
    for plan in (exact(made), decomposed(made)):
        assert plan.faults == []
        missed = {breach.limit for breach in plan.breaches}
        assert missed == {"import"}
        assert all(breach.amount > 0 for breach in plan.breaches)
        assert plan.steering > 0
        assert plan.cost == pytest.approx(plan.money + plan.steering)


def test_reserve_never_exceeds_what_can_be_sold(both):
    for plan in both:
        limit = next(each for each in plan.fleet.limits if each.kind == "reserve up")
        taken = plan.sums["reserve up"]
        assert (taken <= limit.upper + 1e-4).all()
        assert (taken >= limit.lower - 1e-4).all()
        assert taken.max() > 0


def test_worker_processes_come_to_the_same_as_one():
    made = fleet(8)
    with local_workers(2) as workers:
        spread = decomposed(made, workers, groups=4)
    here = decomposed(made, groups=4)
    assert spread.cost == pytest.approx(here.cost)
    assert spread.bound == pytest.approx(here.bound)
    assert [site.name for site in spread.sites] == [member.name for member in made.members]


def test_the_last_plans_prices_are_a_good_beginning(both):
    _, priced = both
    again = decomposed(fleet(), points=priced.points, gap=1e-4)
    assert again.gap <= 1e-4
    assert again.rounds <= priced.rounds + len(priced.points)


def test_a_plan_out_of_time_states_its_gap():
    early = decomposed(fleet(), rounds=2)
    assert early.rounds == 2
    assert early.faults == []
    assert early.bound <= early.cost


def test_a_fleet_is_the_same_from_the_same_seed():
    one, same, other = fleet(6), fleet(6), fleet(6, seed=4)
    loads = [
        [np.asarray(m.problem.load_kwh).tolist() for m in each.members] for each in (one, same)
    ]
    assert loads[0] == loads[1]
    assert [m.name for m in other.members] != [m.name for m in one.members] or loads[0] != [
        np.asarray(m.problem.load_kwh).tolist() for m in other.members
    ]
    assert {municipality(member.name) for member in fleet(30).members} == {
        "Sendai", "Osaki", "Ishinomaki",
    }  # fmt: skip


def test_prices_that_prove_nothing_are_drawn_back():
    made = fleet(4)
    width = sum(limit.slots.size for limit in made.limits)
    high = admissible(made, np.full(width, 1e6))
    imports = next(each for each in made.limits if each.kind == "import").slots.size
    assert high[:imports].max() < 1e6
    low = admissible(made, np.full(width, -5.0))
    assert (low[:imports] == 0).all()


def test_bad_fleets_are_refused_by_name():
    member = fleet(1).members[0]
    with pytest.raises(SettingError, match="a site at least"):
        Fleet(())
    with pytest.raises(SettingError, match=f"{member.name} twice"):
        Fleet((member, member))
    with pytest.raises(SettingError, match="share must be 0 or more, got -1"):
        Fleet((replace(member, share=-1.0),))
    shorter = synthetic(1, date(2019, 6, 5), 3).members[0]
    with pytest.raises(SettingError, match="the fleet's slots"):
        Fleet((member, Member("other", shorter.problem)))
    own = replace(member.problem, reserve_up=Reserve(1.0, 1.0))
    with pytest.raises(SettingError, match="sold by the fleet"):
        Fleet((Member("own", own),))
    with pytest.raises(SettingError, match="import_kw"):
        replace(fleet(1), import_kw=-1.0)
    for sites in (0, 100_001):
        with pytest.raises(SettingError, match=f"got {sites}"):
            synthetic(sites, DAY, 1)
    with pytest.raises(SettingError, match="got 2021-01-01"):
        synthetic(1, date(2021, 1, 1), 1)


def test_the_command_shows_prices_and_accounts():
    run = CliRunner().invoke(app, ["fleet", "plan", "--sites", "12"])
    assert run.exit_code == 0, run.output
    assert "Who pays for the limits" in run.output
    assert "Sendai" in run.output
    refused = CliRunner().invoke(app, ["fleet", "plan", "--tight", "0"])
    assert "--tight must be above 0" in str(refused.exception)
