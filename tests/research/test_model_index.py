"""The index of models says what the result files say, and only what is current."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from mmengine.infer import BaseInferencer

from unsct_mmpose.files import file_sha256
from unsct_mmpose.research import model_index as module
from unsct_mmpose.research.model_index import (
    released_configs,
    render_model_index,
    write_model_index,
)

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/hrnet/unsct-hrnet.py'


@pytest.fixture(scope='module')
def rendered():
    return render_model_index(ROOT)


@pytest.fixture(scope='module')
def records(rendered):
    files = [yaml.safe_load(text) for path, text in rendered.items() if path.name == 'metafile.yml']
    return {record['Config']: record for content in files for record in content['Models']}


@pytest.fixture
def small(tmp_path):
    """A checkout with two configs and the results of one of them."""
    for path in ('configs/hrnet', 'configs/_base_', 'docs/results/paper/cpu/vsd_ap'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / path, tmp_path / path)
    for path in (tmp_path / 'docs/results/paper/cpu/vsd_ap').iterdir():
        if not path.name.startswith('unsct-hrnet'):
            path.unlink()
    return tmp_path


def test_the_files_in_the_checkout_are_those_that_the_results_give(rendered):
    stale = [path for path, text in rendered.items() if path.read_text('utf-8') != text]
    assert not stale, 'run python tools/model_index.py'
    assert {*rendered} == {ROOT / 'model-index.yml', *(ROOT / 'configs').rglob('metafile.yml')}


def test_every_config_is_in_the_index_once(records):
    assert {ROOT / path for path in records} == set(released_configs(ROOT / 'configs'))
    assert not any('_base_' in path for path in records)


def test_mmengine_reads_the_index_as_any_other():
    found = list(BaseInferencer._get_models_from_metafile(str(ROOT)))
    assert {'unsct-hrnet', 'unsct_hrnet_tha_cpu'} <= {entry['Name'] for entry in found}


def test_figures_are_the_means_of_the_result_files(records):
    files = (ROOT / 'docs/results/paper/cpu/vsd_ap').glob('unsct-hrnet_s*.json')
    figures = [json.loads(path.read_text())['figures']['fused'] for path in files]
    (result,) = records[CONFIG]['Results']
    assert len(figures) > 1
    for name, key in (('MRE_mm', 'landmark/all/MRE'), ('E_20_mm', 'set_error/all/E_20')):
        mean = np.mean([figure[key] for figure in figures])
        assert result['Metrics'][name] == pytest.approx(mean, abs=6e-5)


def test_every_figure_is_labelled_as_simulated(rendered, records):
    results = [result for record in records.values() for result in record.get('Results', ())]
    assert len(results) > 5
    for result in results:
        assert result['Dataset'].startswith('simulated') and 'simulated' in result['Task']
    assert all('SIMULATED' in text.splitlines()[1] for text in rendered.values())


def test_released_weights_carry_their_hash(records):
    released = {path: record for path, record in records.items() if 'Weights' in record}
    starts = [record['Metadata'] for record in records.values()]
    hashes = {data['Initial Weights']: data['Initial SHA256'] for data in starts if len(data) > 2}
    assert released
    for path in (ROOT / 'configs').rglob('*.pth'):
        if path.name in hashes:
            assert hashes.pop(path.name) == file_sha256(path)
            continue
        record = released.pop(path.with_suffix('.py').relative_to(ROOT).as_posix())
        assert record['SHA256'] == file_sha256(path)
        assert record['Weights'] == f'unsct://{record["Name"]}'
    assert not released and not hashes


def test_results_of_an_outdated_revision_are_left_out(small):
    def results():
        text = render_model_index(small)[small / 'configs/hrnet/metafile.yml']
        records = yaml.safe_load(text)['Models']
        return {record['Name']: record.get('Results', []) for record in records}['unsct-hrnet']

    paths = sorted((small / 'docs/results/paper/cpu/vsd_ap').iterdir())
    assert 'mean of seeds 0, 1, 2' in results()[0]['Task']
    _change(paths[0], revision=1)
    assert 'mean of seeds 1, 2' in results()[0]['Task']
    for path in paths[1:]:
        _change(path, revision=1)
    assert results() == []


def test_a_run_with_another_schedule_is_of_no_config(records):
    (result,) = records['configs/demo/unsct_hrnet_tha_cpu.py']['Results']
    assert result['Dataset'] == 'simulated-phantom'  # runs/vsd_ap.json had 45 epochs


def test_figures_of_images_that_are_not_simulated_are_refused(small):
    path = sorted((small / 'docs/results/paper/cpu/vsd_ap').iterdir())[0]
    for file in path.parent.iterdir():
        _change(file, data='a hospital')
    with pytest.raises(ValueError, match=r"field 'data' does not say that the images are simul"):
        render_model_index(small)


def test_two_models_of_one_name_are_refused(small, monkeypatch):
    monkeypatch.setattr(module, 'ALIASES', {'ori-hrnet': ['unsct-hrnet']})
    with pytest.raises(ValueError, match='two models would be called unsct-hrnet'):
        write_model_index(small)
    assert not (small / 'model-index.yml').exists()


def _change(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
