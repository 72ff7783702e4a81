import math
import re
from dataclasses import fields

import numpy as np
import pytest
import torch

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.maps.evidence import Evidence
from unsct_mmpose.research.results import Result, read_result, write_result
from unsct_mmpose.research.study import ablate, judge, restrict_relations
from unsct_mmpose.research.study_page import render_study_page

FULL = relation_set('full')


@pytest.fixture(scope='module')
def figures(table):
    return judge(table, table, FULL, bootstrap=5)


def test_ours_lies_between_keeping_all_and_the_oracle(figures):
    keep, ours, oracle = (
        figures[f'set_error/unstructured/{name}E_20'] for name in ('keep_all/', '', 'oracle/')
    )
    assert oracle <= ours < keep
    assert figures['set_error/unstructured/recovered_E_20'] == pytest.approx(
        (keep - ours) / (keep - oracle)
    )
    assert figures['set_error/all/reject_all/E_20'] == pytest.approx(20)


def test_every_rule_and_every_image_is_counted(figures, table):
    assert {key.split('/')[1] for key in figures if key.startswith('rule/')} == {
        'equal_cost', 'recall', 'youden', 'conformal'
    }  # fmt: skip
    states = sum(value for key, value in figures.items() if key.startswith('image/'))
    assert states == len(table)


def test_the_smaller_relation_set_is_read_from_the_same_fields(table):
    smaller, core = restrict_relations(table, FULL, 'core')
    assert core.name == 'core'
    position = {pair: index for index, pair in enumerate(FULL.pairs)}
    for index, pair in enumerate(core.pairs):
        torch.testing.assert_close(
            smaller.evidence.relation_alignment[:, index],
            table.evidence.relation_alignment[:, position[pair]],
        )
    assert smaller.evidence.support.max() <= table.evidence.support.max()


def test_an_ablation_has_a_row_for_every_variant(table):
    half = np.isin(table.patients, ['p0', 'p1'])
    rows = ablate(table.take(half), table.take(~half), FULL)
    paf = [row for row in rows if row['evidence'] == 'paf']
    assert len(paf) == 2 * 2 * 4
    assert {row['relations'] for row in rows} == {'full', 'core'}
    assert all(0 <= row['recall'] <= 1 and row['recovered'] <= 1 for row in rows)
    monotone = {
        row['auroc']
        for row in paf
        if row['relations'] == 'full'
        and row['aggregation'] == 'paper'
        and row['entropy'] in ('mirror', 'linear')
    }
    assert max(monotone) - min(monotone) < 1e-3, 'monotone entropies rank alike'


def test_a_result_is_read_back_and_shown(figures, tmp_path):
    result = Result(
        name='set-val_s3', kind='main', model='all', data='simulated',
        calibrated_on='cross-fitted', seed=3, figures=figures,
    )  # fmt: skip
    folder = tmp_path / 'uncertainty'
    write_result(folder / 'a.json', result)
    again = read_result(folder / 'a.json')
    assert again.name == result.name
    page = render_study_page(tmp_path)
    ours = figures['set_error/unstructured/fused/E_20']
    assert f'| {ours:.3f} [' in page
    assert 'simulated' in page
    assert not re.search(r'\bnan\b', page)


def test_what_is_no_result_file_is_named(tmp_path):
    (tmp_path / 'b.json').write_text('{"name": 1}')
    with pytest.raises(ValueError, match=r'b\.json: not a result file'):
        read_result(tmp_path / 'b.json')


def test_nan_is_written_as_null(tmp_path):
    result = Result(name='x', data='d', seed=0, figures=dict(value=math.nan))
    write_result(tmp_path / 'c.json', result)
    assert read_result(tmp_path / 'c.json').figures['value'] is None


def test_evidence_has_one_row_for_each_image(table):
    part = table.take(np.arange(3))
    assert len(part) == 3
    for field in fields(Evidence):
        assert len(getattr(part.evidence, field.name)) == 3


def test_the_page_in_docs_is_what_its_result_files_say(request):
    folder = request.config.rootpath / 'docs' / 'results'
    assert (folder / 'uncertainty.md').read_text() == render_study_page(folder)
