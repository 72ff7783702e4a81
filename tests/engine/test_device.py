"""`--device`: what it means, and what is said where it cannot be had."""

import argparse
from pathlib import Path

import pytest
import torch

from unsct_mmpose.calibrate.evidence_table import load_model
from unsct_mmpose.cli.main import build_parser, main
from unsct_mmpose.engine.device import resolve_device

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'configs/demo/unsct_hrnet_tha_cpu.py', ROOT / 'configs/demo/unsct_hrnet_tha_cpu.pth'
TABLE = (*DEMO, '--data', '.', '--ann-file', 'val.json')
COMMANDS = {
    'benchmark step': (),
    'benchmark decode': (),
    'benchmark predict': (*DEMO, ROOT / 'configs/demo'),
    'benchmark gradients': DEMO[:1],
    'calibrate': DEMO,
    'predict': (*DEMO, ROOT / 'configs/demo/phantom_example.dcm'),
    'serve': (*DEMO, '--port', '0'),
    'study collect': (*TABLE, '--out', 'table.npz'),
    'study grown': (
        *TABLE,
        *['--name', 'n', '--model', 'm', '--describe', 'd', '--out', 'out.json'],
    ),
}
"""Every command that has `--device`, with the arguments that it cannot do without."""


def machine(monkeypatch, *, cuda='13.0', devices=0):
    """Make PyTorch report another machine."""
    monkeypatch.setattr(torch.version, 'cuda', cuda)
    monkeypatch.setattr(torch.version, 'hip', None)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: devices)


def test_auto_takes_cuda_where_there_is_any(monkeypatch):
    machine(monkeypatch, devices=1)
    assert resolve_device() == resolve_device('auto') == 'cuda'
    machine(monkeypatch, devices=0)
    assert resolve_device() == resolve_device('auto') == 'cpu'


def test_what_is_there_is_taken_as_it_is_named(monkeypatch):
    machine(monkeypatch, devices=2)
    assert [resolve_device(name) for name in ('cpu', 'cuda', 'cuda:1')] == ['cpu', 'cuda', 'cuda:1']


@pytest.mark.parametrize(
    ('name', 'known', 'words'),
    [
        ('cuda', dict(cuda=None), r'is one for the CPU; install .* or take --device cpu'),
        ('cuda:1', dict(devices=0), r'nvidia-smi and CUDA_VISIBLE_DEVICES say, or take --device'),
        ('cuda:2', dict(devices=2), r'this machine has 2, numbered from cuda:0 to cuda:1'),
        ('gpu', {}, r"'gpu' is no device: take auto, cpu, cuda or cuda:1"),
    ],
)
def test_what_is_not_there_is_refused_with_the_cure(monkeypatch, name, known, words):
    machine(monkeypatch, **known)
    with pytest.raises(ValueError, match=words):
        resolve_device(name)


def test_a_model_is_loaded_to_where_auto_says():
    model, _ = load_model(*DEMO)
    assert next(model.parameters()).device.type == resolve_device()


def options(parser, words=()):
    """Yield the words that lead to each option of a parser, and the option."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from options(child, (*words, name))
        yield ' '.join(words), action


def test_these_are_the_commands_that_have_a_device():
    defaults = {
        words: action.default
        for words, action in options(build_parser())
        if '--device' in action.option_strings
    }
    assert defaults == dict.fromkeys(COMMANDS, 'auto')


@pytest.mark.parametrize('name', COMMANDS)
def test_a_command_without_its_device_says_what_to_do(name, tmp_path, monkeypatch, capsys):
    machine(monkeypatch, devices=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main([*name.split(), '--device', 'cuda', *map(str, COMMANDS[name])])
    assert left.value.code not in (0, None)
    error = capsys.readouterr().err
    assert f'{name.split()[0]}: device cuda: ' in error
    assert 'or take --device cpu' in error
    assert not list(tmp_path.iterdir())
