"""The list of stock tools is complete, and the page shows what its record says."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from unsct_mmpose.compat import host_tools

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / '.ci' / 'check_host.py'

if not SCRIPT.is_file():
    pytest.skip('.ci is not shipped', allow_module_level=True)


@pytest.fixture(scope='module')
def check_host():
    spec = importlib.util.spec_from_file_location('check_host', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules['check_host'] = module
    spec.loader.exec_module(module)
    return module


def record(*statuses, by='mmpose_tool.py', versions=('1.1.0', '1.3.2')):
    results = dict(zip(versions, statuses, strict=True))
    row = dict(tool='browse', options='--mode', by=by, results=results)
    return dict(
        date='2026-01-01',
        machine='m',
        rows=[row],
        hosts={version: dict(mmpose=version) for version in versions},
    )


def test_every_script_of_mmpose_is_run_or_has_a_reason(check_host):
    run, not_for_us = {step.tool for step in check_host.STEPS}, set(check_host.NOT_APPLICABLE)
    assert not run & not_for_us
    assert set(host_tools()) <= run | not_for_us


def test_a_name_of_a_step_is_used_once_and_the_slice_can_stand_alone(check_host):
    rows = [(step.tool, step.options) for step in check_host.STEPS]
    assert len(set(rows)) == len(rows)
    quick = [step for step in check_host.STEPS if step.quick]
    assert 'run/epoch_1.pth' in quick[0].files  # the checkpoint of the others
    assert len(quick) < 10


def test_a_table_says_why(check_host):
    table = check_host.table(
        record(dict(status='n/a', why='none'), dict(status='failed', why='a|b'))
    )
    assert '| browse | --mode | mmpose_tool.py | n/a: none | failed: a/b |' in table
    no_one = record(*[dict(status='n/a', why='no use')] * 2, by='')
    assert '| browse | no use |' in check_host.table(no_one)


def test_what_is_run_again_renews_its_results_and_keeps_the_others(check_host):
    step = check_host.STEPS[0]
    old = record(dict(status='failed', why='x'), dict(status='passed'))
    old['rows'] = [old['rows'][0], dict(old['rows'][0], tool=step.tool, options=step.options)]
    new = record(dict(status='passed'), versions=('1.1.0',))
    new['rows'][0].update(tool=step.tool, options=step.options)
    renewed = check_host.renew(old, new)
    (row,) = renewed['rows']  # no step is called as the first one
    assert row['results'] == {version: dict(status='passed') for version in ('1.1.0', '1.3.2')}
    assert list(renewed['hosts']) == ['1.1.0', '1.3.2']


@pytest.fixture(scope='module')
def do(check_host, tmp_path_factory):
    """Do a step in a folder without any MMPose; one interpreter forks for all of them."""
    host = object.__new__(check_host.Host)
    host.python, host.forks, host.here = Path(sys.executable), None, False
    host.place = tmp_path_factory.mktemp('host')
    host.environment = dict(os.environ)
    host.stock = host.ours = host.place / 'nowhere'
    host.entry = {}

    def do(command, seconds=60, files=(), wants=None, **kwargs):
        for name, content in dict(files).items():
            (host.place / name).write_text(content)
        return host.do(check_host.Step('t', 'o', command, wants or {}, **kwargs), seconds)

    yield do
    host.close()


def test_a_step_that_fails_or_lasts_too_long_is_told(do):
    assert do('{python} -c "print(5)"', says='5') == dict(status='passed')
    assert do('{python} -c "print(5)"', says='6')['why'] == "it does not say '6'"
    assert do('{python} -c "raise ValueError(7)"')['why'] == 'ValueError: 7'
    assert do('{python} -c "1"', wants={'*.png': 2})['why'] == '0 of 2 files *.png'
    assert do('{python} -c "1"', gone=('*.pth',)) == dict(status='passed')
    there = do('{python} -c "1"', files={'a.pth': ''}, gone=('*.pth',))
    assert there['why'] == '*.pth is there'
    assert 'took longer' in do('{python} -c "import time; time.sleep(30)"', 0.5)['why']
    assert do('{python} {stock}/tools/train.py')['status'] == 'n/a'


@pytest.mark.parametrize(('program', 'why'), [
    ('import sys; print(sys.argv[1:], __name__)', None),
    ('raise SystemExit("no such thing")', 'no such thing'),
    ('raise SystemExit(3)', 'exit status 3'),
    ('1 / 0', 'ZeroDivisionError: division by zero'),
    ('import time; time.sleep(30)', 'took longer than 0.5 s'),
    ('import sys; assert not {"mmpose", "mmcv", "mmengine"} & set(sys.modules)', None),
])  # fmt: skip
def test_a_script_runs_in_a_fork_as_by_itself(do, program, why):
    says = "['x', '--y'] __main__" if 'argv' in program else ''
    limit = 0.5 if 'sleep' in program else 60
    result = do('{python} a.py x --y', limit, files={'a.py': program}, says=says)
    assert result == (dict(status='failed', why=why) if why else dict(status='passed'))


def test_the_page_is_written_from_the_record(check_host, tmp_path):
    page = tmp_path / 'page.md'
    page.write_bytes(check_host.PAGE.read_bytes())
    check_host.write_page(json.loads(check_host.RECORD.read_text('utf-8')), page)
    assert page.read_text('utf-8') == check_host.PAGE.read_text('utf-8')


def test_nothing_failed_in_the_record_and_it_holds_every_step(check_host):
    kept = json.loads(check_host.RECORD.read_text('utf-8'))
    assert {'1.1.0', '1.2.0', '1.3.2'} <= set(kept['hosts'])
    results = {(row['tool'], row['options']): row['results'] for row in kept['rows']}
    for step in check_host.STEPS:
        for version in kept['hosts']:
            assert results[step.tool, step.options][version]['status'] in ('passed', 'n/a')
