"""Models by name, as MMPose's own calls find them; weights only with the right hash."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.infer import BaseInferencer
from mmengine.runner import CheckpointLoader, load_checkpoint
from mmpose.apis import MMPoseInferencer, init_model
from mmpose.apis.inferencers import get_model_aliases

from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.engine import find_model, model_zoo
from unsct_mmpose.engine.model_zoo import list_models, register_names
from unsct_mmpose.functional.crop import grey_levels

ROOT = Path(__file__).resolve().parents[2]
NAME = 'unsct-hrnet-tha'


@pytest.fixture(scope='module')
def image():
    grey = grey_levels(read_radiograph(ROOT / 'configs/demo/phantom_example.dcm').pixels)
    return np.dstack([grey] * 3)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A copy of the index and the released weights, which may be spoilt."""
    shutil.copy(ROOT / 'model-index.yml', tmp_path)
    for path in (ROOT / 'configs').rglob('*'):
        if path.suffix in ('.yml', '.pth'):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    monkeypatch.setattr(model_zoo, '_index_folder', lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize('how', ['position', 'pose2d'])
def test_the_inferencer_finds_config_and_weights_by_name(image, how):
    words = dict(device='cpu')
    named = MMPoseInferencer(NAME, **words) if how == 'position' else None
    named = named or MMPoseInferencer(pose2d=NAME.upper(), **words)
    found = find_model(NAME)
    by_path = MMPoseInferencer(str(found.config), str(found.weights), **words)
    one, other = (next(each(image))['predictions'][0][0] for each in (named, by_path))
    assert one['calibrated'] and len(one['keypoints']) == 24
    np.testing.assert_array_equal(one['keypoints'], other['keypoints'])


def test_weights_of_ones_own_win_over_the_released(tmp_path):
    found = find_model(NAME)
    content = torch.load(found.weights, weights_only=True)
    key = 'head.' + next(k for k in content['state_dict'] if k.startswith('head.'))[5:]
    content['state_dict'][key] = torch.full_like(content['state_dict'][key], 7)
    torch.save(content, tmp_path / 'own.pth')
    inferencer = MMPoseInferencer(NAME, str(tmp_path / 'own.pth'), device='cpu')
    assert (inferencer.inferencer.model.state_dict()[key] == 7).all()


def test_init_model_takes_what_find_model_returns(image):
    found = find_model(f'unsct://{NAME}')
    model = init_model(found.config, found.checkpoint, device='cpu')
    assert model.head.decoder.calibration is not None


def test_released_weights_load_wherever_mmengine_takes_a_checkpoint():
    found = find_model(NAME)
    model = init_model(found.config, None, device='cpu')
    before = model.state_dict()['backbone.conv1.weight'].clone()
    load_checkpoint(model, f'unsct://{NAME}', map_location='cpu')
    assert not torch.equal(model.state_dict()['backbone.conv1.weight'], before)
    by_pathlib = CheckpointLoader.load_checkpoint(str(Path(f'unsct://{NAME}')), 'cpu')
    assert 'state_dict' in by_pathlib


def test_mmpose_lists_our_names_beside_its_own():
    aliases = get_model_aliases()
    assert aliases[NAME] == 'unsct_hrnet_tha_cpu' and 'human' in aliases
    names = BaseInferencer.list_models('mmpose', patterns='unsct')
    assert {model.name for model in list_models() if model.name.startswith('unsct')} < set(names)


def test_no_name_of_ours_is_one_of_mmposes():
    folder = BaseInferencer._get_repo_or_mim_dir('mmpose')
    records = list(BaseInferencer._get_models_from_metafile.__wrapped__(folder))
    taken = {record['Name'].lower() for record in records} | {
        alias.lower() for record in records for alias in record.get('Alias', [])
    }
    assert len(taken) > 100 and not taken & set(model_zoo._lookup())


def test_other_scopes_are_left_alone(tmp_path):
    (tmp_path / 'model-index.yml').write_text('Import: []')
    assert not list(BaseInferencer._get_models_from_metafile(str(tmp_path)))


def test_registering_again_changes_nothing():
    before = BaseInferencer._get_models_from_metafile, BaseInferencer._load_model_from_metafile
    register_names()
    after = BaseInferencer._get_models_from_metafile, BaseInferencer._load_model_from_metafile
    assert after == before


@pytest.mark.parametrize(
    ('wrong', 'near'),
    [
        ('unsct-hrnet-tah', "'unsct-hrnet-tha'"),
        ('hmuan', "'human'"),
        ('td-hm_hrnet-w32_8xb64-210e_coco-256x12', 'td-hm_hrnet-w32_8xb64-210e_coco-256x192'),
        ('zzzz', "no name comes near; weights are released of 'unsct-hrnet-tha'"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_come_near(wrong, near):
    with pytest.raises(ValueError, match=f'Cannot find model: {wrong} in mmpose') as caught:
        MMPoseInferencer(wrong, device='cpu')
    assert near in str(caught.value)


def test_find_model_names_what_comes_near():
    with pytest.raises(ValueError, match=r"no model 'unsct-hrnett'; did you mean 'unsct-hrnet'"):
        find_model('unsct-hrnett')


def test_a_model_without_weights_never_predicts_at_random():
    assert find_model('unsct-hrnet').config == ROOT / 'configs/hrnet/unsct-hrnet.py'
    with pytest.raises(
        ValueError, match=r'unsct-hrnet has no released weights: train .*-hrnet\.py'
    ):
        MMPoseInferencer('unsct-hrnet', device='cpu')


def test_weights_that_were_changed_are_refused(index):
    found = find_model(NAME)
    assert found.checked_weights() == index / 'configs/demo/unsct_hrnet_tha_cpu.pth'
    content = bytearray(found.weights.read_bytes())
    content[-1000] ^= 1
    found.weights.write_bytes(content)
    with pytest.raises(ValueError, match=r'its sha256 is [0-9a-f]{64}, and field SHA256 of unsct'):
        CheckpointLoader.load_checkpoint(f'unsct://{NAME}', 'cpu')


def test_every_model_of_the_index_has_its_config():
    models = list_models()
    assert len({model.name for model in models}) == len(models) > 30
    assert all(model.config.is_file() for model in models)


def test_an_installation_without_its_configs_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(model_zoo, '_PACKAGE', tmp_path / 'unsct_mmpose')
    with pytest.raises(FileNotFoundError, match='installed without its configs'):
        list_models()


def test_a_model_is_a_value():
    found = find_model(NAME)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = 'other'
