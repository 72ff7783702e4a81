"""Reading MMEngine's text logs: two real ones, shortened."""

import json
from pathlib import Path

import pytest

from unsct_mmpose.files import write_json
from unsct_mmpose.research.training_log import read_log, read_run

ROOT = Path(__file__).resolve().parents[2]
LOGS = Path(__file__).parent / 'logs'
WORDS = dict(name='a', config='c.py', data='simulated')


@pytest.fixture
def finished():
    return read_log(LOGS / 'finished.log', **WORDS)


def test_the_header_names_seed_machine_and_versions(finished):
    assert finished.seed == 0
    assert finished.machine == 'NVIDIA H100 80GB HBM3'
    assert finished.versions == dict(
        python='3.12.3', torch='2.11.0+cu130', opencv='5.0.0', mmengine='0.10.7'
    )


def test_the_config_in_the_log_tells_batch_precision_and_what_was_planned(finished):
    assert (finished.batch_size, finished.precision) == (16, 'Bf16OptimWrapper')
    assert (finished.planned_epochs, finished.steps_per_epoch) == (45, 10)


def test_the_curve_has_one_point_for_each_validation_and_counts_its_steps(finished):
    assert [(point['epoch'], point['steps']) for point in finished.curve] == [
        (22, 220), (44, 440), (45, 450)
    ]  # fmt: skip
    assert finished.curve[-1] == {
        'epoch': 45, 'steps': 450,
        'all/MRE': 2.100652, 'all/SDR@2mm': 0.633142,
        'structured/MRE': 2.050646, 'structured/SDR@2mm': 0.637931,
        'unstructured/MRE': 2.200664, 'unstructured/SDR@2mm': 0.623563,
    }  # fmt: skip


def test_the_time_of_a_step_is_that_of_the_later_half(finished):
    # 192.5 and 192.9 ms in epochs 44 and 45, 1749 ms in the first
    assert 190 < finished.ms_per_step < 200


def test_a_training_that_was_cut_off_tells_how_far_it_got():
    run = read_log(LOGS / 'cut_off.log', **WORDS)
    assert not run.finished
    assert (run.epochs, run.planned_epochs) == (110, 120)
    assert [point['epoch'] for point in run.curve] == [60]


@pytest.mark.parametrize('lost', ['the last validation', 'the last step'])
def test_a_training_without_its_end_is_not_finished(tmp_path, lost):
    rows = (LOGS / 'finished.log').read_text().splitlines()
    wanted = 'Epoch(val) [45]' if lost == 'the last validation' else '[45]'
    path = tmp_path / 'a.log'
    path.write_text('\n'.join(row for row in rows if wanted not in row))
    run = read_log(path, **WORDS)
    assert not run.finished
    assert run.curve[-1]['epoch'] == 44


def test_a_line_that_was_cut_in_two_is_no_validation(tmp_path):
    text = (LOGS / 'finished.log').read_text()
    end = text.rindex('Epoch(val) [45]') + len('Epoch(val) [45][3/3]    all/ima')
    (tmp_path / 'a.log').write_text(text[:end])
    run = read_log(tmp_path / 'a.log', **WORDS)
    assert not run.finished and run.curve[-1]['epoch'] == 44


def test_the_config_of_a_log_is_read_and_never_run(tmp_path):
    text = (LOGS / 'finished.log').read_text()
    bad = text.replace('resume = False', f"resume = open({str(tmp_path / 'x')!r}, 'w')")
    assert bad != text
    (tmp_path / 'a.log').write_text(bad)
    with pytest.raises(ValueError, match=r'a\.log: the config in this log cannot be read'):
        read_log(tmp_path / 'a.log', **WORDS)
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('text', ['', 'Traceback (most recent call last):\n', '{"a": 1}'])
def test_another_file_is_refused_by_name(tmp_path, text):
    (tmp_path / 'a.log').write_text(text)
    with pytest.raises(ValueError, match=r'a\.log: not an MMEngine log'):
        read_log(tmp_path / 'a.log', **WORDS)


def test_a_run_survives_its_file(tmp_path, finished):
    write_json(tmp_path / 'r.json', finished)
    assert read_run(tmp_path / 'r.json') == finished
    (tmp_path / 'r.json').write_text('{"name": 1}')
    with pytest.raises(ValueError, match=r'r\.json: not a training'):
        read_run(tmp_path / 'r.json')


def test_the_command_writes_the_file_and_says_that_a_training_was_cut_off(tmp_path, unsct):
    out = tmp_path / 'deep' / 'r.json'
    done = unsct('results', 'read-log', LOGS / 'cut_off.log', '--name', 'long', '--config', 'c.py',
                 '--data', 'simulated', '--command', 'in words', '--out', out,
                 cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '110 of 120 epochs, cut off' in done.stdout
    run = json.loads(out.read_text())
    assert (run['name'], run['command'], run['finished']) == ('long', 'in words', False)
