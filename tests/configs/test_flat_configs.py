"""Configs in one file say what their layered originals say, and need nothing beside them."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS

from unsct_mmpose.datasets import THADataset
from unsct_mmpose.research.flatten_config import content_of

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ENTRY = CONFIGS / 'unsct_hrnet_tha.py'
PAPER = CONFIGS / 'paper/unsct_hrnet_paper.py'
TWIN = CONFIGS / 'hrnet/unsct-hrnet.py'
FLAT = sorted((CONFIGS / 'flat').glob('*.py'))
ORIGINALS = {path.name: path for path in CONFIGS.glob('*/unsct-*.py') if path not in FLAT}
INHERITING = ('demo/unsct_hrnet_tha_cpu.py', 'ablation/unsct_hrnet_cover_cpu.py')
EACH_FLAT = pytest.mark.parametrize('path', FLAT, ids=lambda path: path.stem)
EACH_WHOLE = pytest.mark.parametrize('path', [ENTRY, PAPER, *FLAT], ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch):
    """Set no variable that a config asks for; MMEngine's logger may ask which GPU."""
    monkeypatch.delenv('UNSCT_BUDGET', raising=False)
    monkeypatch.delenv('UNSCT_DATA', raising=False)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')


def content(path, cuda=False):
    with patch('torch.cuda.is_available', lambda: cuda):
        return content_of(Config.fromfile(path))


def names_that_differ(first, second):
    """Return where two contents differ, as dotted names, lists being taken whole."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return [] if first == second else ['']
    names = []
    for key in sorted({*first, *second}):
        below = names_that_differ(first.get(key), second.get(key))
        names += [f'{key}.{name}'.rstrip('.') for name in below]
    return names


def test_all_four_released_networks_have_a_flat_config():
    assert [path.stem for path in FLAT] == sorted(
        ['unsct-hrnet', 'unsct-u_net', 'unsct-higherhrnet', 'unsct-hourglass']
    )


@EACH_FLAT
@pytest.mark.parametrize('cuda', [False, True], ids=['cpu', 'cuda'])
def test_a_flat_config_equals_its_original(path, cuda):
    assert content(path, cuda) == content(ORIGINALS[path.name], cuda)


@pytest.mark.parametrize('cuda', [False, True], ids=['cpu', 'cuda'])
def test_the_entry_is_its_layered_twin_and_spells_the_relations_out(cuda):
    entry, twin = content(ENTRY, cuda), content(TWIN, cuda)
    assert names_that_differ(entry, twin) == ['model.head.relations']
    assert entry['model']['head'].pop('relations') == entry['codec']['relations']
    assert entry == twin


@pytest.mark.parametrize('name', INHERITING)
def test_what_inherits_the_entry_is_what_it_is_over_the_layered_twin(name, tmp_path):
    for layered in (False, True):
        folder = tmp_path / ('layered' if layered else 'flat')
        shutil.copytree(CONFIGS, folder, ignore=shutil.ignore_patterns('*.pth', '*.dcm'))
        if layered:
            lines = "_base_ = './hrnet/unsct-hrnet.py'\nmodel = dict(head=dict(relations='full'))\n"
            (folder / ENTRY.name).write_text(lines)
    assert content(tmp_path / 'flat' / name) == content(tmp_path / 'layered' / name)


@EACH_WHOLE
def test_a_copy_alone_loads_and_its_model_builds(path, tmp_path, monkeypatch):
    copy = Path(shutil.copy(path, tmp_path))
    monkeypatch.chdir(tmp_path)
    init_default_scope('mmpose')
    config = Config.fromfile(copy)
    assert '_base_' not in path.read_text()
    with torch.device('meta'):
        MODELS.build(config.model)


@EACH_WHOLE
def test_it_takes_the_data_folder_from_outside(path, monkeypatch):
    monkeypatch.setitem(os.environ, 'UNSCT_DATA', '/data/hips')
    found = content(path)
    loaders = [found[f'{split}_dataloader'] for split in ('train', 'val', 'test')]
    assert {loader['dataset']['data_root'] for loader in loaders} == {'/data/hips'}
    assert found['data_root'] == '/data/hips'


@EACH_WHOLE
def test_it_has_fewer_than_150_lines(path):
    assert len(path.read_text().splitlines()) < 150


def test_the_entry_s_landmark_set_is_the_data_set_s():
    found = parse_pose_metainfo(dict(from_file=str(ENTRY)))
    ours = parse_pose_metainfo(THADataset.METAINFO)
    for name in ('keypoint_id2name', 'flip_indices', 'num_keypoints', 'dataset_name'):
        assert found[name] == ours[name], name
    for name in ('keypoint_colors', 'sigmas', 'dataset_keypoint_weights'):
        assert (found[name] == ours[name]).all(), name


def test_the_landmark_set_survives_the_config_that_a_training_leaves(tmp_path):
    Config.fromfile(ENTRY).dump(tmp_path / 'dumped.py')
    found = parse_pose_metainfo(dict(from_file=str(tmp_path / 'dumped.py')))
    assert found['num_keypoints'] == 24


def test_the_paper_s_config_trains_with_section_3_4_and_nothing_else():
    found = content(PAPER)
    kinds = [step['type'] for step in found['train_dataloader']['dataset']['pipeline']]
    augmentations = {kind for kind in kinds if kind.startswith('Random')} | {kinds[4]}
    assert augmentations == {'RandomFlip', 'RadiographicNoise'} and len(kinds) == 7
    assert found['train_cfg']['max_epochs'] == 300
    wrapper = dict(found['optim_wrapper'])
    assert wrapper.pop('constructor') == 'Bf16OptimWrapperConstructor'  # float32 until --amp
    assert wrapper == dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
    assert found['param_scheduler'] == []


def test_the_paper_s_network_is_that_of_the_ablation_with_srf_at_every_stage():
    ours, ablation = content(PAPER)['model'], content(CONFIGS / 'ablation/srf_stages.py')['model']
    ablation['backbone']['extra']['stage4'].pop('multiscale_output')  # False is the default
    assert ours['backbone']['type'] == ablation['backbone']['type'] == 'SRFHRNet'
    assert ours['backbone']['extra'] == ablation['backbone']['extra']
    assert ours.get('neck') is ablation['neck'] is None
