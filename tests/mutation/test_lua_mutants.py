"""Bugs put into the Redis backend's scripts on purpose. Each is a patch of a copy, and is found by the test of the
conformance suite that is named beside it, on a real server. A patch that does not apply fails too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.copies import Bug, all_pass, found
from tests.mutation.nursery import Nursery

WITNESS = "test_submit.py::test_a_submit_stores_the_draft[redis-changes0]"
TABLE, RIGHTS, TURNS, TERM = "test_table.py", "test_claim_rights.py", "test_claim.py", "test_term.py"
MEMBERS, LEADER, SCHEDULES = "test_members.py", "test_leader.py", "test_schedules.py"
LEASES = "test_leases.py"
HELD = "storage/lua/lib_task.lua"
CLAIM = "storage/lua/claim.lua"

BUGS = (
    Bug(
        "any fence completes",
        "storage/lua/complete.lua",
        "or t.fe ~= fence or",
        "or",
        f"{TABLE}::test_owner_and_fence_have_to_match[redis-wrong1-complete]",
    ),
    Bug(
        "any fence fails",
        HELD,
        "or t.fe ~= item[4]",
        "",
        f"{TABLE}::test_owner_and_fence_have_to_match[redis-wrong1-fail]",
    ),
    Bug(
        "one that is held stands for all ends of a call",
        "storage/lua/complete.lua",
        "unpack(entries)) == #entries",
        "unpack(entries)) > 0",
        f"{TABLE}::test_of_many_ends_only_those_of_present_runs_are_taken[redis]",
    ),
    Bug(
        "any owner completes",
        "storage/lua/complete.lua",
        "or t.own ~= owner or",
        "or",
        f"{TABLE}::test_owner_and_fence_have_to_match[redis-wrong0-complete]",
    ),
    Bug(
        "a zombie completes",
        "storage/lua/complete.lua",
        "or fenced(owner) then",
        "then",
        f"{TABLE}::test_nothing_is_accepted_from_a_fenced_owner[redis-complete]",
    ),
    Bug(
        "a zombie fails",
        HELD,
        "or fenced(item[3])",
        "",
        f"{TABLE}::test_nothing_is_accepted_from_a_fenced_owner[redis-fail]",
    ),
    Bug(
        "op ids are not compared",
        "storage/lua/complete.lua",
        "elseif op ~= '' and t.op == op then",
        "elseif false then",
        f"{TABLE}::test_events_from_outside[redis-complete]",
    ),
    Bug(
        "a release costs an attempt",
        HELD,
        "changes.st, changes.att, changes.due = 'P', uncharged(t), due_by_now(t)",
        "changes.st, changes.due = 'P', due_by_now(t)",
        f"{TABLE}::test_events_from_outside[redis-release]",
    ),
    Bug(
        "a claim cannot be repeated",
        CLAIM,
        "local again = request == last and step <= last_step",
        "local again = false",
        f"{RIGHTS}::test_a_repeat_answers_the_same_and_takes_nothing_new[redis]",
    ),
    Bug(
        "an older claim is done",
        CLAIM,
        "if request < last then return { 'refused' } end",
        "",
        f"{RIGHTS}::test_an_older_request_is_refused[redis]",
    ),
    Bug(
        "a fence is used again",
        CLAIM,
        "local fence = t.fe and t.fe + 1 or 0",
        "local fence = t.fe and t.fe + 0 or 0",
        f"{TURNS}::test_fences_grow[redis]",
    ),
    Bug(
        "the dead may claim",
        CLAIM,
        "if not node or member[2] then",
        "if not node then",
        f"{RIGHTS}::test_who_is_no_live_member_gets_nothing[redis-fenced]",
    ),
    Bug(
        "a beat does not save",
        "storage/lua/fence.lua",
        "if tonumber(state[3]) ~= items[4] then return answer({ 'stale' }) end",
        "",
        f"{LEADER}::test_a_beat_saves_from_the_fence[redis]",
    ),
    Bug(
        "the living are reaped",
        "storage/lua/reap.lua",
        "if not state[2] then return answer({ 'refused' }) end",
        "",
        f"{LEADER}::test_only_the_fenced_are_reaped[redis]",
    ),
    Bug(
        "a death is no crash",
        "storage/lua/reap.lua",
        "local crashes = (t.cr or 0) + 1",
        "local crashes = (t.cr or 0) + 0",
        f"{TABLE}::test_crash[redis]",
    ),
    Bug(
        "epochs are not compared",
        "storage/lua/lib_member.lua",
        "or t[2] ~= items[2]",
        "",
        f"{TERM}::test_who_does_not_lead_changes_nothing[redis-leader1-promote]",
    ),
    Bug(
        "whoever comes last leads",
        "storage/lua/campaign.lua",
        "and t[3] == items[3]",
        "",
        f"{TERM}::test_a_leader_that_renews_keeps_the_others_out[redis-1-1]",
    ),
    Bug(
        "a tick needs no cursor",
        "storage/lua/tick.lua",
        "or tonumber(state[2]) ~= items[5]",
        "",
        f"{SCHEDULES}::test_a_repeated_tick_makes_nothing_twice[redis]",
    ),
    Bug(
        "a tick needs no generation",
        "storage/lua/tick.lua",
        "tonumber(state[1]) ~= items[4] or",
        "",
        f"{SCHEDULES}::test_a_tick_of_something_else_is_refused[redis-changes1-stale]",
    ),
    Bug(
        "who runs what is cancelled is not told",
        "storage/lua/cancel.lua",
        "if live(t.own) then order(t.own, 'cancel ' .. t.id .. ' ' .. t.fe) end",
        "",
        f"{MEMBERS}::test_a_cancelled_run_is_told_to_its_owner[redis]",
    ),
    Bug(
        "any fence renews",
        "storage/lua/renew.lua",
        "or t.fe ~= item[3]",
        "",
        f"{LEASES}::test_what_is_not_held_renews_nothing[redis]",
    ),
    Bug(
        "a lease that is over is renewed",
        "storage/lua/renew.lua",
        "or member[2] then",
        "then",
        f"{LEASES}::test_a_lease_that_is_not_renewed_dies_as_a_node_does[redis]",
    ),
    Bug(
        "who is alone fences leases, too",
        "storage/lua/lease.lua",
        "call('SADD', k_leases, owner)",
        "call('SADD', k_leases, owner) call('HSET', k_live, owner, 0)",
        f"{LEASES}::test_a_node_that_is_alone_leaves_leases_alone[redis]",
    ),
    Bug(
        "a suspect has company",
        CLAIM,
        "and not alone and",
        "and",
        f"{LEASES}::test_a_suspect_that_is_taken_first_is_taken_alone[redis]",
    ),
    Bug(
        "an empty claim leaves a trace",
        "storage/lua/deregister.lua",
        "if not state[2] and state[4] and not items[2] then",
        "if false then",
        f"{LEASES}::test_a_lease_that_took_nothing_leaves_no_trace_where_none_is_wanted[redis]",
    ),
    Bug(
        "a key takes any body",
        "storage/lua/submit.lua",
        "if known[3] ~= digest then return { 'mismatch', id } end",
        "",
        "test_submit.py::test_a_key_with_another_body_is_a_mismatch[redis]",
    ),
)


def test_without_a_bug_all_of_them_pass(nursery: Nursery, copy: Path) -> None:
    all_pass(nursery, copy, BUGS, WITNESS)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_suite_finds(nursery: Nursery, copy: Path, bug: Bug) -> None:
    found(nursery, copy, bug, WITNESS)
