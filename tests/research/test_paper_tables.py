import csv
import io
import json
import math
import re
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.calibrate.evidence_table import save_table
from unsct_mmpose.calibrate.fit import evaluate, predicted_samples
from unsct_mmpose.cli.main import main
from unsct_mmpose.files import jsonable
from unsct_mmpose.maps.calibration_fit import FitOptions, fit_calibration
from unsct_mmpose.maps.deciders import DecisionOptions
from unsct_mmpose.maps.uncertainty import landmark_alignment
from unsct_mmpose.research import paper_run
from unsct_mmpose.research.paper_judge import judge_decisions, judge_paper
from unsct_mmpose.research.paper_page import render_csv, render_paper_page, write_paper_page
from unsct_mmpose.research.paper_plan import (
    PUBLISHED,
    PUBLISHED_COLUMNS,
    REVISION,
    ROWS,
    judged_file,
    plan,
)
from unsct_mmpose.research.paper_run import (
    final_checkpoint,
    judge_again,
    read_curve,
    run_one,
    train,
)
from unsct_mmpose.research.results import Result, read_result

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'


# The plan


def test_the_plan_goes_by_rank_and_then_by_seed():
    runs = plan('cpu', Path('set'))
    order = [(run.row.rank, run.seed) for run in runs]
    assert order == sorted(order)
    assert runs[0].row.stem == 'unsct-hrnet'
    assert len(runs) == sum(row.seeds for row in ROWS)


def test_every_run_has_a_name_a_folder_and_a_result_file_of_its_own():
    runs = [
        run for budget in ('cpu', 'gpu') for data in ('a', 'b') for run in plan(budget, Path(data))
    ]
    assert len({run.work_dir(Path('root')) for run in runs}) == len(runs)
    assert len({run.result_file(Path('results')) for run in runs}) == len(runs)
    assert len({run.name for run in plan('cpu', Path('a'))}) == len(runs) / 4
    assert len({row.label for row in ROWS}) == len(ROWS)


def test_a_result_file_lies_by_budget_and_data():
    (run,) = plan('gpu', Path('data/phantom'), ['u_net'], seeds=1)
    assert run.result_file(Path('r')) == Path('r/gpu/phantom/u_net_s0.json')
    assert run.work_dir(Path('w')) == Path('w/gpu/phantom/u_net/seed_0')


def test_the_plan_can_be_cut_to_some_configs_and_seeds():
    runs = plan('cpu', Path('set'), ['u_net', 'unsct-hrnet'], seeds=2)
    assert [run.name for run in runs] == [
        'unsct-hrnet_s0', 'unsct-hrnet_s1', 'u_net_s0', 'u_net_s1',
    ]  # fmt: skip


def test_an_unknown_config_or_budget_is_refused_with_the_names_that_there_are():
    with pytest.raises(ValueError, match=r'no such config in the plan: hrnet; there are unsct-h'):
        plan('cpu', Path('set'), ['hrnet'])
    with pytest.raises(ValueError, match=r"unknown budget 'tpu'; choose from \('cpu', 'gpu'\)"):
        plan('tpu', Path('set'))


def test_the_plan_says_which_configs_predict_fields(monkeypatch):
    monkeypatch.setenv('UNSCT_BUDGET', 'cpu')
    for row in ROWS:
        head = Config.fromfile(CONFIGS / row.config).model.head
        assert row.fields == ('PAF' in head.type), row.config


def test_every_row_of_the_plan_stands_in_a_table_and_in_the_readme(tmp_path):
    page = render_paper_page(write(tmp_path, make_result('u_net')))
    readme = (CONFIGS / 'README.md').read_text()
    for row in ROWS:
        assert f'| {row.label} |' in page, row.config
        assert Path(row.source).name in readme, row.source


def test_every_config_of_the_experiments_is_in_the_plan():
    folders = {Path(row.config).parent for row in ROWS}
    files = {
        path.relative_to(CONFIGS) for folder in folders for path in (CONFIGS / folder).glob('*.py')
    }
    aside = {Path('ablation/unsct_hrnet_cover_cpu.py'), Path('u_net/unsct-u_net_two_cores.py')}
    assert files - aside == {Path(row.config) for row in ROWS}


@pytest.mark.parametrize(('budget', 'name'), [('cpu', 'epoch_20.pth'), ('gpu', 'epoch_300.pth')])
def test_the_last_epoch_counts_in_each_budget(monkeypatch, budget, name):
    monkeypatch.setenv('UNSCT_BUDGET', budget)
    assert final_checkpoint(CONFIGS / 'hrnet/ori-hrnet.py', Path('w')) == Path('w') / name


def test_the_test_split_is_judged_where_there_is_one(tmp_path):
    assert judged_file(tmp_path) == 'val.json'
    (tmp_path / 'test.json').touch()
    assert judged_file(tmp_path) == 'test.json'


# Training


@pytest.fixture
def trainable(tmp_path):
    """A run, its config and a tool that writes down how it was called."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'set').mkdir()
    (tmp_path / 'tools/train.py').write_text(
        'import json, pathlib, sys\n'
        'folder = pathlib.Path(sys.argv[sys.argv.index("--work-dir") + 1])\n'
        '(folder / "called.json").write_text(json.dumps(sys.argv[1:]))\n'
        'sys.exit(3) if (folder / "broken").exists() else (folder / "epoch_2.pth").touch()\n'
    )
    (tmp_path / 'config.py').write_text('train_cfg = dict(max_epochs=2)')
    (run,) = plan('cpu', tmp_path / 'set', ['u_net'], seeds=1)
    return replace(run, seed=5), tmp_path / 'config.py', tmp_path / 'work', tmp_path / 'tools'


@pytest.mark.parametrize('splits', [('val.json',), ('val.json', 'test.json')])
def test_training_resumes_with_its_seed_and_shares_no_patient(trainable, splits):
    run, config, root, tools = trainable
    for name in splits:
        (run.data / name).touch()
    command = train(run, config, root, tools)
    called = json.loads((run.work_dir(root) / 'called.json').read_text())
    assert called[0] == str(config)
    assert '--resume' in called
    assert 'randomness.seed=5' in called
    assert 'default_hooks.checkpoint.save_best=None' in called
    assert f'train_dataloader.dataset.disjoint_from=[{",".join(splits)}]' in called
    assert command.startswith('python tools/train.py config.py --work-dir work/cpu/set/u_net')


def test_what_is_trained_is_not_trained_again(trainable):
    run, config, root, tools = trainable
    command = train(run, config, root, tools)
    seconds = (run.work_dir(root) / 'seconds').read_text()
    (run.work_dir(root) / 'called.json').unlink()
    assert train(run, config, root, tools) == command
    assert not (run.work_dir(root) / 'called.json').exists()
    assert (run.work_dir(root) / 'seconds').read_text() == seconds


def test_a_failed_training_names_its_command_and_its_log(trainable):
    run, config, root, tools = trainable
    run.work_dir(root).mkdir(parents=True)
    (run.work_dir(root) / 'broken').touch()
    with pytest.raises(
        RuntimeError, match=r'exit status 3 from: python tools/train\.py .*log\.txt'
    ):
        train(run, config, root, tools)


def test_the_seconds_of_all_attempts_are_counted(trainable):
    run, config, root, tools = trainable
    run.work_dir(root).mkdir(parents=True)
    (run.work_dir(root) / 'seconds').write_text('1000.5')
    train(run, config, root, tools)
    assert 1000.5 < float((run.work_dir(root) / 'seconds').read_text()) < 1100


def write_log(work_dir, attempt, lines):
    path = work_dir / attempt / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line)
                              for line in lines))  # fmt: skip


def test_a_resumed_training_has_one_curve(tmp_path):
    steps = dict(lr=1e-3, loss=3.0, epoch=1, iter=10, step=10)
    write_log(tmp_path, '20260101_120000', [
        steps, {'all/MRE': 9.0, 'step': 4}, steps, {'all/MRE': 8.0, 'step': 8},
    ])  # fmt: skip
    write_log(tmp_path, '20260101_130000', [{'all/MRE': 7.5, 'step': 8}, steps,
                                            {'all/MRE': 6.0, 'step': 12}])  # fmt: skip
    assert read_curve(tmp_path) == {'epoch': [4, 8, 12], 'all/MRE': [9.0, 7.5, 6.0]}


def test_without_a_log_the_curve_is_empty(tmp_path):
    assert read_curve(tmp_path) == {'epoch': [], 'all/MRE': []}


def test_a_line_that_an_interruption_cut_off_is_passed_over(tmp_path):
    write_log(tmp_path, '1', [{'all/MRE': 9.0, 'step': 4}, '{"all/MRE": 8.'])
    assert read_curve(tmp_path) == {'epoch': [4], 'all/MRE': [9.0]}


# Judging


@pytest.fixture(scope='module')
def doubtful(table):
    """The same images, but peaks and fields are so noisy that no evidence is perfect."""
    generator = torch.Generator().manual_seed(0)
    noisy = {
        name: getattr(table.evidence, name)
        + spread * torch.randn(getattr(table.evidence, name).shape, generator=generator)
        for name, spread in (('peak', 0.3), ('relation_alignment', 0.4))
    }
    mean = landmark_alignment(
        noisy['relation_alignment'], relation_set('full').pairs, 24, aggregation='paper'
    )
    noisy['alignment'] = mean.alignment
    return replace(table, evidence=replace(table.evidence, **noisy))


@pytest.fixture(scope='module')
def decided(doubtful):
    return judge_decisions(doubtful, doubtful, fields=True)


@pytest.fixture(scope='module')
def stock(doubtful):
    """The same again, but the model has scores only."""
    silent = torch.zeros_like(doubtful.evidence.relation_alignment)
    evidence = replace(doubtful.evidence, relation_alignment=silent)
    return judge_decisions(*[replace(doubtful, evidence=evidence)] * 2, fields=False)


def test_a_model_with_fields_is_judged_by_every_evidence(decided):
    paper = ['paper', 'paper_fitted', 'paper_mirrored']
    assert list(decided) == ['keep_all', 'peak', *paper, 'paf', 'fused', 'oracle']


def test_a_stock_model_has_no_fields_to_decide_by(stock):
    assert list(stock) == ['keep_all', 'peak', 'oracle']


@pytest.mark.parametrize('subset', ['structured', 'unstructured', 'all'])
@pytest.mark.parametrize('which', ['decided', 'stock'])
def test_keeping_all_misses_nothing_and_the_oracle_is_the_best(request, which, subset):
    figures = request.getfixturevalue(which)
    errors = {name: judged[f'set_error/{subset}/E_20'] for name, judged in figures.items()}
    assert errors['oracle'] == min(errors.values())
    assert figures['keep_all'][f'presence/{subset}/recall'] == 1
    assert figures['oracle'][f'presence/{subset}/recall'] == 1
    if subset != 'structured':
        assert figures['keep_all'][f'presence/{subset}/specificity'] == 0
        assert figures['oracle'][f'presence/{subset}/specificity'] == 1
        assert errors['oracle'] < errors['peak'] < errors['keep_all']


def test_each_evidence_ranks_by_its_own_uncertainty(decided):
    found = {name: decided[name]['presence/all/AUROC'] for name in ('peak', 'paf', 'fused')}
    assert len(set(found.values())) == 3
    assert min(found.values()) > 0.6


def test_the_paper_s_decision_is_that_of_the_codec_in_its_mode(decided, doubtful):
    """Kept are the landmarks whose -w log w of all their relations' mean is at most 0.365."""
    pairs = np.array(relation_set('full').pairs)
    aligned = doubtful.evidence.relation_alignment.numpy()
    mine = [(pairs == landmark).any(axis=1) for landmark in range(24)]
    w = np.clip(np.stack([aligned[:, own].mean(axis=1) for own in mine], axis=1), 0, 1)
    reported = -w * np.log(w + 1e-6) <= 0.365
    seen = doubtful.present
    assert 0.2 < reported[~seen].mean() < 0.95
    assert decided['paper']['presence/all/recall'] == pytest.approx(reported[seen].mean())
    assert decided['paper']['presence/all/specificity'] == pytest.approx(1 - reported[~seen].mean())
    distance = np.hypot(*((doubtful.points_px - doubtful.true_px) * 0.7).transpose(2, 0, 1))
    cost = np.where(seen & reported, distance.clip(max=20), 20.0 * (seen | reported))
    sets = [costs[which].mean() for costs, which in zip(cost, seen | reported, strict=True)]
    assert decided['paper']['set_error/all/E_20'] == pytest.approx(np.mean(sets), rel=1e-6)


def test_fitted_thresholds_of_the_paper_s_decision_have_not_seen_the_patient(doubtful):
    """A patient whose fields say little is judged by the others' thresholds, and loses for it."""
    odd = torch.from_numpy(doubtful.patients == 'p0')[:, None]
    weak = {
        name: torch.where(odd, 0.3 * value, value)
        for name in ('relation_alignment', 'alignment')
        for value in [getattr(doubtful.evidence, name)]
    }
    table = replace(doubtful, evidence=replace(doubtful.evidence, **weak))
    parts = [
        (table.take(table.patients == patient), table.take(table.patients != patient))
        for patient in sorted(set(table.patients))
    ]
    whole, key = judge_paper(table, table), 'set_error/all/E_20'
    for name in ('paper_fitted', 'paper_mirrored'):
        found = [(judge_paper(*pair)[name][key], len(pair[0])) for pair in parts]
        mean = sum(error * count for error, count in found) / len(table)
        assert whole[name][key] == pytest.approx(mean), name
    decision = DecisionOptions(evidence='paf', aggregation='paper')
    leaking = fit_calibration(table, relation_set('full'), FitOptions(decision=decision))
    leaked = evaluate(predicted_samples(table, relation_set('full'), leaking, decision))
    assert abs(leaked[key] - whole['paper_mirrored'][key]) > 1e-3, 'else both would pass'


def test_mirroring_ranks_by_the_alignment_and_what_is_printed_does_not(decided):
    paper = decided['paper']
    mirrored = decided['paper_mirrored']['presence/all/AUROC']
    assert mirrored == pytest.approx(paper['alignment/AUROC/alignment'], abs=1e-4)
    assert paper['presence/all/AUROC'] == paper['alignment/AUROC/printed']
    assert decided['paper_fitted']['presence/all/AUROC'] == paper['alignment/AUROC/printed']
    assert paper['alignment/AUROC/printed'] < paper['alignment/AUROC/alignment'] - 0.1


def test_scores_alone_decide_alike_with_and_without_fields(decided, stock):
    assert stock['peak'] == pytest.approx(decided['peak'], nan_ok=True)
    assert stock['oracle']['landmark/all/MRE'] == decided['oracle']['landmark/all/MRE']


def test_the_papers_protocol_punishes_what_is_rejected(decided):
    keep, oracle = (decided[name]['paper/unstructured/MRE'] for name in ('keep_all', 'oracle'))
    assert oracle < keep
    assert decided['keep_all']['paper/all/images'] == 12


# The page


def make_result(stem, seed=0, error=2.0, budget='cpu', **figures):
    row = next(row for row in ROWS if row.stem == stem)
    shared = {'landmark/all/MRE': error, 'presence/all/recall': 1.0, 'presence/all/AUROC': None}
    return Result(
        name=f'{stem}_s{seed}', config=row.source, label=row.label, budget=budget,
        data='simulated, validation split', calibrated_on='validation split, cross-fitted',
        seed=seed, figures={name: {**shared, **figures} for name in ('keep_all', 'peak', 'fused')},
        curve={}, commands=['python tools/train.py'], seconds=90.0, machine='a machine',
        revision=REVISION,
    )  # fmt: skip


def write(folder, *results, data='set'):
    for result in results:
        path = folder / result.budget / data / f'{result.name}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(jsonable(asdict(result)), allow_nan=False))
    return folder


def rows_of(page, label, decision):
    rows = [line.strip('| ').split(' | ') for line in page.splitlines() if line.startswith('| ')]
    return [row for row in rows if row[:2] == [label, decision]]


def test_a_result_is_read_back(tmp_path, decided):
    one = replace(make_result('u_net'), figures=decided, versions=dict(torch='2'))
    write(tmp_path, one)
    again = read_result(tmp_path / 'cpu/set/u_net_s0.json')
    assert again == replace(one, figures=jsonable(decided))


def test_what_is_no_result_file_is_named(tmp_path):
    path = tmp_path / 'cpu/set/a.json'
    path.parent.mkdir(parents=True)
    for text in ('{"name": 1}', '{', '[]'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r'a\.json: not a result file of this project'):
            render_paper_page(tmp_path)


def test_cells_are_means_over_seeds_with_their_spread(tmp_path):
    write(tmp_path, make_result('unsct-hrnet', 0, 2.0), make_result('unsct-hrnet', 1, 4.0))
    page = render_paper_page(tmp_path)
    table_3 = rows_of(page, 'UNSCT-HRNet', 'keep_all')[0]
    assert table_3[2] == '2'
    assert table_3[9] == '3.00 ± 1.41'
    assert table_3[11] == '1.0000 ± 0.0000'
    assert table_3[12] == '-'


def test_one_seed_has_no_spread_and_a_missing_figure_is_no_number(tmp_path):
    page = render_paper_page(write(tmp_path, make_result('unsct-hrnet', error=2.0)))
    row = rows_of(page, 'UNSCT-HRNet', 'keep_all')[0]
    assert (row[2], row[9]) == ('1', '2.00')
    assert 'nan' not in page.lower().replace('nano', '')


def test_what_has_no_result_was_not_run(tmp_path):
    page = render_paper_page(write(tmp_path, make_result('unsct-hrnet')))
    (table_3,) = rows_of(page, 'HRNet (no SRF)', 'keep_all')
    assert table_3[2] == 'not run'
    assert set(table_3[3:]) == {'-'}


def test_what_is_older_than_a_decision_has_not_been_judged_by_it(tmp_path, decided):
    """The reason stands below the table; seeds that were judged count alone."""
    old = make_result('unsct-hrnet', 0)
    new = replace(make_result('unsct-hrnet', 1), figures=decided)
    page = render_paper_page(write(tmp_path / 'old', old))
    rows = rows_of(page, 'UNSCT-HRNet', 'paper')
    assert len(rows) == 4  # Tables 4 and 5, the decision and the alignments
    assert all(row[2] == 'not judged' and set(row[3:]) == {'-'} for row in rows)
    assert page.count('`python tools/paper_tables.py judge --data DATA` adds it') == 4
    page = render_paper_page(write(tmp_path / 'both', old, new))
    assert [row[2] for row in rows_of(page, 'UNSCT-HRNet', 'paper')] == ['1'] * 4
    assert 'tools/paper_tables.py judge' not in page
    texts = render_csv(tmp_path / 'both')
    assert [row['seed'] for row in csv.DictReader(io.StringIO(texts['alignment']))] == ['1']


def test_the_page_says_that_images_are_simulated_and_whose_figures_are_published(tmp_path):
    page = render_paper_page(write(tmp_path, make_result('u_net')))
    assert '**All images are simulated' in page
    assert page.count('**from another data set**') == 3
    for rows in PUBLISHED.values():
        for name, values in rows.items():
            assert len(values) == len(PUBLISHED_COLUMNS)
            assert '| ' + ' | '.join([name, *map(str, values)]) + ' |' in page


def test_each_budget_and_data_set_has_its_own_tables(tmp_path):
    write(tmp_path, make_result('u_net', error=1.0), make_result('u_net', error=3.0, budget='gpu'))
    write(tmp_path, make_result('u_net', error=5.0), data='other')
    page = render_paper_page(tmp_path)
    heads = [line for line in page.splitlines() if line.startswith('## ')]
    assert heads == ['## other, budget `cpu`', '## set, budget `cpu`', '## set, budget `gpu`']
    assert [row[6] for row in rows_of(page, 'U-Net', 'peak')] == ['5.00', '1.00', '3.00']


def test_every_figure_of_the_tables_is_measured(tmp_path, decided):
    one = replace(make_result('unsct-hrnet'), figures=decided)
    for name, text in render_csv(write(tmp_path, one)).items():
        for row in csv.DictReader(io.StringIO(text)):
            empty = [key for key, value in row.items() if value == '']
            assert empty == [], (name, row['decision'])


def test_csv_rows_are_unrounded_runs(tmp_path):
    write(tmp_path, make_result('u_net', 0, 1 / 3), make_result('u_net', 1, 2 / 3))
    rows = list(csv.DictReader(io.StringIO(render_csv(tmp_path)['peers'])))
    assert [float(row['MRE']) for row in rows] == [1 / 3, 2 / 3]
    assert [row['seed'] for row in rows] == ['0', '1']
    assert {row['AUROC absent'] for row in rows} == {''}


def test_writing_makes_the_page_beside_the_folder_and_the_csv_in_it(tmp_path):
    results = write(tmp_path / 'paper', make_result('u_net'))
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes/paper.md').write_text('Some words.')
    page = write_paper_page(results)
    assert page == tmp_path / 'paper.md'
    assert page.read_text() == render_paper_page(results)
    assert 'Some words.' in page.read_text()
    for name, text in render_csv(results).items():
        assert (results / f'{name}.csv').read_text() == text


def test_the_page_and_csv_in_docs_are_what_their_result_files_say():
    results = ROOT / 'docs/results/paper'
    if not list(results.glob('*/*/*.json')):
        pytest.skip('no result files')
    assert results.with_suffix('.md').read_text() == render_paper_page(results)
    texts = render_csv(results)
    assert sorted(path.stem for path in results.glob('*.csv')) == sorted(texts)
    for name, text in texts.items():
        assert (results / f'{name}.csv').read_text() == text


# The summary


def summary_of(tmp_path, *results):
    return rows_of(render_paper_page(write(tmp_path, *results)), 'U-Net -> UNSCT-U-Net', '2, 1')


def test_the_summary_sets_means_over_seeds_beside_each_other(tmp_path):
    nme, error = 'paper/unstructured/NME', 'set_error/unstructured/E_20'
    ori = [
        make_result('u_net', seed, **{nme: nme_, error: 4.0}) for seed, nme_ in ((0, 0.3), (1, 0.5))
    ]
    ours = make_result('unsct-u_net', **{nme: 0.1, error: 3.0})
    other = make_result('rle_res50', **{error: 3.75})
    (row,) = summary_of(tmp_path, *ori, ours, other)
    assert row[2] == '0.400 -> 0.100 (-75 %)'
    assert row[7] == '4.00 -> 3.00 (-25 %)'
    assert row[8] == 'ResNet-50 RLE: 3.75 -> 3.00 (-20 %)'
    assert set(row[3:7]) == {'-'}


def test_the_summary_reads_what_each_model_is_judged_by(tmp_path):
    """Ori models report everything in the paper's protocol, and have a threshold in E_20."""
    nme, error = 'paper/unstructured/NME', 'set_error/unstructured/E_20'
    ori, ours = make_result('u_net'), make_result('unsct-u_net')
    decisions = ('keep_all', 'peak', 'fused')
    figures = {name: {nme: 0.1 * n, error: 1.0 * n} for n, name in enumerate(decisions, 1)}
    two = replace(ori, name='u_net_s1', seed=1, figures=figures)
    (row,) = summary_of(
        tmp_path, replace(ori, figures=figures), two, replace(ours, figures=figures)
    )
    assert row[2] == '0.100 -> 0.300 (+200 %)'
    assert row[7] == '2.00 -> 3.00 (+50 %)'
    assert row[8] == 'U-Net: 2.00 -> 3.00 (+50 %)'


def test_fusion_is_paired_by_seed_with_an_interval_over_seeds(tmp_path):
    without = [make_result('srf_none', seed, error) for seed, error in ((0, 2.0), (1, 4.0))]
    having = [make_result('unsct-hrnet', seed, error) for seed, error in ((0, 1.8), (1, 3.8))]
    spare = make_result('unsct-hrnet', 2, 99.0)
    page = render_paper_page(write(tmp_path, *without, *having, spare))
    (row,) = rows_of(page, 'HRNet (no SRF) -> UNSCT-HRNet', '0, 1')
    assert row[2] == '-7.5 [-39.3, +24.3]'
    assert row[3] == '-'


def test_stock_models_among_the_ablations_are_decided_by_their_peaks(tmp_path):
    page = render_paper_page(write(tmp_path, make_result('mmpose_weights', error=7.0)))
    (row,) = rows_of(page, "Ori-HRNet, MMPose's weights", 'peak')
    assert row[2:4] == ['1', '7.00']
    assert 'not judged' not in page


def test_old_results_are_marked_and_not_paired(tmp_path):
    old = replace(make_result('srf_none'), revision=1)
    page = render_paper_page(write(tmp_path, old, make_result('unsct-hrnet')))
    assert rows_of(page, 'HRNet (no SRF) †', 'keep_all')
    assert rows_of(page, 'UNSCT-HRNet', 'keep_all')
    assert 'seed by seed' not in page


def test_what_no_change_touched_is_not_old(tmp_path):
    page = render_paper_page(write(tmp_path, replace(make_result('rle_res50'), revision=1)))
    assert rows_of(page, 'ResNet-50 RLE', 'peak')


def test_half_a_pair_is_no_comparison(tmp_path):
    assert '### Summary' not in render_paper_page(write(tmp_path, make_result('u_net')))


# The tool


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Return a function that calls the tool in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            return main(['paper', *map(str, words)])
        except SystemExit as left:
            return left.code

    return call


def test_the_tool_tells_what_is_done(tool, tmp_path, capsys):
    write(tmp_path / 'docs/results/paper', make_result('u_net', 1))
    assert tool('plan', '--data', 'data/set', '--only', 'u_net', '--seeds', 2) == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [['open', 'u_net_s0'], ['done', 'u_net_s1']]
    write(tmp_path / 'docs/results/paper', make_result('unsct-u_net', 0))
    assert tool('plan', '--data', 'data/set', '--only', 'unsct-u_net', '--seeds', 1) == 0
    assert 'not judged by paper, paper_fitted, paper_mirrored, paf' in capsys.readouterr().out
    assert tool('plan', '--data', 'data/set', '--only', 'other') == 1
    assert 'no such config in the plan: other' in capsys.readouterr().err


def test_lanes_share_the_open_runs_and_a_failure_stops_no_other(
    tool, tmp_path, monkeypatch, capsys
):
    write(tmp_path / 'docs/results/paper', make_result('u_net', 2))
    started = []

    def fake(run, root, results, describe, tools):
        started.append((run.name, describe))
        if run.seed == 1:
            raise RuntimeError('exit status 3')

    monkeypatch.setattr(paper_run, 'run_one', fake)
    words = ['run', '--data', 'data/set', '--only', 'u_net', '--seeds', 5, '--describe', 'drawn']
    assert tool(*words, '--lane', 0, 2) == 0
    assert started == [('u_net_s0', 'drawn'), ('u_net_s4', 'drawn')]
    started.clear()
    assert tool(*words, '--lane', 1, 2) == 1
    assert [name for name, _ in started] == ['u_net_s1', 'u_net_s3']
    assert 'u_net_s1: exit status 3' in capsys.readouterr().err


def test_the_tool_writes_the_page(tool, tmp_path, capsys):
    results = write(tmp_path / 'docs/results/paper', make_result('u_net'))
    assert tool('collect') == 0
    assert capsys.readouterr().out.strip() == 'docs/results/paper.md'
    assert results.with_suffix('.md').is_file()


# From the images to the page


@pytest.fixture
def hidden_set(tiny_set, hide_landmarks):
    """Images, of which some lack landmarks, to judge and to calibrate on."""
    hide_landmarks(tiny_set, [3, 14, 20])
    return tiny_set.rename(tiny_set.with_name(f'{tiny_set.name} of mine'))  # a name to quote


def stand_in(run, config, root, tools):
    """Save random weights where a training leaves its own."""
    init_default_scope('mmpose')
    torch.manual_seed(run.seed)
    model = MODELS.build(Config.fromfile(config).model)
    work_dir = run.work_dir(root)
    write_log(work_dir, '20260101_120000', [{'all/MRE': 9.0, 'step': 4}])
    torch.save(dict(state_dict=model.state_dict(), meta={}), final_checkpoint(config, work_dir))
    return 'python tools/train.py'


@pytest.mark.parametrize('stem', ['unsct-hrnet', 'ori-hrnet'])
def test_a_run_goes_from_images_to_its_place_in_the_tables(
    hidden_set, monkeypatch, tmp_path_factory, stem
):
    out = tmp_path_factory.mktemp('out')
    for name in ('UNSCT_BUDGET', 'UNSCT_DATA'):  # run_one sets them: give them back afterwards
        monkeypatch.setenv(name, 'gpu')
    monkeypatch.setattr(paper_run, 'train', stand_in)
    (run,) = plan('cpu', hidden_set, [stem], seeds=1)
    results = out / 'paper'
    path = run_one(run, out / 'work', results, 'noise', ROOT / 'tools')
    assert path == run.result_file(results)
    result = read_result(path)
    assert result.data == 'noise, validation split'
    assert result.curve == {'epoch': [4], 'all/MRE': [9.0]}
    words = ['UNSCT_BUDGET=cpu', f'UNSCT_DATA={hidden_set}', 'python', 'tools/train.py']
    assert [shlex.split(command) for command in result.commands] == [words]
    assert ('fused' in result.figures) == run.row.fields
    assert result.figures['keep_all']['presence/all/recall'] == 1
    assert result.figures['oracle']['set_error/all/E_20'] <= 20
    error = result.figures['keep_all']['landmark/all/MRE']
    assert math.isfinite(error)
    page = render_paper_page(results)
    assert result.label in page
    assert f'{error:.2f}' in page or stem == 'ori-hrnet'

    def refuse(*_):
        raise AssertionError('maps that were read are not read again')

    if run.row.fields:
        completes(run, path, out / 'work', results)
    monkeypatch.setattr(paper_run, 'load_model', refuse)
    monkeypatch.setattr(paper_run, 'train', lambda *_: 'python tools/train.py')
    before = path.read_bytes()
    path.unlink()
    assert run_one(run, out / 'work', results, 'noise', ROOT / 'tools').read_bytes() == before


def completes(run, path, root, results):
    """Hold that a result without the paper's decision gets it from maps, or from weights alone."""
    whole = path.read_text()
    content = json.loads(whole)
    old = dict(content, figures={k: v for k, v in content['figures'].items() if 'paper' not in k})
    maps = run.work_dir(root) / 'val.npz'
    for step in ('from maps', 'from weights'):
        maps.unlink() if step == 'from weights' else None
        path.write_text(json.dumps(old))
        assert judge_again(run, root, results, ROOT / 'tools') == path, step
        again = json.loads(path.read_text())
        for name, figures in again.pop('figures').items():
            assert figures == pytest.approx(content['figures'][name]), (step, name)
        assert again == {key: value for key, value in content.items() if key != 'figures'}
    assert judge_again(run, root, results, ROOT / 'tools') is None
    path.write_text(whole)


def test_a_result_is_completed_by_its_own_weights_or_not_at_all(
    tool, tmp_path, decided, doubtful, monkeypatch, capsys
):
    (tmp_path / 'set').mkdir()
    for name in ('UNSCT_BUDGET', 'UNSCT_DATA'):
        monkeypatch.setenv(name, 'gpu')
    old = {name: figures for name, figures in decided.items() if 'paper' not in name}
    results, root = tmp_path / 'docs/results/paper', tmp_path / 'work_dirs/paper'
    stock = {name: {} for name in ('keep_all', 'peak', 'oracle')}
    write(results, replace(make_result('unsct-hrnet'), figures=old))
    write(results, replace(make_result('u_net'), figures=stock))
    words = ['judge', '--data', tmp_path / 'set', '--seeds', 2]
    path = results / 'cpu/set/unsct-hrnet_s0.json'
    before = path.read_bytes()
    assert tool(*words) == 1
    captured = capsys.readouterr()
    assert re.search(r'unsct-hrnet_s0: .*epoch_20\.pth: not there, and no maps', captured.err)
    assert captured.out.split() == ['complete', 'u_net_s0']
    run = plan('cpu', tmp_path / 'set', ['unsct-hrnet'], seeds=1)[0]
    run.work_dir(root).mkdir(parents=True)
    moved = replace(doubtful, points_px=doubtful.points_px + 0.1)
    save_table(run.work_dir(root) / 'val.npz', moved)
    assert tool(*words) == 1
    assert re.search(
        r'seed_0: not the run of .*keep_all, landmark/all/MRE', capsys.readouterr().err
    )
    assert path.read_bytes() == before
    save_table(run.work_dir(root) / 'val.npz', doubtful)
    assert tool(*words) == 0
    assert 'judged  unsct-hrnet_s0' in capsys.readouterr().out
    assert read_result(path).figures == jsonable(decided)
