"""A checkpoint of a stranger runs nothing, whichever door it comes in by."""

import io
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from unsct_mmpose import compat
from unsct_mmpose.cli.main import main
from unsct_mmpose.research.tiny import tiny_config

REFUSED = f'{compat.UNSAFE_VARIABLE}=1'


class CreatesAFile:
    def __reduce__(self):
        return os.system, ('touch harmed',)


TEXT = "model = dict(type='TopdownPoseEstimator')\nharm = __import__('os').system('touch harmed')"


def write(kind: str, path: Path) -> Path:
    """Write a hostile file of a kind."""
    content = dict(state_dict={}, meta=dict(epoch=1, iter=1, odd=CreatesAFile()))
    if kind == 'zip':
        torch.save(content, path)
    elif kind == 'before torch 1.6':
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif kind == 'bare pickle':
        path.write_bytes(pickle.dumps(content))
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(compat.UNSAFE_VARIABLE, raising=False)
    yield tmp_path
    assert not list(tmp_path.rglob('harmed'))


MORE = """
_data = dict(_delete_=True, type='THADataset', data_root=r'{root}', ann_file='train.json',
             pipeline=val_pipeline)
train_dataloader['dataset'] = _data
val_dataloader['dataset'] = test_dataloader['dataset'] = dict(_data, test_mode=True)
"""


@pytest.fixture
def config(place, tiny_set, request):
    """A config of which a training would start, too."""
    path = tiny_set / 'config.py'
    path.write_text(tiny_config(request.config.rootpath, tiny_set, MORE.format(root=tiny_set)))
    return path


def tool(name):
    def start(monkeypatch, *words):
        monkeypatch.setattr(sys, 'argv', [name, *words])
        compat.run_host_tool(name)

    return start


def command(name):
    def start(monkeypatch, *words):
        main([name, *words])

    return start


def python(monkeypatch, config, checkpoint):
    from mmpose.apis import MMPoseInferencer

    MMPoseInferencer(config, checkpoint, det_model='whole_image', device='cpu')


DOORS = {
    'predict': (command('predict'), 'CONFIG FILE images/val-0.dcm --out out --quiet'),
    'serve': (command('serve'), 'CONFIG FILE --port 0'),
    'calibrate': (command('calibrate'), 'CONFIG FILE'),
    'export': (command('export'), 'CONFIG FILE out.onnx'),
    'export of weights': (command('export'), 'CONFIG FILE out.safetensors'),
    'publish': (command('publish'), 'FILE out.pth --trained-on nothing'),
    'test.py': (tool('test'), 'CONFIG FILE --work-dir run'),
    'train.py --resume': (tool('train'), 'CONFIG --work-dir run --resume FILE'),
    'load_from': (tool('train'), 'CONFIG --work-dir run --cfg-options load_from=FILE'),
    'publish_model': (tool('publish_model'), 'FILE out.pth'),
    'MMPoseInferencer': (python, 'CONFIG FILE'),
}


@pytest.mark.parametrize('door', DOORS)
def test_every_door_is_closed_to_a_pickle_that_creates_a_file(door, config, monkeypatch, capsys):
    hostile = write('zip', config.with_name('stranger.pth'))
    # a logger of an earlier test may hold a stream that is closed by now
    monkeypatch.setattr('logging.raiseExceptions', False)
    start, words = DOORS[door]
    given = [{'CONFIG': str(config), 'FILE': str(hostile)}.get(w, w) for w in
             words.replace('=FILE', f'={hostile}').split()]  # fmt: skip
    by_command = door in ('predict', 'serve', 'calibrate', 'export', 'export of weights', 'publish')
    with pytest.raises(SystemExit if by_command else pickle.UnpicklingError) as caught:
        start(monkeypatch, *given)
    said = f'{caught.value}\n{capsys.readouterr().err}'
    assert 'Traceback' not in said
    if door != 'publish_model':  # there torch refuses, in its own words
        assert 'stranger.pth holds more than weights and logs' in said and REFUSED in said
    assert not Path('harmed').exists() and not list(config.parent.glob('out.*'))


@pytest.mark.parametrize('kind', ['zip', 'before torch 1.6', 'bare pickle'])
@pytest.mark.parametrize('suffix', ['pth', 'safetensors', 'onnx'])
def test_no_kind_of_pickle_runs_under_any_name(kind, suffix, place):
    path = write(kind, place / f'stranger.{suffix}')
    with pytest.raises((pickle.UnpicklingError, ValueError, ImportError), match=r'stranger|safe'):
        CheckpointLoader.load_checkpoint(str(path), 'cpu')
    if suffix == 'onnx':
        pytest.importorskip('onnxruntime')
        onnx_model = pytest.importorskip('unsct_mmpose.inference.onnx_model')
        with pytest.raises((ValueError, OSError)):
            onnx_model.OnnxModel(path)


@pytest.mark.parametrize('damage', ['rubbish', 'cut', 'empty', 'text', 'stack', 'zip of nothing'])
def test_a_damaged_file_is_told_in_words(damage, place):
    path = place / 'damaged.pth'
    torch.save(dict(state_dict=dict(weight=torch.zeros(999))), path)
    content = {
        'rubbish': bytes(range(256)), 'cut': path.read_bytes()[:-200], 'empty': b'',
        'text': 'Grüße aus München'.encode(), 'stack': b'rubbish',
        'zip of nothing': b'PK\x05\x06' + bytes(18),
    }[damage]  # fmt: skip
    path.write_bytes(content)
    with pytest.raises(pickle.UnpicklingError, match=r'damaged\.pth (is no whole|holds more than)'):
        CheckpointLoader.load_checkpoint(str(path), 'cpu')


@pytest.mark.parametrize('prefix', ['http://', 'https://'])
def test_a_download_is_read_like_a_file(prefix, place, monkeypatch):
    from mmengine.runner import checkpoint

    path = write('zip', place / 'stranger.pth')

    def download(filename, map_location=None, **_):
        return torch.load(io.BytesIO(path.read_bytes()), map_location=map_location)

    monkeypatch.setattr(checkpoint, 'load_url', download)
    with pytest.raises(pickle.UnpicklingError, match=REFUSED):
        CheckpointLoader.load_checkpoint(f'{prefix}host/stranger.pth', 'cpu')


def test_the_text_of_a_config_in_a_checkpoint_is_no_program(place, monkeypatch):
    """MMEngine runs it when a training is resumed, and when an inferencer has weights alone."""
    from mmengine.runner import Runner
    from mmpose.apis.inferencers import Pose2DInferencer

    Config.fromstring(TEXT, '.py')
    assert Path('harmed').exists()  # it is a program
    Path('harmed').unlink()
    path = place / 'stranger.pth'
    meta = dict(epoch=1, iter=1, config=TEXT, cfg=TEXT)
    torch.save(dict(state_dict={}, meta=meta, message_hub=dict(runtime_info=dict(cfg=TEXT))), path)
    with pytest.raises(pickle.UnpicklingError, match=f'no config was given.*{REFUSED}'):
        Pose2DInferencer(None, str(path), device='cpu')
    assert 'config' not in CheckpointLoader.load_checkpoint(str(path))['meta']
    runner = object.__new__(Runner)
    monkeypatch.setattr(
        Runner, 'load_checkpoint', lambda _, name, **__: CheckpointLoader.load_checkpoint(name)
    )
    monkeypatch.setattr(Runner, 'train_loop', property(lambda self: self))
    monkeypatch.setattr(Runner, '_randomness_cfg', {}, raising=False)
    with pytest.raises((AttributeError, ValueError)):  # the bare runner has nothing to resume
        runner.resume(str(path), map_location='cpu')
    assert not Path('harmed').exists()


def test_who_opts_in_gets_what_was_asked_for(place, monkeypatch):
    path = write('zip', place / 'own.pth')
    monkeypatch.setenv(compat.UNSAFE_VARIABLE, '1')
    with pytest.warns(UserWarning, match='may run code'):
        CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert Path('harmed').exists()  # the file was hostile indeed
    Path('harmed').unlink()
    assert compat._NOT_ONLY_WEIGHTS not in os.environ
