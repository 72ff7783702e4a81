"""Checkpoints in both kinds of files: nothing is lost, and nothing in them can run."""

import json
import resource
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader, Runner, runner

from unsct_mmpose.engine.plain_checkpoints import plain, revived
from unsct_mmpose.engine.weight_files import read_safetensors, write_checkpoint

ALONE = """
import sys, torch
content = torch.load(sys.argv[1], map_location='cpu', weights_only=True)
assert not {'mmengine', 'unsct_mmpose'} & set(sys.modules)
print(content['meta']['best'], content['message_hub']['log_scalars']['loss']['max_length'])
print(dict(content['state_dict']._metadata))
"""


@pytest.fixture
def content():
    """Return what MMEngine hands over to be saved, of every kind that it is known to hold."""
    state = OrderedDict(weight=torch.arange(4.0), count=torch.tensor(3))
    state._metadata = OrderedDict({'': {'version': 1}})
    log = HistoryBuffer([3.0, 1.0, 2.0], [1, 2, 1], max_length=7)
    meta = dict(
        epoch=2, best=np.float64(1.5), dataset_meta=dict(
            colours=np.array([[1, 2, 3]], np.uint8), names={0: 'left'}, pairs=[(0, np.int64(1))],
        ),
    )  # fmt: skip
    hub = dict(log_scalars=OrderedDict(loss=log), runtime_info={}, resumed_keys={'loss': True})
    return dict(state_dict=state, meta=meta, message_hub=hub)


def test_torch_alone_loads_a_plain_checkpoint_whole(content, tmp_path, run_python):
    path = tmp_path / 'epoch_2.pth'
    torch.save(content, path)
    refused = run_python('-c', ALONE, path, cwd=tmp_path, check=False)
    assert refused.returncode != 0  # it shows what it is for
    write_checkpoint(path, content)
    printed = run_python('-c', ALONE, path, cwd=tmp_path).stdout
    assert printed == "1.5 7\n{'': {'version': 1}}\n"


def test_a_log_goes_on_from_a_plain_checkpoint(content):
    hub = MessageHub('a name of its own')
    hub.load_state_dict(plain(content)['message_hub'])
    log, before = hub.get_scalar('loss'), content['message_hub']['log_scalars']['loss']
    for ours, theirs in zip(log.data, before.data, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert log.max_length == 7
    log.update(9.0)  # what a tensor in its place could not do
    assert (log.statistics('mean', 1), log.statistics('max')) == (9.0, 9.0)


def test_a_log_of_mmengine_itself_is_left_alone(content):
    state = content['message_hub']
    assert revived(state)['log_scalars']['loss'] is state['log_scalars']['loss']


def test_what_is_of_no_known_class_is_left_to_be_refused(content):
    odd = object()
    assert plain(dict(content, hook=[odd]))['hook'][0] is odd


@pytest.fixture
def safe(content, tmp_path):
    pytest.importorskip('safetensors')
    path = tmp_path / 'model.safetensors'
    write_checkpoint(path, content)
    return path


def test_safetensors_bring_weights_and_words_back_by_mmengines_own_door(safe, content):
    found = CheckpointLoader.load_checkpoint(str(safe), 'cpu')
    assert set(found) == {'state_dict', 'meta'}
    assert found['meta'] == dict(epoch=2, best=1.5)
    for name, values in content['state_dict'].items():
        assert found['state_dict'][name].dtype == values.dtype
        torch.testing.assert_close(found['state_dict'][name], values, rtol=0, atol=0)


def test_the_metadata_are_json_that_the_library_itself_shows(safe):
    from safetensors import safe_open

    with safe_open(safe, 'pt') as file:
        texts = file.metadata()
    assert texts.pop('format') == 'pt'
    assert {name: json.loads(text) for name, text in texts.items()} == dict(epoch=2, best=1.5)


def test_a_strangers_safetensors_are_read_too(tmp_path):
    library = pytest.importorskip('safetensors.torch')
    path = tmp_path / 'strange.safetensors'
    library.save_file({'a': torch.ones(2)}, path, metadata={'author': 'some body'})
    assert read_safetensors(str(path))['meta'] == {'author': 'some body'}


@pytest.mark.parametrize('damage', ['cut', 'pickle', 'empty'])
def test_damaged_safetensors_are_an_error_in_words(safe, damage):
    whole = safe.read_bytes()
    safe.write_bytes({'cut': whole[:-1], 'empty': b''}.get(damage, b''))
    if damage == 'pickle':
        torch.save({'state_dict': {}}, safe)
    with pytest.raises(ValueError, match=r'model\.safetensors: no whole safetensors file'):
        CheckpointLoader.load_checkpoint(str(safe), 'cpu')
    with pytest.raises(FileNotFoundError):
        CheckpointLoader.load_checkpoint(f'{safe}.safetensors', 'cpu')


def test_no_training_goes_on_from_weights_alone(monkeypatch):
    runner = object.__new__(Runner)
    monkeypatch.setattr(Runner, 'load_checkpoint', lambda *_, **__: dict(meta={}, state_dict={}))
    monkeypatch.setattr(Runner, 'train_loop', property(lambda _: object()))
    with pytest.raises(ValueError, match=r"lacks 'epoch'.*load_from=FILE"):
        runner.resume('model.safetensors', map_location='cpu')


def test_a_disk_without_room_leaves_the_checkpoint_that_was_there(tmp_path):
    path = tmp_path / 'run' / 'epoch_1.pth'
    runner.save_checkpoint(dict(state_dict=dict(w=torch.zeros(5000))), str(path))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        for name in ('epoch_1.pth', 'epoch_2.pth'):
            with pytest.raises(OSError):
                runner.save_checkpoint(
                    dict(state_dict=dict(w=torch.ones(5000))), str(path.with_name(name))
                )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [each.name for each in path.parent.iterdir()] == ['epoch_1.pth']
    assert path.read_bytes() == before
