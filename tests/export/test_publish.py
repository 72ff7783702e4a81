import pytest
import torch

from unsct_mmpose.export.publish import publish
from unsct_mmpose.maps.calibration import CALIBRATION_KEY


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
