"""Drawn patients: what the study says of coverage is what was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.drawing.figures import figure_promise
from unsct_mmpose.research import promise_study
from unsct_mmpose.research.fusion_study import simulated_table
from unsct_mmpose.research.pages import write_page
from unsct_mmpose.research.results import Result, write_result

FULL = relation_set('core')


def clustered(patients, images, seed):
    rng = np.random.default_rng(seed)
    drawn = simulated_table(patients, FULL, misleading=0.0, seed=seed, images=images)
    shared = np.repeat(rng.normal(0, 3.0, (patients, 24, 2)), images, axis=0)
    return replace(drawn, points_px=drawn.points_px + shared)


@pytest.fixture(scope='module')
def figures():
    pool = clustered(10, 3, 11)
    return promise_study.compare(
        pool, {'noisier': clustered(4, 2, 12)}, FULL, [3, 8, 99], draws=2, levels=(0.5, 0.95)
    )


def test_sizes_that_leave_nobody_are_left_out(figures):
    assert list(figures['sizes']) == ['3', '8']
    assert set(figures['sizes']['3']) == {'patient', 'image'}
    assert list(figures['shifted']) == ['noisier']


def test_a_larger_promise_is_held_more_often_and_costs_more(figures):
    for units in figures['sizes'].values():
        low, high = (units['patient'][level]['all'] for level in ('0.5', '0.95'))
        assert low['regions']['coverage'] < high['regions']['coverage']
        assert low['regions']['radius'] < high['regions']['radius']
        assert high['regions']['low'] <= high['regions']['coverage'] <= high['regions']['high']
        assert low['mean_coverage'] < high['mean_coverage']
        for name, one in low['parameters'].items():
            assert one['width'] < high['parameters'][name]['width']


def test_patients_hold_more_than_images_where_they_differ(figures):
    found = figures['sizes']['3']
    ours, before = (found[unit]['0.95']['all']['regions'] for unit in ('patient', 'image'))
    assert ours['coverage'] > before['coverage']


def test_the_first_images_of_each_patient_are_taken():
    table = promise_study.first_images(clustered(3, 4, 13), 2)
    names, counts = np.unique(table.patients, return_counts=True)
    assert counts.tolist() == [2, 2, 2] and len(names) == 3


def test_the_page_shows_every_study_and_its_figure(tmp_path, figures):
    result = Result(
        name='drawn', kind='promise', model='none', data='drawn evidence', calibrated_on='2 draws',
        seed=0, figures=figures,
    )  # fmt: skip
    (tmp_path / 'promise').mkdir()
    write_result(tmp_path / 'promise' / 'drawn.json', result)
    grown = {'0.5': {'ellipse': dict(coverage=0.5, radius=2.0)}}
    other = Result(
        name='regions', kind='grown', model='none', data='drawn', calibrated_on='2 draws', seed=0,
        figures=grown,
    )  # fmt: skip
    write_result(tmp_path / 'promise' / 'regions.json', other)
    page = write_page(tmp_path, 'promise').read_text()
    assert '## drawn' in page and 'noisier' in page and '50.0 %, 2.00 mm' in page
    assert (tmp_path / 'promise' / 'promise.png').read_bytes()[:4] == b'\x89PNG'


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(ValueError, match='at least one study'):
        figure_promise({}, source='simulated')
