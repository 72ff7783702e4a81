"""What is fast, measured in a form of seconds: nothing here depends on how long anything takes."""

import json
import sys

import numpy as np
import pytest

from unsct_mmpose.drawing.figures import figure_growth
from unsct_mmpose.research import performance, scale
from unsct_mmpose.research.pages import write_page
from unsct_mmpose.research.performance_page import TARGETS

ROWS = [dict(images=10, seconds=0.1, peak_mb=3), dict(images=100, seconds=1.2, peak_mb=3)]


@pytest.fixture
def folder(tmp_path):
    """Results of two benchmarks and of a session with a GPU."""
    phantom = dict(value=9, min=8, max=10)
    targets = dict(evaluation_seconds=dict(value=61.0), phantom_images_per_s=phantom)
    runs = dict(annotations=ROWS, evaluation=ROWS, decoding=ROWS)
    for name, content in dict(
        scale=dict(machine='a machine', versions=dict(torch='2'), targets=targets, **runs)
    ).items():
        (tmp_path / 'performance').mkdir(exist_ok=True)
        (tmp_path / f'performance/{name}.json').write_text(json.dumps(content))
    timings = dict(
        what='steps', machine='H100', versions=dict(torch='2'), busy=dict(gpu_busy_ms=60),
        rows=[dict(network='stock', ms_per_step=160.0), dict(network='unsct', ms_per_step=80.0),
              dict(network='unsct', ms_per_step=None), dict(network='other', ms_per_step=1.0)],
    )  # fmt: skip
    (tmp_path / 'full_size').mkdir()
    (tmp_path / 'full_size/timings.json').write_text(json.dumps(timings))
    return tmp_path


def test_each_target_has_a_row_met_missed_or_with_the_reason_why_there_is_no_figure(folder):
    page = write_page(folder, 'performance').read_text()
    rows = {line.split(' | ')[0].strip('| '): line for line in page.splitlines() if ' | ' in line}
    for target in TARGETS.values():
        assert target.words in rows
    assert '| at most 60 | 61 | **no** | scale |' in rows[TARGETS['evaluation_seconds'].words]
    assert '| 9 (8 to 10) | yes | scale |' in rows[TARGETS['phantom_images_per_s'].words]
    assert '| at least 2.5 | 2 | **no** | full-size |' in rows[TARGETS['gpu_step_over_stock'].words]
    assert '| 0.75 | **no** |' in rows[TARGETS['gpu_busy_share'].words]
    assert '| - | - | not measured yet |' in rows[TARGETS['demo_minutes'].words]
    assert '(performance/scale.png)' in page
    assert (folder / 'performance/scale.png').is_file()


def test_growth_is_drawn_and_needs_something_to_draw():
    picture = figure_growth(dict(decoding=ROWS), source='simulated')
    assert picture.dtype == np.uint8 and picture.std() > 10
    with pytest.raises(ValueError, match='at least one run'):
        figure_growth({}, source='simulated')


@pytest.mark.parametrize('name', ['transfers', 'pipeline', 'scale'])  # others: tests of their own
def test_every_benchmark_runs_and_its_figures_are_of_targets(name, request, tmp_path, monkeypatch):
    monkeypatch.setattr(performance, 'describe_host', lambda: dict(machine='', versions={}))
    ((done, seconds),) = performance.measure_all(request.config.rootpath, tmp_path, [name], True)
    content = json.loads((tmp_path / f'performance/{name}.json').read_text())
    assert done == name and seconds > 0
    assert content['targets'] and set(content['targets']) <= set(TARGETS)
    assert f'--only {name}' in content['command']


def test_a_landmark_set_has_as_many_landmarks_and_relations_as_asked_for():
    for count, relations in ((12, 17), (24, 52), (48, 104), (96, 208)):
        landmarks = scale.some_landmarks(count, relations)
        assert (len(landmarks), len(landmarks.relations['full'])) == (count, relations)


def test_minutes_of_a_command_stand_beside_those_of_others_unless_it_fails(tmp_path):
    out = tmp_path / 'commands.json'
    for target in ('test_minutes', 'check_minutes'):
        assert performance.time_command(target, [sys.executable, '-c', ''], out) == 0
    content = json.loads(out.read_text())
    assert set(content['targets']) == {'test_minutes', 'check_minutes'}
    assert performance.time_command('demo_minutes', [sys.executable, '-c', 'exit(3)'], out) == 3
    assert json.loads(out.read_text()) == content
    with pytest.raises(ValueError, match=r'no target .*demo_minutes'):
        performance.time_command('tests', ['true'], out)


def test_memory_that_was_freed_before_is_counted_when_it_is_used_again(run_python):
    """In a process of its own, whose memory nobody else has left in pieces."""
    program = (
        'import numpy as np\n'
        'from unsct_mmpose.research.scale import measured\n'
        'fill = lambda: [np.ones(3000) for _ in range(4000)]\n'
        'first = fill(); pin = np.ones(3000); del first\n'
        'with measured() as meter: second = fill()\n'
        'print(meter.peak_mb)'
    )
    assert float(run_python('-c', program).stdout) > 80
