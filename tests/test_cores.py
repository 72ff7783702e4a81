"""A process takes the cores that it may use, not those that the machine has."""

import os

import pytest

from unsct_mmpose.cores import free_cores


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
    assert free_cores(tmp_path) == cores


@pytest.mark.parametrize('quota, cores', [('300000', 3), ('-1', 64)])
def test_so_does_that_of_an_older_system(tmp_path, quota, cores):
    (tmp_path / 'cpu').mkdir()
    (tmp_path / 'cpu/cpu.cfs_quota_us').write_text(quota + '\n')
    (tmp_path / 'cpu/cpu.cfs_period_us').write_text('100000\n')
    assert free_cores(tmp_path) == cores


def test_affinity_counts_where_there_is_no_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5})
    assert free_cores(tmp_path) == 2
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: None)
    assert free_cores(tmp_path) == 1
