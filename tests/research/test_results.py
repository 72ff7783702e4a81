import importlib
import json
import math
import re
from pathlib import Path

import pytest

from unsct_mmpose.files import write_json
from unsct_mmpose.research.experiment import check_result
from unsct_mmpose.research.markdown import markdown_table
from unsct_mmpose.research.pages import render_index_page, write_pages
from unsct_mmpose.research.results import (
    Result,
    check_expected,
    describe_host,
    read_folder,
    write_result,
)
from unsct_mmpose.research.results import read_result as read_any


@pytest.fixture
def result():
    metrics = {'structured/MRE': 2.5, 'unstructured/MRE': math.nan, 'all/MRE': 2.5}
    return Result(
        name='run', config='c.py', data='simulated', seed=3, commands=['python a'],
        metrics=metrics, seconds={'train': 1.5},
    )  # fmt: skip


def read_result(path):
    return read_any(path, needs='metrics')


def test_a_result_survives_its_file(tmp_path, result):
    write_result(tmp_path / 'deep' / 'r.json', result)
    back = read_result(tmp_path / 'deep' / 'r.json')
    assert back.metrics['all/MRE'] == 2.5
    assert math.isnan(back.metrics['unstructured/MRE'])
    assert (back.name, back.seed, back.commands) == ('run', 3, ['python a'])


def test_the_file_is_strict_json_and_leaves_no_part_behind(tmp_path, result):
    write_result(tmp_path / 'r.json', result)
    json.loads((tmp_path / 'r.json').read_text(), parse_constant=pytest.fail)
    assert [path.name for path in tmp_path.iterdir()] == ['r.json']


A_STUDY = '{"name": "a", "data": "simulated", "seed": 0, "figures": {"E_20": 1.0}}'


@pytest.mark.parametrize('text', ['', '{', '[]', '{"metrics": 3}', '{"metrics": {}}', A_STUDY])
def test_another_file_is_refused_by_name(tmp_path, text):
    (tmp_path / 'x.json').write_text(text)
    with pytest.raises(ValueError, match=r'x\.json: not a result file'):
        read_result(tmp_path / 'x.json')


def test_the_table_has_a_row_for_each_subset_and_a_dash_for_nothing(result):
    rows = markdown_table([result], ['MRE', 'recall']).splitlines()
    assert rows[2:] == [
        '| run | structured | 2.500 | - |',
        '| run | unstructured | - | - |',
        '| run | all | 2.500 | - |',
    ]


def test_expected_numbers_are_held_against_the_measured_ones():
    expected = {'all/MRE': dict(value=2.0, tolerance=0.3), 'all/recall': dict(value=1, tolerance=0)}
    assert check_expected(expected, {'all/MRE': 2.2, 'all/recall': 1.0}) == []
    problems = check_expected(expected, {'all/MRE': 2.4})
    assert len(problems) == 2
    assert 'all/MRE: 2.4, expected 2.0 +- 0.3' in problems
    assert check_expected(expected, {'all/MRE': math.nan, 'all/recall': 1.0})


def test_the_machine_and_its_packages_are_named():
    host = describe_host()
    assert 'cores' in host['machine']
    assert host['versions']['torch'][0].isdigit()


def test_the_page_in_docs_is_what_its_result_files_say():
    folder = Path(__file__).resolve().parents[2] / 'docs' / 'results'
    assert (folder / 'README.md').read_text() == render_index_page(folder)


def test_the_page_names_command_seed_machine_and_simulation(tmp_path, result):
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'notes').mkdir()
    write_result(tmp_path / 'runs' / 'run.json', result)
    (tmp_path / 'notes' / 'run.md').write_text('What fails.')
    page = render_index_page(tmp_path)
    for words in ('| run | all | 2.500 |', 'python a', 'Seed 3', 'simulated', 'What fails.'):
        assert words in page


def test_the_readme_shows_the_demo_that_was_run():
    root = Path(__file__).resolve().parents[2]
    demo = read_result(root / 'docs' / 'results' / 'runs' / 'demo.json')
    table = markdown_table([demo], ['MRE', 'median', 'SDR@2mm', 'SDR@4mm', 'SDR@10mm'])
    readme = (root / 'README.md').read_text()
    for row in table.replace('| demo | ', '| ').splitlines()[2:]:
        assert row in readme


def test_the_demo_s_result_is_what_its_config_expects(monkeypatch):
    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(root)
    assert check_result(root / 'docs' / 'results' / 'runs' / 'demo.json') == []


PAGES = {
    'runs/a.json': 'pages.render_index_page',
    'step/a.json': 'pages.render_index_page',
    'decode/a.json': 'pages.render_index_page',
    'uncertainty/a.json': 'study_page.render_study_page',
    'fusion/a.json': 'fusion_study.render_fusion_page',
    'full_size/a.json': 'full_size_page.render_full_size_page',
    'full_size/timings.json': 'full_size_page.render_full_size_page',
    'onnx/exports.json': 'onnx_study.render_onnx_page',
    'cpu/set/a.json': 'paper_page.render_paper_page',
}


@pytest.mark.parametrize(('file', 'page'), PAGES.items())
def test_every_page_names_the_file_that_cannot_be_read(tmp_path, file, page):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text('{"cut off": ')
    module, render = page.split('.')
    with pytest.raises(ValueError, match=re.escape(str(path))):
        getattr(importlib.import_module(f'unsct_mmpose.research.{module}'), render)(tmp_path)


def test_a_folder_is_read_by_name_in_order_and_may_be_missing(tmp_path):
    for name in ('b', 'a', 'c'):
        write_json(tmp_path / f'{name}.json', dict(is_=name))
    (tmp_path / 'a.txt').touch()
    assert read_folder(tmp_path) == {name: dict(is_=name) for name in ('a', 'b', 'c')}
    assert list(read_folder(tmp_path, pattern='b*.json')) == ['b']
    assert read_folder(tmp_path / 'none') == {}


def test_a_folder_gets_the_pages_that_it_has_results_for_and_an_index_that_names_them(tmp_path):
    study = Result(
        name='s', kind='fusion', model='m', data='simulated', seed=0, calibrated_on='c', figures={}
    )
    write_result(tmp_path / 'fusion' / 's.json', study)
    write_json(tmp_path / 'onnx' / 'predict.json', dict(config='c.py'))
    pages = write_pages(tmp_path)
    assert [path.name for path in pages] == ['fusion.md', 'onnx.md', 'README.md']
    assert '](fusion.md)' in pages[-1].read_text() and '](onnx.md)' in pages[-1].read_text()
