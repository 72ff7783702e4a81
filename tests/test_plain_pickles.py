"""Weights, plain values and logs come back from a checkpoint; anything else does nothing."""

import io
import os
import pickle
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from unsct_mmpose import plain_pickles


def load(content, **how):
    """Save a content and load it again, as PyTorch < 2.6 does here."""
    file = io.BytesIO()
    torch.save(content, file, **how)
    file.seek(0)
    with plain_pickles.plain_loads():
        return torch.load(file, map_location='cpu')


@pytest.mark.parametrize('zipped', [True, False])
def test_what_a_training_saves_comes_back(zipped):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).to(torch.bfloat16)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 1, 4, 4, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    content = dict(
        state_dict=net.state_dict(), optimizer=optimizer.state_dict(),
        half=torch.ones(3).half()[1:], parameter=torch.nn.Parameter(torch.zeros(2)),
        size=torch.Size([2]), dtype=torch.int64,
        device=torch.device('cpu'), raw=b'\x00\xff', sets={1}, numbers=(1, 2.5, 3j, None, 1 << 80),
        array=np.arange(6.0).reshape(2, 3), names=np.array(['a']), best=np.float64(1.5),
        flag=np.bool_(True), log=HistoryBuffer([3.0, 1.0], [1, 1]),
    )  # fmt: skip
    back = load(content, _use_new_zipfile_serialization=zipped)
    assert type(back['state_dict']) is OrderedDict
    assert back['state_dict']._metadata == content['state_dict']._metadata
    for name, value in content['state_dict'].items():
        assert torch.equal(back['state_dict'][name], value)
    average = optimizer.state[net[0].weight]['exp_avg']
    assert torch.equal(back['optimizer']['state'][0]['exp_avg'], average)
    assert back['half'].tolist() == [1, 1] and torch.equal(back['parameter'], content['parameter'])
    for name in ('size', 'dtype', 'device', 'raw', 'sets', 'numbers', 'best', 'flag'):
        assert back[name] == content[name]
    for name in ('array', 'names'):
        np.testing.assert_array_equal(back[name], content[name])
    assert back['log'].statistics('min') == back['log'].statistics('current') == 1.0


class Calls:
    """Is pickled as a call, or as an object that a state is given to."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def text(*lines):
    """Write opcodes by hand: a call of what no pickler would name."""
    return b'\x80\x02' + b''.join(lines) + b'.'


HARM = b"V__import__('os').system('touch harmed')\n"
OPCODES = {
    'GLOBAL': text(b'cos\nsystem\n', b'Vtouch harmed\n', b'\x85R'),
    'Python 2': text(b'c__builtin__\neval\n', HARM, b'\x85R'),
    'INST': text(b'(icollections\nOrderedDict\n'),
    'OBJ': text(b'(ccollections\nOrderedDict\no'),
    'STACK_GLOBAL': text(b'\x8c\x02os\x8c\x06system\x93', b'Vtouch harmed\n', b'\x85R'),
    'a frame': b'\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00N.',
    'NEWOBJ_EX': text(b'ccollections\nOrderedDict\n)}\x92'),
    'EXT1': text(b'\x82\x01'),
    'PERSID': text(b'Pharm\n'),
    'BINPERSID': text(b'Vmodule\n', b'NNN(t\x87', b'Q'),
    'a dotted name': text(b'ctorch\n_utils.sys.modules\n'),
    'a method of a class': text(b'ccollections\nOrderedDict.fromkeys\n'),
    'codec': text(b'c_codecs\nencode\nVa\nVrot13\n\x86R'),
    'a call of a result': text(b'ccollections\nOrderedDict\n)R)R'),
    'a method of the log': text(b'c__builtin__\ngetattr\n', b'cmmengine.logging.history_buffer\n'
                                b'HistoryBuffer\nVmean\n\x86R', b'(K\x01tR'),
    'an attribute of a class': text(b'cmmengine.logging.history_buffer\nHistoryBuffer\n',
                                    b'N}Vmean\nK\x01s\x86b'),
    'an attribute of a function': text(b'ctorch._utils\n_rebuild_tensor_v2\n', b'}Vx\nK\x01sb'),
    'an item of a class': text(b'ccollections\nOrderedDict\n', b'K\x01K\x02s'),
    'items of a class': text(b'ccollections\nOrderedDict\n', b'(K\x01K\x02u'),
    'more in a set': text(b'cbuiltins\nset\n)R', b'K\x01a'),
    'many more in a set': text(b'cbuiltins\nset\n)R', b'(K\x01K\x02e'),
    'an instance of a function': text(b'ctorch._utils\n_rebuild_tensor_v2\n', b')\x81'),
}  # fmt: skip


@pytest.mark.parametrize('name', OPCODES)
def test_no_opcode_calls_or_changes_what_is_not_listed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mean = HistoryBuffer.mean
    with pytest.raises(pickle.UnpicklingError, match='is not allowed'):
        plain_pickles.load(io.BytesIO(OPCODES[name]))
    assert not Path('harmed').exists() and HistoryBuffer.mean is mean
    assert not hasattr(torch._utils._rebuild_tensor_v2, 'x')


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize(
    'hostile',
    [
        Calls(os.system, ('touch harmed',)),
        Calls(eval, ('open("harmed", "w")',)),
        Calls(getattr, (np.ndarray, 'tofile')),
        Calls(getattr, (Calls(getattr, (np.ndarray, '__init__')), '__globals__')),
        Calls(torch.load, ('harmed',)),
        Path('harmed'),
        np.array([Path('harmed')]),
        torch.nn.Linear(1, 1),
    ],
)
def test_a_checkpoint_that_calls_something_is_refused(hostile, zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match='not allowed'):
        load(dict(meta=hostile), _use_new_zipfile_serialization=zipped)
    assert not Path('harmed').exists()


def test_archives_that_code_can_hide_in_are_refused(tmp_path):
    script, old = tmp_path / 'script.pt', tmp_path / 'old.pt'
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(script))
    with tarfile.open(old, 'w') as archive:
        for name in ('storages', 'tensors', 'pickle'):
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(pickle.dumps(0, 2)))
    for path, words in ((script, 'TorchScript'), (old, 'tar archive')):
        with pytest.raises(pickle.UnpicklingError, match=words), plain_pickles.plain_loads():
            torch.load(path)


def test_a_forced_switch_of_torch_is_obeyed_and_all_is_as_before(monkeypatch):
    monkeypatch.setenv(plain_pickles._FORCED, '1')
    before = torch.load, torch.serialization.tarfile, torch.serialization._is_torchscript_zip
    assert load({'a': 1}) == {'a': 1}
    with pytest.raises(pickle.UnpicklingError):
        load({'a': Path('b')})
    after = torch.load, torch.serialization.tarfile, torch.serialization._is_torchscript_zip
    assert before == after and os.environ[plain_pickles._FORCED] == '1'


def test_other_methods_than_the_logs_own_are_not_handed_out():
    assert plain_pickles._history_method(HistoryBuffer, 'mean') is HistoryBuffer.mean
    for owner, name in (
        (HistoryBuffer, '__init__'),
        (HistoryBuffer([1], [1]), 'mean'),
        (os, 'min'),
    ):
        with pytest.raises(pickle.UnpicklingError, match='is not allowed'):
            plain_pickles._history_method(owner, name)
