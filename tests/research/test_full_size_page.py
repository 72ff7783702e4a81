import json
from dataclasses import replace
from pathlib import Path

import pytest

from unsct_mmpose.files import write_json
from unsct_mmpose.research.full_size_page import render_full_size_page
from unsct_mmpose.research.pages import write_page
from unsct_mmpose.research.training_log import read_log

FOLDER = Path(__file__).resolve().parents[2] / 'docs' / 'results'
LOGS = Path(__file__).parent / 'logs'


@pytest.fixture
def folder(tmp_path):
    run = read_log(LOGS / 'finished.log', name='unsct_450', config='c.py', data='simulated')
    worse = [point | {'all/MRE': 2 * point['all/MRE']} for point in run.curve[1:]]
    stock = replace(run, name='stock_450', curve=worse)
    cut = read_log(LOGS / 'cut_off.log', name='unsct_long', config='c.py', data='simulated')
    for training in (run, stock, cut):
        write_json(tmp_path / 'full_size' / f'{training.name}.json', training)
    return tmp_path


def test_the_committed_page_is_made_from_the_committed_files():
    assert (FOLDER / 'full-size.md').read_text() == render_full_size_page(FOLDER)


def test_errors_are_compared_where_both_trainings_have_a_validation(folder):
    page = write_page(folder, 'full-size').read_text()
    rows = [row for row in page.splitlines() if ' % |' in row]
    assert [row.split(' | ')[:5] for row in rows] == [
        ['| 440', '98 %', '4.205', '2.102', '0.500'],
        ['| 450', '100 %', '4.201', '2.101', '0.500'],
    ]


def test_the_page_says_what_was_cut_off_and_that_images_are_simulated(folder):
    page = render_full_size_page(folder)
    assert '**Cut off** after 110 of 120 planned epochs' in page
    assert 'simulated from real bones' in page
    assert '## A training step' not in page and '## Before' not in page


def test_a_step_that_failed_has_its_error_in_the_place_of_a_time(folder):
    settings = dict(precision='bf16', fused_adam=True, cuda_graph=True, channels_last=False)
    rows = [
        dict(network='stock', ms_per_step=200.0, forward_ms=1.0, **settings),
        dict(network='ours', ms_per_step=80.0, **settings),
        dict(network='broken', ms_per_step=None, failed='TypeError', **settings),
    ]
    known = dict(
        what='w', machine='m', versions={'torch': '2'}, revision='r', command='c',
        busy=dict(of='ours', gpu_busy_ms=60, kernels=7), rows=rows,
    )  # fmt: skip
    (folder / 'full_size' / 'timings.json').write_text(json.dumps(known))
    page = render_full_size_page(folder)
    assert '| ours | bf16 | yes | yes | no | 80.0 | 2.50 |' in page
    assert '| broken | bf16 | yes | yes | no | TypeError | - |' in page


def test_the_results_page_names_the_other_pages():
    assert '[Trainings at full size](full-size.md)' in (FOLDER / 'README.md').read_text()
