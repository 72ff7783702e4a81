"""What every test may use."""

import gc
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import unsct_mmpose.register  # noqa: F401  tests of adapters build them by name

import numpy as np
import pytest

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations.coco import AnnotatedRadiograph, LandmarkStates, write_annotations
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.research.memory import give_back_freed, memory_mb
from unsct_mmpose.research.tiny import tiny_config as tiny_config_text

pytest_plugins = ['tests.golden_hip', 'tests.dicom_files', 'tests.fake_backend']

ROOT = Path(__file__).resolve().parents[1]

# the limits of one file are by the clock, which runs on while a loaded machine does other things
os.environ |= dict.fromkeys(('UNSCT_DECODE_SECONDS', 'UNSCT_FILE_SECONDS'), '3600')

# A stock MMPose model, as small as it gets: nothing of ours in it but the import.
STOCK_CONFIG = """
custom_imports = dict(imports=['unsct_mmpose'], allow_failed_imports=False)
default_scope = 'mmpose'
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    head=dict(type='HeatmapHead', in_channels=64, out_channels=17, deconv_out_channels=(8, 8, 8),
              deconv_kernel_sizes=(4, 4, 4), loss=dict(type='KeypointMSELoss'), decoder=codec))
_load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
_pack = [dict(type='TopdownAffine', input_size=(64, 64)), dict(type='PackPoseInputs')]
_target = [_pack[0], dict(type='GenerateTarget', encoder=codec), _pack[1]]
_data = dict(type='CocoDataset', data_root='data', ann_file='people.json', data_prefix=dict(img=''))
_loader = dict(batch_size=2, num_workers=0)
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True),
                        dataset=dict(pipeline=_load + _target, **_data), **_loader)
val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(pipeline=_load + _pack, test_mode=True, **_data), **_loader)
test_dataloader = val_dataloader
val_evaluator = [dict(type='EPE')]
test_evaluator = [dict(type='EPE')]
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='MultiStepLR', milestones=[2], by_epoch=True)]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=1, save_best='EPE', rule='less'),
    visualization=dict(type='PoseVisualizationHook', enable=False))
custom_hooks = [dict(type='EMAHook')]
visualizer = dict(type='PoseLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=1))
"""


def pytest_collection_finish():
    """Let collections of garbage pass over what the imports have made: MMEngine asks for many."""
    gc.collect()
    gc.freeze()


_held_mb = 0.0


def pytest_runtest_logfinish():  # what a test had is let go of after its teardown
    """Give memory back that large networks had: glibc keeps it, gigabytes of it for a full run."""
    global _held_mb
    if memory_mb('VmRSS') > _held_mb + 256:
        give_back_freed()
        _held_mb = memory_mb('VmRSS')


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Say what ended a process of pytest-xdist: of a signal there is no other trace."""
    if error:
        import resource  # not on Windows

        status = node.gateway._io.popen.wait(60)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        words = f'{node.gateway.id} ended with status {status}; most memory of one: {most} MiB'
        node.config.get_terminal_writer().line(f'\n{words}')


@pytest.fixture(scope='session', autouse=True)
def _few_threads():
    """Several pytest processes share two cores: one thread each is fastest."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture(scope='session', autouse=True)
def _configs_as_they_come():
    """Laying out a config for the log and each checkpoint takes longer than a tiny training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, False))
        yield


@pytest.fixture(scope='session', autouse=True)
def _data_sets_collect_no_garbage():
    """A walk over all objects for each data set, where a test's has some images, takes longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.dataset.base_dataset.gc', types.SimpleNamespace(collect=int))
        yield


@pytest.fixture(scope='session', autouse=True)
def _weights_start_untold():
    """Keep no account of which call drew a weight: a mean of all at each, a line for each."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ('weight_init.update_init_info', 'base_module.update_init_info'):
            patch.setattr(f'mmengine.model.{name}', lambda *_, **__: None)
        patch.setattr('mmengine.model.BaseModule._dump_init_info', lambda *_: None)
        yield


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """The folder of real radiographs and references beside the repository, or a skipped test."""
    path = Path(os.environ.get('UNSCT_SHARED') or ROOT.parent / 'shared')
    if not path.is_dir():
        pytest.skip(f'no real data: {path} is not there (set UNSCT_SHARED)')
    return path


@pytest.fixture(scope='session')
def run_python():
    """Run this interpreter in a process of its own, with a path of its own."""

    def run(*arguments, cwd=ROOT, path=(), check=True, **variables) -> subprocess.CompletedProcess:
        environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        environment |= {'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg', **variables}
        if path:
            environment['PYTHONPATH'] = os.pathsep.join(map(str, path))
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        if check:
            assert done.returncode == 0, f'{done.stdout[-2000:]}\n{done.stderr[-4000:]}'
        return done

    return run


@pytest.fixture
def unsct(monkeypatch, capsys):
    """Run a command line in this process, where all is imported; return how it went."""
    from unsct_mmpose.cli.main import main

    def run(*words, cwd=None) -> subprocess.CompletedProcess:
        with monkeypatch.context() as patch:
            patch.chdir(cwd or ROOT)
            try:
                status = main([str(word) for word in words])
            except SystemExit as left:
                status = left.code
        return subprocess.CompletedProcess(words, status, *capsys.readouterr())

    return run


@pytest.fixture
def stock_run(tmp_path) -> Path:
    """A folder with ``stock.py``, a stock MMPose config, and the four images that it trains on."""
    import cv2

    rng = np.random.default_rng(0)
    (tmp_path / 'data').mkdir()
    images, people = [], []
    for i in range(4):
        name = f'{i}.png'
        cv2.imwrite(str(tmp_path / 'data' / name), rng.integers(0, 255, (64, 48, 3), np.uint8))
        images.append({'id': i, 'file_name': name, 'width': 48, 'height': 64})
        points = np.c_[rng.uniform(5, 40, (17, 2)), np.full(17, 2)].ravel().tolist()
        person = {'id': i, 'image_id': i, 'category_id': 1, 'bbox': [0, 0, 48, 64], 'area': 3072}
        people.append({**person, 'iscrowd': 0, 'keypoints': points, 'num_keypoints': 17})
    categories = [{'id': 1, 'name': 'person'}]
    content = {'images': images, 'annotations': people, 'categories': categories}
    (tmp_path / 'data' / 'people.json').write_text(json.dumps(content))
    (tmp_path / 'stock.py').write_text(STOCK_CONFIG)
    return tmp_path


@pytest.fixture(scope='session')
def _tiny_files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('tiny')
    for split, count in (('train', 3), ('val', 2)):
        _write_split(folder, split, count)
    return folder


@pytest.fixture
def tiny_set(_tiny_files, tmp_path: Path) -> Path:
    """A folder with train.json (3 images) and val.json (2), and their small DICOM files."""
    shutil.copytree(_tiny_files, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def write_split():
    """Return a function that writes another split of so many images into a folder."""
    return _write_split


@pytest.fixture
def hide_landmarks():
    """Return a function that says of every image in a folder's val.json that some are absent."""

    def hide(folder, landmarks):
        content = json.loads((folder / 'val.json').read_text())
        for image, annotation in zip(content['images'], content['annotations'], strict=True):
            image.update(file_name=Path(image['file_name']).name, subset='unstructured')
            image['absent'] = [LANDMARK_NAMES[index] for index in landmarks]
            for index in landmarks:
                annotation['keypoints'][3 * index : 3 * index + 3] = [0, 0, 0]
            annotation['num_keypoints'] = 24 - len(landmarks)
        (folder / 'val.json').write_text(json.dumps(content))

    return hide


@pytest.fixture(scope='session')
def _random_weights(tmp_path_factory) -> Path:
    """A checkpoint of the tiny network as it is before training."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromstring(tiny_config_text(ROOT), '.py').model)
    path = tmp_path_factory.mktemp('weights') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=1)), path)
    return path


@pytest.fixture
def trained(tiny_set, hide_landmarks, _random_weights):
    """A config, and a checkpoint of random weights, beside images that lack some landmarks."""
    import torch
    from mmengine.registry import init_default_scope

    config = tiny_set / 'config.py'
    config.write_text(tiny_config_text(ROOT, tiny_set))
    hide_landmarks(tiny_set, [3, 14, 20])
    shutil.copy(_random_weights, tiny_set / 'model.pth')
    init_default_scope('mmpose')
    torch.manual_seed(0)
    return config, tiny_set / 'model.pth'


@pytest.fixture
def tiny_config(tiny_set, tmp_path):
    """A narrow network for images of 64 x 64: one epoch on CPU, every landmark reported."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    (tiny_set / 'tiny.py').write_text(tiny_config_text(ROOT, tiny_set))
    config = Config.fromfile(tiny_set / 'tiny.py')
    config.train_pipeline = [
        dict(type='LoadRadiograph'),
        dict(type='GetBBoxCenterScale', padding=1.0),
        dict(type='RadiographAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder=config.model.head.decoder),
        dict(type='PackPoseInputs'),
    ]
    data = dict(type='THADataset', data_root=str(tiny_set))
    config.train_dataloader.dataset = dict(
        data, ann_file='train.json', pipeline=config.train_pipeline
    )
    data.update(ann_file='val.json', test_mode=True, pipeline=config.val_pipeline)
    config.val_dataloader.dataset = config.test_dataloader.dataset = data
    for name in ('train', 'val', 'test'):
        config[f'{name}_dataloader'].batch_size = 2
    config.merge_from_dict(
        {
            'work_dir': str(tmp_path / 'run'),
            'train_cfg.max_epochs': 1,
            'train_cfg.val_interval': 1,
            'default_hooks.checkpoint.interval': 1,
            'model.head.decoder.threshold': float('inf'),
            'model.test_cfg.flip_test': False,
        }
    )
    config.test_evaluator = config.val_evaluator
    # a runner takes a logger and a visualizer of its name from a former one
    config.experiment_name = tmp_path.name
    config.visualizer.name = tmp_path.name
    init_default_scope('mmpose')
    return config


def _write_split(root: Path, split: str, count: int) -> None:
    (root / 'images').mkdir(exist_ok=True)
    cases = []
    for index in range(count):
        rng = np.random.default_rng((count, index))
        name = f'images/{split}-{index}.dcm'
        write_radiograph(
            root / name,
            rng.integers(0, 4095, (80, 96), dtype=np.uint16),
            spacing_xy_mm=(4.0, 4.0),
            magnification=1.15,
            source_detector_mm=1150.0,
            patient_id=f'{split}-{index}',
            uid_seed=name,
        )
        everything = np.ones(24, dtype=bool)
        states = LandmarkStates(rng.uniform((4, 4), (91, 75), (24, 2)), everything, ~everything)
        cases.append(
            AnnotatedRadiograph(
                image_id=index + 1,
                file_name=name,
                size_wh=(96, 80),
                subset='structured',
                states=states,
                spacing_xy_mm=(4.0, 4.0),
                magnification=1.15,
                patient_id=f'{split}-{index}',
            )
        )
    write_annotations(root / f'{split}.json', cases)


LANDMARKER = dict(
    models="""
from torch import nn
class OriginalSpatialConfigurationNet(nn.Conv2d):
    def __init__(self, in_channels, out_channels, la_channels, sp_channels):
        super().__init__(in_channels, out_channels, 3, padding=1)
    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.2, self.training)
""",
    heatmap="""
import torch
from torch import nn
class GaussianHeatmapGenerator(nn.Module):
    def __init__(self, nb_landmarks, sigmas, gamma, heatmap_size, learnable):
        super().__init__()
        self.size, self.sigmas = heatmap_size, nn.Parameter(torch.full((nb_landmarks, 2), sigmas))
    def forward(self, points):
        ys, xs = (torch.arange(n) for n in self.size)
        dy = (ys[:, None] - points[..., 0, None, None]) / self.sigmas[:, 0, None, None]
        dx = (xs - points[..., 1, None, None]) / self.sigmas[:, 1, None, None]
        return torch.exp(-0.5 * (dx**2 + dy**2))
def heatmap_to_coord(maps, method):
    place = maps.flatten(2).argmax(-1)
    return torch.stack((place // maps.shape[-1], place % maps.shape[-1]), -1)
""",
    losses="""
from torch import nn
class GaussianHeatmapL2Loss(nn.Module):
    def __init__(self, alpha=5):
        super().__init__()
    def forward(self, maps, sigmas, targets):
        return ((maps - targets) ** 2).sum() + sigmas.prod(-1).sum()
""",
)
"""Stand-ins for what our script takes from ``landmarker``, which is not installed here."""


@pytest.fixture
def landmarker_stand_in(tmp_path_factory) -> Path:
    """A folder to import a stand-in for ``landmarker`` from, with versions to be asked for."""
    folder = tmp_path_factory.mktemp('site')
    for name, text in LANDMARKER.items():
        (folder / 'landmarker').mkdir(exist_ok=True)
        (folder / 'landmarker' / f'{name}.py').write_text(text)
    for name in ('landmarker', 'monai'):
        (folder / f'{name}-9.9.dist-info').mkdir()
        words = f'Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n'
        (folder / f'{name}-9.9.dist-info' / 'METADATA').write_text(words)
    return folder
