"""Show that each repair of unsct_mmpose/compat.py is needed in an installation, or not there.

probes.py              all repairs: a line of json, what was repaired and which probes pass
probes.py --without X  the same installation less one repair: its probe alone

A probe does what a user does who meets the fault.
"""

import argparse
import importlib.util
import json
import os
import socket
import tempfile
import traceback
from pathlib import Path


def _pkg_resources() -> None:
    from mmengine.utils import is_installed

    assert is_installed('mmpose')


def _distutils() -> None:
    from mmengine.utils.dl_utils import collect_env

    assert collect_env()['GCC']


def _mmcv_ext() -> None:
    import mmpose.models  # noqa: F401


def _torchvision() -> None:
    import mmpose.visualization  # noqa: F401


def _xtcocotools() -> None:
    import mmpose.datasets  # noqa: F401


def _albumentations() -> None:
    if importlib.util.find_spec('albumentations') is None:
        return  # an extra of this package
    from mmpose.datasets.transforms import Albumentation

    Albumentation(transforms=[dict(type='Blur', p=1.0)])


def _checkpoints() -> None:
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import CheckpointLoader

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'epoch_1.pth')
        torch.save({'message_hub': {'loss': HistoryBuffer([3.0, 1.0], [1, 1])}}, path)
        assert CheckpointLoader.load_checkpoint(path)['message_hub']['loss'].min() == 1.0


class Hostile:
    """A pickle that creates a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


def _strangers() -> None:
    import torch
    from mmengine.config import ConfigDict
    from mmengine.infer import BaseInferencer
    from mmengine.runner import CheckpointLoader

    with tempfile.TemporaryDirectory() as folder:
        path, harm = os.path.join(folder, 'a.pth'), Path(folder) / 'harmed'
        text = f'model = dict(type="None")\nx = __import__("pathlib").Path({str(harm)!r}).touch()'
        torch.save({'meta': {'cfg': text, 'config': text}, 'state_dict': {}}, path)
        plain = type('Plain', (BaseInferencer,), dict.fromkeys(BaseInferencer.__abstractmethods__))
        words = [_words_of(object.__new__(plain)._init_model, ConfigDict(), path)]
        assert not harm.exists(), 'the text of a config ran'
        torch.save({'meta': Hostile(harm)}, path)
        words.append(_words_of(CheckpointLoader.load_checkpoint, path))
        assert not harm.exists(), 'the checkpoint ran code'
        torch.save({'meta': {'config': text}}, path)
        assert 'config' not in CheckpointLoader.load_checkpoint(path)['meta'], 'the text is kept'
        assert all('UNSCT_ALLOW_UNSAFE_CHECKPOINTS' in text for text in words), words


def _words_of(call, *arguments) -> str:
    """Return the words of the error that a call ends with."""
    try:
        call(*arguments)
    except Exception as error:
        return str(error)
    return 'no error'


def _drawing() -> None:
    import numpy as np
    from mmpose.visualization import PoseLocalVisualizer

    drawer = PoseLocalVisualizer(backend='opencv')
    drawer.set_image(np.zeros((40, 60, 3), np.uint8))
    drawer.draw_circles(np.array([20.0, 10.0]), np.array([3]), face_colors=(255, 0, 0), alpha=1.0)


def _processes() -> None:
    from mmengine.dist import init_dist

    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    os.environ.update(
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK='0', WORLD_SIZE='1', LOCAL_RANK='0'
    )
    init_dist('pytorch', backend='nccl')


def _model_wrapper() -> None:
    import torch
    from mmengine.model import MMDistributedDataParallel

    if not torch.distributed.is_initialized():
        with tempfile.NamedTemporaryFile() as file:
            torch.distributed.init_process_group(
                'gloo', init_method=f'file://{file.name}', rank=0, world_size=1
            )
            MMDistributedDataParallel(module=torch.nn.Linear(2, 2), device_ids=[0])
    else:
        MMDistributedDataParallel(module=torch.nn.Linear(2, 2), device_ids=[0])


def _targets() -> None:
    import unsct_mmpose.register  # noqa: F401

    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS

    init_default_scope('mmpose')
    sample = DATASETS.build(Config.fromfile('tiny.py').train_dataloader.dataset)[0]['data_samples']
    assert {'heatmaps', 'pafs'} <= set(sample.gt_fields.keys()), sample.gt_fields.keys()


PROBES = {
    'pkg_resources': _pkg_resources,
    'distutils': _distutils,
    'mmcv._ext': _mmcv_ext,
    'torchvision': _torchvision,
    'xtcocotools': _xtcocotools,
    'mmdet': _mmcv_ext,
    'albumentations': _albumentations,
    'checkpoints': _checkpoints,
    'strangers': _strangers,
    'drawing': _drawing,
    'processes': _processes,
    'model wrapper': _model_wrapper,
    'targets': _targets,
}
"""By the names of ``compat._REPAIRS``, in an order in which none disturbs a later one."""


def passes(name: str) -> str:
    """Run a probe; return nothing if it passes, else why not."""
    try:
        PROBES[name]()
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        traceback.print_exc()
        words = f'{type(error).__name__}: {error}'.splitlines()[0]
        return ''.join(filter(str.isprintable, words))[:150]
    return ''


def main() -> None:
    """Repair the host, and probe."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--without', metavar='REPAIR')
    args = parser.parse_args()
    from unsct_mmpose import compat

    if args.without:
        del compat._REPAIRS[args.without]
    try:
        applied = {repair.name: repair.fault for repair in compat.repair_host()}
    except Exception as error:  # one repair can rest upon another
        print(
            json.dumps({'repairs': {}, 'why': {args.without: f'{type(error).__name__}: {error}'}})
        )
        return
    names = [args.without] if args.without else [name for name in PROBES if name in compat._REPAIRS]
    print(json.dumps({'repairs': applied, 'why': {name: passes(name) for name in names}}))


if __name__ == '__main__':
    main()
