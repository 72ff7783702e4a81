"""A process takes the cores that it may use, not those that the machine has."""

import os

import pytest

from unsct_mmpose import cores as module
from unsct_mmpose.cores import allowed_cores, idle_cores


@pytest.fixture(autouse=True)
def sixty_four(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(64)), raising=False)


@pytest.mark.parametrize(
    'content, cores',
    [
        ('200000 100000', 2),
        ('150000 100000', 2),
        ('50000 100000', 1),
        ('9000000 100000', 64),
        ('max 100000', 64),
        ('odd', 64),
        ('1 0', 64),
    ],
)
def test_the_quota_of_a_container_counts(tmp_path, content, cores):
    (tmp_path / 'cpu.max').write_text(content + '\n')
    assert allowed_cores(tmp_path) == cores


@pytest.mark.parametrize('quota, cores', [('300000', 3), ('-1', 64)])
def test_so_does_that_of_an_older_system(tmp_path, quota, cores):
    (tmp_path / 'cpu').mkdir()
    (tmp_path / 'cpu/cpu.cfs_quota_us').write_text(quota + '\n')
    (tmp_path / 'cpu/cpu.cfs_period_us').write_text('100000\n')
    assert allowed_cores(tmp_path) == cores


def test_affinity_counts_where_there_is_no_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5})
    assert allowed_cores(tmp_path) == 2
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: None)
    assert allowed_cores(tmp_path) == 1


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return what is found where ticks of (user, idle, waiting) pass while it watches."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 4)
    stat = tmp_path / 'stat'

    def find(user, idle, waiting=0):
        stat.write_text('cpu  100 0 50 900 7 0 3 2 11 0\ncpu0 1 2 3\n')
        later = f'cpu  {100 + user} 0 50 {900 + idle} {7 + waiting} 0 3 2 999 0\n'
        monkeypatch.setattr(module.time, 'sleep', lambda _: stat.write_text(later))
        return idle_cores(stat=stat, groups=tmp_path)

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
    assert idle_cores(stat=tmp_path / 'none', groups=tmp_path) == 4
    assert watched(user=0, idle=0) == 4  # no tick passed


def test_no_more_are_idle_than_are_allowed(watched, tmp_path):
    (tmp_path / 'cpu.max').write_text('200000 100000')
    assert watched(user=0, idle=400) == 2
