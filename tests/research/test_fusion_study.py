import json
import math

import numpy as np
import pytest

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.research.fusion_study import (
    CHOSEN,
    REMEDIES,
    compare,
    simulated_table,
)
from unsct_mmpose.research.pages import write_page
from unsct_mmpose.research.results import Result, write_result

CORE = relation_set('core')
TODAY = next(iter(REMEDIES))


def drawn(patients, misleading, seed):
    return simulated_table(patients, CORE, misleading=misleading, seed=seed, images=6)


@pytest.fixture(scope='module')
def figures():
    pool, other = drawn(8, 0.4, 1), drawn(6, 0.4, 2)
    return compare(pool, dict(other=other, rest=pool), CORE, (1, 2, 8), draws=3, seed=0)


def test_every_remedy_is_judged_beside_the_peak_and_the_fields(figures):
    assert set(figures) == {'other', 'rest'}
    for sizes in figures.values():
        assert list(sizes) == ['1', '2'], 'with all eight nobody would be left'
        for decisions in sizes.values():
            assert set(decisions) == {'peak', 'paf', *REMEDIES}
            assert decisions[TODAY]['minus_today'] == 0 and decisions['peak']['minus_peak'] == 0
            assert math.isnan(decisions['peak']['log_loss']) and decisions[CHOSEN]['log_loss'] > 0
            for decision in decisions.values():
                expected = decision['E_20'] - decisions['peak']['E_20']
                assert decision['minus_peak'] == pytest.approx(expected)


def test_the_same_seed_draws_the_same_patients(figures):
    pool = drawn(8, 0.4, 1)
    again = compare(pool, dict(rest=pool), CORE, (1, 2), draws=3, seed=0)
    for name, figure in figures['rest']['2'].items():
        assert again['rest']['2'][name] == pytest.approx(figure, nan_ok=True)


def test_one_patient_leaves_the_choice_with_silent_fields(figures):
    found = figures['other']['1']
    assert found[CHOSEN]['E_20'] == found['fields silent (standout)']['E_20']


def test_good_fields_tell_and_misleading_ones_do_not():
    def contrast(misleading):
        table = drawn(4, misleading, 0)
        aligned = table.evidence.peeled.numpy()
        return aligned[table.present].mean() - aligned[~table.present].mean()

    assert contrast(0.0) > 0.4
    assert abs(contrast(1.0)) < 0.1


def test_the_page_shows_each_result_and_its_words(tmp_path, figures):
    result = Result(
        name='two', kind='fusion', model='a model', data='drawn', seed=0,
        calibrated_on='design: 3 draws', figures=figures,
    )  # fmt: skip
    write_result(tmp_path / 'fusion' / 'two.json', result)
    assert json.loads((tmp_path / 'fusion' / 'two.json').read_text())['figures']['other']['1']
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / 'fusion.md').write_text('Some words.')
    page = write_page(tmp_path, 'fusion').read_text()
    assert 'Some words.' in page and '## two' in page and 'Judged on other:' in page
    rows = [row for row in page.splitlines() if row.startswith(f'| **{CHOSEN}**')]
    assert len(rows) == 2
    found = figures['other']['2'][CHOSEN]
    assert f'{found["E_20"]:.3f} ({found["minus_today"]:+.3f} ± ' in rows[0]
    assert not np.isnan(found['log_loss'])
