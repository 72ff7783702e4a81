import json

import pytest
import torch

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.calibrate.fit import META_KEY, write_calibrated
from unsct_mmpose.export.publish import describe_config, export_safetensors, publish
from unsct_mmpose.inference.model_identity import calibration_identity
from unsct_mmpose.inference.torch_model import TorchBackend
from unsct_mmpose.maps.calibration import CALIBRATION_KEY
from unsct_mmpose.research.benchmark import any_calibration


@pytest.fixture
def checkpoint(tmp_path):
    """Return a checkpoint as a training leaves it."""
    path = tmp_path / 'epoch_9.pth'
    state = {'a.weight': torch.linspace(-2, 2, 7), 'a.number': torch.tensor(3)}
    state[f'head.{CALIBRATION_KEY}'] = torch.zeros(5, dtype=torch.uint8)
    content = dict(
        meta=dict(cfg="data_root='/home/somebody'", epoch=9),
        state_dict=state,
        optimizer=dict(state={0: torch.zeros(1000)}),
    )
    torch.save(content, path)
    return path


def test_weights_are_kept_in_half_precision_and_counters_as_they_are(checkpoint, tmp_path):
    out = publish(checkpoint, tmp_path / 'out.pth', dict(trained_on='drawings'))
    found = torch.load(out, weights_only=True)
    assert found['state_dict']['a.weight'].dtype == torch.float16
    torch.testing.assert_close(
        found['state_dict']['a.weight'].float(), torch.linspace(-2, 2, 7), atol=2e-3, rtol=1e-3
    )
    assert found['state_dict']['a.number'] == 3
    assert found['meta']['trained_on'] == 'drawings'


def test_nothing_of_whoever_trained_it_is_left(checkpoint, tmp_path):
    out = publish(checkpoint, tmp_path / 'out.pth', {})
    assert b'somebody' not in out.read_bytes()
    assert set(torch.load(out, weights_only=True)) == {'meta', 'state_dict'}


def test_the_calibration_of_the_unrounded_weights_is_dropped(checkpoint, tmp_path):
    out = publish(checkpoint, tmp_path / 'out.pth', {})
    assert not any(CALIBRATION_KEY in name for name in torch.load(out)['state_dict'])


def test_a_weight_that_half_precision_cannot_hold_is_named(checkpoint, tmp_path):
    content = torch.load(checkpoint)
    content['state_dict']['a.weight'][0] = 1e6
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=r'a\.weight'):
        publish(checkpoint, tmp_path / 'out.pth', {})
    assert not (tmp_path / 'out.pth').exists()


def test_the_checkpoint_itself_is_never_replaced(checkpoint):
    with pytest.raises(ValueError, match='name another file'):
        publish(checkpoint, checkpoint, {})


@pytest.fixture
def calibrated(trained):
    """A config, and a checkpoint with a calibration where `unsct calibrate` puts it."""
    pytest.importorskip('safetensors')
    config, checkpoint = trained
    relations = HIP.relation_set('core')
    return config, write_calibrated(
        checkpoint, checkpoint.with_name('best.pth'), any_calibration(len(relations), 'core')
    )


def metadata(path):
    safetensors = pytest.importorskip('safetensors')
    with safetensors.safe_open(path, 'pt') as file:
        texts = file.metadata()
    return {name: json.loads(text) for name, text in texts.items() if name != 'format'}


def test_safetensors_hold_the_same_model_under_the_same_hashes(calibrated, tmp_path):
    config, checkpoint = calibrated
    out = tmp_path / 'best.safetensors'
    said = export_safetensors(config, checkpoint, out)
    before, after = (TorchBackend(config, path, 'cpu').identity for path in (checkpoint, out))
    assert after.pop('name') == 'best.safetensors' and before.pop('name') == 'best.pth'
    assert after == before
    assert before['calibration_sha256'] is not None
    found = metadata(out)
    assert found == json.loads(json.dumps(said))
    assert found['weights_sha256'] == before['weights_sha256']
    assert (
        calibration_identity(found[META_KEY])['calibration_sha256']
        == (before['calibration_sha256'])
    )
    assert LandmarkSet.from_dict(found['landmarks']) == HIP
    assert found['config']['name'] == config.name


def test_the_config_is_known_again_by_its_model_alone(calibrated, tmp_path):
    config, _ = calibrated
    other = tmp_path / 'other.py'
    other.write_text(f"_base_ = r'{config}'\ntrain_cfg = dict(max_epochs=7)\n")
    first, same = (describe_config(path)['config'] for path in (config, other))
    assert (same['name'], same['model_sha256']) == ('other.py', first['model_sha256'])
    other.write_text(f"_base_ = r'{config}'\nmodel = dict(head=dict(decoder=dict(sigma=1.9)))\n")
    assert describe_config(other)['config']['model_sha256'] != first['model_sha256']


def test_published_safetensors_name_the_hash_that_reports_will(calibrated, tmp_path):
    config, checkpoint = calibrated
    out = tmp_path / 'small.safetensors'
    with pytest.raises(ValueError, match='give --config'):
        publish(checkpoint, out, {})
    publish(checkpoint, out, dict(trained_on='drawings'), config)
    found = metadata(out)
    assert found['trained_on'] == 'drawings' and META_KEY not in found
    identity = TorchBackend(config, out, 'cpu').identity
    assert identity['weights_sha256'] == found['weights_sha256']
    assert identity['calibration_sha256'] is None
    assert out.stat().st_size < 0.6 * checkpoint.stat().st_size


def test_a_safetensors_file_is_calibrated_where_it_lies(calibrated, tmp_path):
    config, checkpoint = calibrated
    out = tmp_path / 'small.safetensors'
    publish(checkpoint, out, dict(licence='none'), config)
    relations = HIP.relation_set('core')
    write_calibrated(out, out, any_calibration(len(relations), 'core'))
    found = metadata(out)
    assert found['licence'] == 'none' and META_KEY in found
    assert TorchBackend(config, out, 'cpu').identity['calibration_sha256'] is not None
