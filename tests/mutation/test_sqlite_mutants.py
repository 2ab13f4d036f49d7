"""Deliberate bugs in the SQLite backend: each, built into a copy, makes a named test of the conformance suite fail.

So the suite bites where it says so. A witness, which has nothing to do with the bug, has to pass on the same copy: the
bug is a wrong answer then, not a copy that does not run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.copies import Bug, all_pass, found
from tests.mutation.nursery import Nursery

WITNESS = "test_submit.py::test_a_submit_stores_the_draft[sqlite-changes0]"
EVENT, CLAIM = "storage/sql/event.sql", "storage/sql/claim.sql"
TABLE, RIGHTS, TURNS = "test_table.py", "test_claim_rights.py", "test_claim.py"
LEASES = "test_leases.py"
LANES, SCHEDULES, ALONE = "test_claim_lanes.py", "test_schedules.py", "test_ticks_alone.py"

BUGS = (
    Bug(
        "any fence renews",
        "storage/sql/member.sql",
        "AND owner = :owner AND fence = :fence",
        "AND owner = :owner AND :fence = :fence",
        f"{LEASES}::test_what_is_not_held_renews_nothing[sqlite]",
    ),
    Bug(
        "leases are remembered as nodes are",
        "storage/sql/member.sql",
        "iif(ttl IS NULL, :before, :leases_before)",
        ":before",
        f"{LEASES}::test_leases_that_are_over_are_forgotten_soon[sqlite]",
    ),
    Bug(
        "any fence will do",
        EVENT,
        "AND fence = :fence",
        "AND :fence = :fence",
        f"{TABLE}::test_owner_and_fence_have_to_match[sqlite-wrong1-complete]",
    ),
    Bug(
        "any owner will do",
        EVENT,
        "AND owner = :owner",
        "AND :owner = :owner",
        f"{TABLE}::test_owner_and_fence_have_to_match[sqlite-wrong0-complete]",
    ),
    Bug(
        "a zombie is heard",
        EVENT,
        "owner = :owner AND fenced)",
        "owner = :owner AND fenced AND FALSE)",
        f"{TABLE}::test_nothing_is_accepted_from_a_fenced_owner[sqlite-complete]",
    ),
    Bug(
        "op ids are not compared",
        EVENT,
        "OR op <> :op",
        "OR TRUE",
        f"{TABLE}::test_events_from_outside[sqlite-progress]",
    ),
    Bug(
        "op ids are not kept",
        "storage/sql/complete.sql",
        "THEN op ELSE :op END",
        "THEN op ELSE op END",
        f"{TABLE}::test_events_from_outside[sqlite-complete]",
    ),
    Bug(
        "a failure costs no retry",
        "storage/sql/fail.sql",
        "ELSE retries_left - 1 END",
        "ELSE retries_left END",
        f"{TABLE}::test_events_from_outside[sqlite-fail]",
    ),
    Bug(
        "a release costs an attempt",
        "storage/sql/release.sql",
        "attempt = attempt - 1",
        "attempt = attempt",
        f"{TABLE}::test_events_from_outside[sqlite-release]",
    ),
    Bug(
        "a death is no crash",
        "storage/sqlite_keeping.py",
        "Crash(id=record.task.id, max_crashes=verb.max_crashes)",
        'Release(id=record.task.id, owner="", fence=0)',
        f"{TABLE}::test_crash[sqlite]",
    ),
    Bug(
        "paused queues are served",
        "storage/sqlite_lanes.py",
        "and lane.queue not in self.paused",
        "",
        f"{TURNS}::test_paused_queues_are_skipped[sqlite]",
    ),
    Bug(
        "what is over is claimed",
        "storage/sqlite_claim.py",
        "task.expires_at <= tx.now",
        "task.expires_at < 0",
        f"{RIGHTS}::test_what_is_spoilt_is_given_up_and_takes_no_room[sqlite-expired]",
    ),
    Bug(
        "last in, first out",
        "storage/sqlite_claim.py",
        "yield rank(lane.priority,",
        "yield -rank(lane.priority,",
        f"{TURNS}::test_lanes_are_merged_by_rank[sqlite]",
    ),
    Bug(
        "priorities are alike",
        "storage/sqlite_claim.py",
        "rank(lane.priority,",
        "rank(0,",
        f"{TURNS}::test_higher_priority_runs_first[sqlite]",
    ),
    Bug(
        "the dead may claim",
        CLAIM,
        "WHERE owner = :owner AND gone_at IS NULL",
        "WHERE owner = :owner",
        f"{RIGHTS}::test_who_is_no_live_member_gets_nothing[sqlite-fenced]",
    ),
    Bug(
        "keys live for ever",
        "storage/sqlite_submit.py",
        "tx.now - v.KEY_LIFETIME",
        "0",
        "test_submit.py::test_a_key_is_over_after_its_lifetime[sqlite]",
    ),
    Bug(
        "a beat does not save",
        "storage/sql/fence.sql",
        "AND beat = :beat",
        "AND :beat = :beat",
        "test_leader.py::test_a_beat_saves_from_the_fence[sqlite]",
    ),
    Bug(
        "a tick needs no cursor",
        "storage/sql/tick.sql",
        "AND cursor = :cursor",
        "AND :cursor = :cursor",
        f"{SCHEDULES}::test_a_repeated_tick_makes_nothing_twice[sqlite]",
    ),
    Bug(
        "a paused schedule fires",
        "storage/sql/tick.sql",
        "NOT (paused AND :runs)",
        "NOT (paused AND :runs AND FALSE)",
        f"{SCHEDULES}::test_a_paused_schedule_submits_nothing[sqlite-False]",
    ),
    Bug(
        "a schedule that is busy is not seen",
        "storage/sql/schedule.sql",
        "AND finished_at IS NULL",
        "AND finished_at IS NULL AND place = 'running'",
        f"{ALONE}::test_what_is_not_finished_is_under_way[sqlite]",
    ),
    Bug(
        "alone, all are submitted",
        "storage/sqlite_schedules.py",
        "else drafts[:1]",
        "else drafts",
        f"{ALONE}::test_alone_where_nothing_is_under_way_the_first_is_submitted[sqlite]",
    ),
    Bug(
        "whoever writes a schedule last wins",
        "storage/sqlite_schedules.py",
        "(old.generation, old.cursor) != verb.expect",
        "False",
        f"{SCHEDULES}::test_of_two_writers_that_saw_the_same_one_wins[sqlite]",
    ),
    Bug(
        "a tick between is not seen",
        "storage/sqlite_schedules.py",
        "(old.generation, old.cursor) != verb.expect",
        "old.generation != verb.expect[0]",
        f"{SCHEDULES}::test_a_tick_comes_before_a_writer_that_has_not_seen_it[sqlite]",
    ),
    Bug(
        "what comes back to a lane is not seen",
        "storage/sqlite_lanes.py",
        "self.enter(lane, new)",
        "self.enter(lane, new, _NEVER)",
        f"{LANES}::test_what_comes_back_stands_where_it_belongs[sqlite-False-released]",
    ),
    Bug(
        "a lane that was read is not put back",
        "storage/sqlite_claim.py",
        "turns.put(tx.lanes.by_id[number])",
        "number",
        f"{LANES}::test_many_lanes_are_one_line[sqlite]",
    ),
    Bug(
        "heavy pages do not end",
        "storage/sqlite_reads.py",
        "size >= v.BYTES_PER_PAGE",
        "size < 0",
        "test_heavy_pages.py::test_a_page_ends_where_it_is_heavy[sqlite]",
    ),
)


def test_without_a_bug_all_of_them_pass(nursery: Nursery, copy: Path) -> None:
    all_pass(nursery, copy, BUGS, WITNESS)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_suite_finds(nursery: Nursery, copy: Path, bug: Bug) -> None:
    found(nursery, copy, bug, WITNESS)
