"""The joint plan: both ways agree, the proof holds, and who pays for the limits."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from typer.testing import CliRunner

from energy.errors import SettingError
from energy.language import Language
from orchestrator.cli import app
from orchestrator.fleet.view import fleet_table
from orchestrator.setting.fleet import Limits, municipality, pooled, synthetic
from vpp.commands import Following, Report
from vpp.fleet.apart import apart
from vpp.fleet.decomposition import decomposed
from vpp.fleet.exact import exact
from vpp.fleet.group import Group, SiteUnsolved, plans_of
from vpp.fleet.joint import blocks_of, blocks_program
from vpp.fleet.limits import Pool
from vpp.fleet.master import admissible
from vpp.fleet.model import Fleet, Member
from vpp.fleet.slim import slim
from vpp.fleet.workers import local_workers
from vpp.matrix import program_of
from vpp.model import Reserve
from vpp.planner import planned
from vpp.room.store import State
from vpp.solver import HighsSolver, Solution, dual_bound

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


def test_a_site_whose_own_limits_cannot_be_kept_is_planned_around_them():
    made = fleet(4)
    first = made.members[0]
    narrow = replace(first.problem, import_kw=0.25 * float(first.problem.load_kwh.max()))
    made = replace(made, members=(replace(first, problem=narrow), *made.members[1:]))
    for plan in (exact(made), decomposed(made, groups=2)):
        assert plan.faults == []
        assert plan.sites[0].steering > 0
        assert [site.steering for site in plan.sites[1:]] == pytest.approx([0.0] * 3)
        assert plan.gap <= 1e-3


def test_a_part_that_fails_its_check_is_planned_for_itself_with_an_alarm():
    made = fleet(3)
    program = blocks_program(made)
    group = Group(made)
    group.answer(np.zeros(sum(limit.slots.size for limit in made.limits)))
    good = group.plans(np.array([1.0]))
    assert [plan.alarms for plan in good] == [(), (), ()]
    columns = blocks_of(program, 3)[1].columns
    (found,) = group._schedules
    broken = found.copy()
    broken[columns] = 0.0
    plans = plans_of(made, program, (broken,))
    assert [bool(plan.alarms) for plan in plans] == [False, True, False]
    assert "failed its check: " in plans[1].alarms[0]
    assert all(plan.faults == () for plan in plans)
    alone = planned(made.problems[1])
    assert plans[1].money.total == pytest.approx(alone.money.total)


def test_a_site_without_any_schedule_is_named(monkeypatch):
    made = fleet(2)
    group = Group(made)
    failed = Solution("time limit", None, None, 0.0)
    monkeypatch.setattr(group, "_solved", lambda number, cost: failed)
    width = sum(limit.slots.size for limit in made.limits)
    with pytest.raises(
        SiteUnsolved, match=f"{made.members[0].name} must have a schedule, got time"
    ):
        group.answer(np.zeros(width))


def test_slim_programs_have_the_same_solution():
    made = fleet(2)
    full = program_of(made.problems[0])
    slimmed = slim(full)
    assert slimmed.row_lower.size < 0.8 * full.row_lower.size
    solutions = [HighsSolver().solve(each) for each in (full, slimmed)]
    costs, proven = [], []
    for program, solution in zip((full, slimmed), solutions, strict=True):
        assert solution.x is not None
        assert solution.duals is not None
        costs.append(full.cost @ solution.x)
        proven.append(dual_bound(program, solution.duals))
    assert costs[0] == pytest.approx(costs[1])
    assert proven == pytest.approx(costs)


def test_a_part_of_a_fleet_is_as_short_of_what_is_shared_as_the_whole():
    made = fleet(30)
    for few in ([0], [1, 2, 3], list(range(30))):
        small = made.part(few)
        share = made.power_kw[few].sum() / made.power_kw.sum()
        for limit, own in (("import_kw", 1), ("export_kw", -1)):
            room = [
                getattr(each, limit)
                - own * sum(m.problem.net_load_kwh for m in each.members) / each.hours
                for each in (made, small)
            ]
            kept = getattr(small, limit) > 0
            assert room[1][kept] == pytest.approx(share * room[0][kept])
        assert small.reserve_up.least_kw == pytest.approx(share * made.reserve_up.least_kw)


def test_the_gap_is_stated_of_cost_of_money_and_of_what_batteries_earn(both):
    for plan in both:
        left = plan.cost - plan.bound
        idle = sum(
            planned(member.problem.with_batteries()).money.total
            - sum(b.end_value * b.initial_kwh for b in member.problem.batteries)
            for member in plan.fleet.members
        )
        assert plan.gain == pytest.approx(idle - plan.money)
        assert plan.gap_of_gain == pytest.approx(left / (idle - plan.money))
        assert plan.gap_of_money == pytest.approx(left / plan.money)
    _, priced = both
    assert priced.gap_of_gain > priced.gap > 0


def test_planning_together_is_worth_more_than_keeping_to_shares(both):
    whole, _ = both
    alone = apart(whole.fleet)
    assert alone.cost > whole.cost
    # Without shared limits there is nothing to gain.
    free = synthetic(4, DAY, 3)
    assert apart(free).cost == pytest.approx(exact(free).cost, abs=1e-3)


def test_reserve_is_sold_by_regions():
    made = pooled(fleet())
    plans = exact(made), decomposed(made, gap=1e-4)
    kinds = {f"reserve up {pool.name}" for pool in made.pools}
    assert len(kinds) == 3
    for plan in plans:
        assert plan.faults == []
        assert kinds <= plan.prices.keys()
        for pool in made.pools:
            held = np.sum([s.reserve_up for s in plan.sites if s.name in pool.sites], axis=0)
            assert (held >= np.asarray(pool.reserve.least_kw) - 1e-4).all()
            moved = [each.transfers[pool.kind] for each in plan.accounts]
            assert sum(moved) == pytest.approx(0, abs=1e-6)
            outside = [e.transfers[pool.kind] for e in plan.accounts if e.name not in pool.sites]
            assert outside == pytest.approx([0.0] * len(outside))
    assert plans[0].cost == pytest.approx(plans[1].cost, rel=1e-4)


def test_a_pool_holds_for_as_long_as_its_product_asks():
    made = fleet(2)
    power = np.zeros(48)
    power[30] = 1.0
    sold = Reserve(np.where(power > 0, 9.0, 0.0), 0.25, power, 1e3 * power)
    pools = tuple(
        Pool(f"for {hours} h", "up", replace(sold, hours=hours), frozenset({member.name}))
        for hours, member in zip((0.25, 3.0), made.members, strict=True)
    )
    plan = exact(replace(made, reserve_up=None, pools=pools))
    assert plan.faults == []
    for site, pool, member in zip(plan.sites, pools, made.members, strict=True):
        (battery,) = member.problem.batteries
        free = site.stored[30] - np.asarray(battery.least_kwh)[30]
        needed = site.reserve_up[30] * pool.reserve.hours / battery.discharge_efficiency
        assert 0 < needed <= free + 1e-6


def test_contradictory_pools_are_refused_by_name():
    made = fleet(2)
    first = frozenset({made.members[0].name})
    reserve = Reserve(1.0, 1.0)
    for pools, words in (
        ((Pool("a", "over", reserve, first),), "up or down, got over"),
        ((Pool("", "up", reserve, first),), "must have a name"),
        ((Pool("a", "up", reserve, first), Pool("b", "up", reserve, first)), "got a and b"),
        ((Pool("a", "up", reserve, frozenset()),) * 2, "different names"),
        ((Pool("a", "up", Reserve(-1.0, 1.0), first),), "reserve_up price"),
    ):
        with pytest.raises(SettingError, match=words):
            replace(made, reserve_up=None, pools=pools)


def test_the_command_shows_prices_and_accounts():
    run = CliRunner().invoke(app, ["fleet", "plan", "--sites", "12"])
    assert run.exit_code == 0, run.output
    assert "Who pays for the limits" in run.output
    assert "Sendai" in run.output
    refused = CliRunner().invoke(app, ["fleet", "plan", "--tight", "0"])
    assert "--tight must be above 0" in str(refused.exception)


def test_the_command_speaks_japanese():
    arguments = ["fleet", "plan", "--sites", "6", "--pools", "--apart", "--language", "ja"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    for word in ("6拠点の共同運転計画", "制約の費用負担", "上げ調整力", "共同計画の効果"):
        assert word in run.output
    assert "reserve up" not in run.output


def test_the_command_gives_json():
    run = CliRunner().invoke(app, ["fleet", "plan", "--sites", "6", "--apart", "--json"])
    assert run.exit_code == 0, run.output
    values = json.loads(run.stdout)
    assert values["sites"] == 6
    assert values["money_jpy"] >= values["bound_jpy"] - 1e-3
    assert values["gap"] <= 1e-6
    assert values["apart"]["money_jpy"] > 0
    assert values["faults"] == []
    assert set(values["limits"]) == {"import", "export", "reserve up"}
    assert len(values["limits"]["import"]["prices_jpy"]) == 48
    settled = sum(each["settled_jpy"] for each in values["accounts"])
    assert settled == pytest.approx(values["money_jpy"])


def test_a_fleet_is_listed_with_its_alarms_in_the_language_asked_for():
    alarm = "short: this half hour must be met, will be missed by 800 Wh or more"
    at = 1_559_610_000
    report = Report(3, "Tome", "Tome City", "pv", at, Following.PLAN, 7, alarms=(alarm,))
    state = State(3, "Tome", "Tome City", "pv", report, float(at), linked=True)
    for language, told in (
        (Language.ENGLISH, alarm),
        (Language.JAPANESE, "この時間帯の計画に800 Wh以上届かない見込み"),
    ):
        table = fleet_table("x", [state], at, 60, language)
        (shown,) = (column for column in table.columns if told in "".join(map(str, column.cells)))
        assert len(list(shown.cells)) == 1
