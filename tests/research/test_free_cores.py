import os

import pytest

from unsct_mmpose.research import free_cores as module
from unsct_mmpose.research.free_cores import free_cores


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return what is found where ticks of (user, idle, waiting) pass while it watches."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(4)), raising=False)
    stat = tmp_path / 'stat'

    def find(user, idle, waiting=0):
        stat.write_text('cpu  100 0 50 900 7 0 3 2 11 0\ncpu0 1 2 3\n')
        later = f'cpu  {100 + user} 0 50 {900 + idle} {7 + waiting} 0 3 2 999 0\n'
        monkeypatch.setattr(module.time, 'sleep', lambda _: stat.write_text(later))
        return free_cores(stat=stat)

    return find


def test_cores_that_others_use_are_not_free(watched):
    assert watched(user=0, idle=400) == 4
    assert watched(user=100, idle=300) == 3
    assert watched(user=240, idle=160) == 2


def test_waiting_for_a_disk_uses_no_core(watched):
    assert watched(user=0, idle=100, waiting=300) == 4


def test_a_busy_machine_leaves_one(watched):
    assert watched(user=400, idle=0) == 1


def test_without_counters_every_core_counts(watched, tmp_path):
    assert free_cores(stat=tmp_path / 'none') == 4
    assert watched(user=0, idle=0) == 4  # no tick passed
