"""The host is repaired where it is broken, and left alone where it is not."""

import importlib.metadata
import importlib.util
import io
import os
import pickle
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from unsct_mmpose import compat, plain_pickles

COMPAT = Path(compat.__file__)

# Files of a make-believe installation. With `python -S` nothing else but the standard library and
# this is there: quick, and every kind of host can be made.
NEW_MMPOSE = {
    'mmpose/__init__.py': '',
    'mmpose/utils/__init__.py': '',
    'mmpose/utils/typing.py': 'ConfigType = dict',
    'mmpose/utils/dist_utils.py': 'def reduce_mean(tensor): return tensor',
    'mmpose/models/heads/hybrid_heads/rtmo_head.py': '',
    'mmpose/models/heads/transformer_heads/edpose_head.py': '',
    'mmpose/visualization/simcc_vis.py': '',
}
OLD_MMPOSE = {'mmpose/__init__.py': ''}
MMCV_LITE = {'mmcv/__init__.py': ''}
PYCOCOTOOLS = {
    'pycocotools/__init__.py': '',
    'pycocotools/coco.py': 'class COCO: pass',
    'pycocotools/mask.py': 'def decode(rle): return rle\n_private = 1',
}
REAL = {
    'mmcv/_ext.py': '',
    'mmdet/__init__.py': '',
    'mmdet/utils.py': '',
    'pkg_resources.py': '',
    'torchvision/__init__.py': '',
    'torchvision/transforms.py': '',
    'xtcocotools/__init__.py': '',
    'xtcocotools/coco.py': '',
    'xtcocotools/cocoeval.py': '',
    'xtcocotools/mask.py': '',
}


@pytest.fixture
def on_host(tmp_path, run_python):
    """Run code with ``compat`` loaded on a make-believe host of these files."""

    def run(files, *code, check=True):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        load = f"""
            import importlib, importlib.util, sys
            spec = importlib.util.spec_from_file_location('compat', {str(COMPAT)!r})
            compat = sys.modules['compat'] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(compat)
        """
        program = ''.join(map(textwrap.dedent, (load, *code)))
        done = run_python('-S', '-c', program, cwd=tmp_path, path=[tmp_path], check=check)
        return done.stdout if check else done.stdout + done.stderr

    return run


REPAIR_STAND_INS = """
    names = ['pkg_resources', 'mmcv._ext', 'torchvision', 'xtcocotools', 'mmdet']
    found = {name: compat._REPAIRS[name]() for name in names}
"""


def test_without_mmpose_there_is_nothing_to_repair(on_host):
    assert on_host({}, 'print(compat.repair_host())') == '()\n'


def test_a_healthy_host_keeps_every_real_package(on_host):
    printed = on_host(
        {**NEW_MMPOSE, **MMCV_LITE, **REAL},
        REPAIR_STAND_INS,
        """
        assert not any(found.values()), found
        assert not any(hasattr(m, '__unsct_stand_in__') for m in list(sys.modules.values()))
        assert compat._stand_ins not in sys.meta_path
        print('untouched')
        """,
    )
    assert printed == 'untouched\n'


def test_every_missing_package_gets_a_stand_in_that_says_so(on_host):
    on_host(
        {**NEW_MMPOSE, **MMCV_LITE, **PYCOCOTOOLS},
        REPAIR_STAND_INS,
        """
        assert all(found.values()), found
        for name in [*names, 'mmdet.utils', 'torchvision.transforms', 'xtcocotools.mask']:
            assert sys.modules[name].__unsct_stand_in__
            assert importlib.util.find_spec(name).name == name
        assert not any(compat._REPAIRS[name]() for name in names), 'a second time changes nothing'
        from mmdet.utils import ConfigType, reduce_mean
        assert ConfigType is dict and reduce_mean(3) == 3
        from torchvision.transforms import ToPILImage
        from xtcocotools.coco import COCO
        import xtcocotools.mask as mask
        assert COCO.__module__ == 'pycocotools.coco' and mask.decode(1) == 1
        """,
    )


@pytest.mark.parametrize(
    ('name', 'broken', 'fault'),
    [
        (
            'torchvision',
            {
                'torchvision/__init__.py': 'from . import extension\nraise RuntimeError("nms")',
                'torchvision/extension.py': '',
            },
            'RuntimeError: nms',
        ),
        (
            'mmdet',
            {'mmdet/__init__.py': 'assert False, "mmcv<2.2.0"', 'mmdet/utils.py': ''},
            'AssertionError: mmcv<2.2.0',
        ),
        (
            'xtcocotools',
            {
                'xtcocotools/__init__.py': '',
                'xtcocotools/coco.py': 'from . import mask',
                'xtcocotools/mask.py': 'raise ValueError("numpy.dtype size changed")',
            },
            'ValueError: numpy.dtype size changed',
        ),
    ],
)
def test_a_broken_package_is_replaced_whole_and_its_fault_is_told(on_host, name, broken, fault):
    printed = on_host(
        {**NEW_MMPOSE, **MMCV_LITE, **PYCOCOTOOLS, **broken},
        f"""
        print(compat._REPAIRS['{name}']().fault)
        assert sys.modules['{name}'].__unsct_stand_in__
        rest = [n for n in sys.modules if n.startswith('{name}.')]
        assert all(hasattr(sys.modules[n], '__unsct_stand_in__') for n in rest), rest
        """,
    )
    assert fault in printed


ALBUMENTATIONS = {
    'albumentations/__init__.py': "from . import augmentations\n__version__ = '2.0.8'",
    'albumentations/augmentations/__init__.py': '',
    'albumentations/augmentations/pixel/__init__.py': '',
    'albumentations/augmentations/pixel/transforms.py': 'Blur = 1',
}
OLDER = {'albumentations/augmentations/transforms.py': 'Blur = 2'}


def test_albumentations_has_the_module_under_the_name_that_mmpose_asks_for(on_host):
    repair = 'found = compat._REPAIRS["albumentations"]()\n'
    assert on_host({}, repair, 'assert found is None') == ''
    asked = 'import albumentations; print(albumentations.augmentations.transforms.Blur)\n'
    told = on_host(ALBUMENTATIONS, repair, asked, 'print(found.fault)')
    assert told.splitlines() == ['1', 'albumentations 2.0.8 has no augmentations.transforms']
    both = {'albumentations/augmentations/__init__.py': 'from . import transforms'}
    older = on_host({**ALBUMENTATIONS, **OLDER, **both}, repair, asked, 'print(found)')
    assert older.splitlines() == ['2', 'None']


def test_an_older_mmpose_that_needs_no_stand_in_gets_none(on_host):
    on_host(
        {**OLD_MMPOSE, **MMCV_LITE},
        """
        for name in ('mmcv._ext', 'torchvision', 'mmdet'):
            assert compat._REPAIRS[name]() is None
            assert name not in sys.modules
        """,
    )


def test_without_either_cocotools_the_cure_is_named(on_host):
    printed = on_host(NEW_MMPOSE, 'compat._REPAIRS["xtcocotools"]()', check=False)
    assert 'ImportError' in printed
    assert 'pip install pycocotools' in printed


def test_a_stand_in_has_nothing_more_than_it_says(on_host):
    printed = on_host(
        NEW_MMPOSE,
        """
        compat._REPAIRS['torchvision']()
        import torchvision
        assert not hasattr(torchvision, 'models')
        assert importlib.util.find_spec('torchvision.ops') is None
        torchvision.ops
        """,
        check=False,
    )
    assert "stand-in for torchvision has no 'ops'" in printed


def test_an_mmcv_operator_is_refused_by_name_when_it_is_called(on_host):
    printed = on_host(
        {**NEW_MMPOSE, **MMCV_LITE},
        """
        compat._REPAIRS['mmcv._ext']()
        from mmcv import _ext
        assert _ext.get_compiler_version() == 'n/a'
        forward = _ext.deform_conv_forward
        print('importing it was fine')
        forward(1, weight=2)
        """,
        check=False,
    )
    assert 'importing it was fine' in printed
    assert "NotImplementedError: the compiled operator mmcv.ops 'deform_conv_forward'" in printed


def test_mmposes_own_script_runs_with_our_arguments_from_wheel_and_from_checkout(on_host):
    script = 'import sys; print(__name__, sys.argv)'
    run = 'sys.argv[1:] = ["a.py", "--resume"]; compat.run_host_tool("train")'
    wheel = on_host({**OLD_MMPOSE, 'mmpose/.mim/tools/train.py': script}, run)
    checkout = on_host({'model-index.yml': '', 'tools/train.py': script}, run)
    for printed in (wheel, checkout):
        assert printed.startswith('__main__')
        assert printed.endswith("'a.py', '--resume']\n")


def test_an_mmpose_without_tools_is_an_error_in_words(on_host):
    assert 'not installed' in on_host({}, 'compat.run_host_tool("train")', check=False)
    stranger = {**OLD_MMPOSE, 'tools/train.py': 'print("another project\'s script")'}
    printed = on_host(stranger, 'compat.run_host_tool("train")', check=False)
    assert "MMPose's own tools were not found" in printed
    assert 'another project' not in printed


# Targets of MMPose 1.1


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('weights', [False, True])
def test_an_older_mirror_treats_weights_as_the_installed_one_does(direction, weights):
    from mmpose.structures.keypoint import flip_keypoints

    if importlib.metadata.version('mmpose').startswith('1.1.'):
        pytest.skip('the installed one is the older')

    def old(keypoints, keypoints_visible, **how):
        assert keypoints.shape[:-1] == keypoints_visible.shape  # what MMPose 1.1 insists on
        return flip_keypoints(keypoints, keypoints_visible, **how)

    rng = np.random.default_rng(0)
    points = rng.uniform(0, 9, (1, 4, 2))
    visible = rng.integers(0, 2, (1, 4, 2) if weights else (1, 4)).astype(float)
    how = dict(image_size=(10, 8), flip_indices=[2, 3, 0, 1], direction=direction)
    found = compat._flip_weights_too(old)(points.copy(), visible, **how)
    for ours, theirs in zip(found, flip_keypoints(points.copy(), visible, **how), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_newer_mmpose_needs_no_targets():
    assert compat._repair_targets() is None


# Several processes

TORCH = """
class cuda:
    def is_available(): return {cuda}
    def set_device(device): {set_device}
"""
MMENGINE = {
    'mmengine/__init__.py': '',
    'mmengine/device.py': 'def get_device(): return DEVICE',
    'mmengine/dist/__init__.py': '',
    'mmengine/dist/utils.py': """
import torch
def _init_dist_pytorch(backend, **kwargs):
    torch.cuda.set_device(1)
    print('started', backend, kwargs)
_init_dist_slurm = _init_dist_mpi = _init_dist_pytorch
""",
    'mmengine/model.py': """
class MMDistributedDataParallel:
    def __init__(self, module, detect=False, **kwargs): print(module, detect, kwargs)
""",
}


def host_of(device, cuda=False, set_device="raise RuntimeError('No CUDA GPUs are available')"):
    device_file = MMENGINE['mmengine/device.py'].replace('DEVICE', repr(device))
    torch_file = TORCH.format(cuda=cuda, set_device=set_device)
    return {**MMENGINE, 'mmengine/device.py': device_file, 'torch.py': torch_file}


def test_without_cuda_every_launcher_starts_and_the_wrapper_gets_no_number_of_a_gpu(on_host):
    printed = on_host(
        host_of('cpu'),
        """
        print(compat._REPAIRS['processes']().fault)
        print(compat._REPAIRS['model wrapper']().fault)
        import torch
        from mmengine.dist import utils
        from mmengine.model import MMDistributedDataParallel
        for launcher in ('pytorch', 'slurm', 'mpi'):
            getattr(utils, f'_init_dist_{launcher}')('gloo', timeout=9)
        MMDistributedDataParallel(module='net', device_ids=[1], find_unused_parameters=True)
        try:
            torch.cuda.set_device(0)
        except RuntimeError:
            print('and nobody else is spared the error')
        """,
    )
    fault = 'torch.cuda.set_device: RuntimeError: No CUDA GPUs are available\n'
    started = "started gloo {'timeout': 9}\n"
    wrapped = "net False {'find_unused_parameters': True}\n"
    assert printed == 2 * fault + 3 * started + wrapped + 'and nobody else is spared the error\n'


@pytest.mark.parametrize(
    'host',
    [
        host_of('cuda', cuda=True, set_device="raise SystemExit('memory taken on a GPU')"),
        host_of('npu'),
        host_of('cpu', set_device='pass'),
    ],
    ids=['CUDA', 'another accelerator', 'a torch that does not mind'],
)
def test_where_processes_start_by_themselves_nothing_is_changed(on_host, host):
    on_host(
        host,
        """
        from mmengine.dist import utils
        from mmengine.model import MMDistributedDataParallel
        before = utils._init_dist_pytorch, MMDistributedDataParallel.__init__
        assert compat._REPAIRS['processes']() is None
        assert compat._REPAIRS['model wrapper']() is None
        assert before == (utils._init_dist_pytorch, MMDistributedDataParallel.__init__)
        """,
    )


HIDDEN = "sys.modules['distutils'] = None  # as if Python had none\n"


def test_where_python_has_no_distutils_its_errors_are_there_and_no_compiler_is_found(on_host):
    on_host(
        OLD_MMPOSE,
        HIDDEN,
        """
        fault = compat._REPAIRS['distutils']().fault
        assert 'no distutils, and there is no setuptools' in fault, fault
        from distutils import errors
        from distutils.ccompiler import new_compiler
        try:
            new_compiler()
        except errors.DistutilsPlatformError:
            pass
        assert compat._REPAIRS['distutils']() is None, 'a second time changes nothing'
        """,
    )


@pytest.mark.parametrize(
    ('name', 'before'),
    [('distutils', ''), ('_distutils_hack', HIDDEN)],
    ids=['of Python', 'of setuptools'],
)
def test_a_distutils_that_is_there_is_left_alone_and_not_loaded(on_host, name, before):
    on_host(
        {**OLD_MMPOSE, f'{name}.py': 'raise SystemExit("loaded")'},
        before,
        """
        assert compat._REPAIRS['distutils']() is None
        assert sys.modules.get('distutils') is None
        """,
    )


# On the real host


def test_repairing_twice_changes_nothing():
    finders = list(sys.meta_path)
    first = compat.repair_host()
    assert compat.repair_host() == first
    assert sys.meta_path == finders


def test_distributions_are_found_as_importlib_finds_them():
    for name in ('mmpose', 'pytest', 'numpy'):
        found = compat._Distribution(name)
        assert found.version == importlib.metadata.version(name)
        origin = importlib.util.find_spec(name).origin
        assert Path(found.location) == Path(origin).parents[1]
    with pytest.raises(compat.DistributionNotFound, match='no-such-thing'):
        compat._Distribution('no-such-thing')


def test_mmengine_tells_what_is_installed():
    from mmengine.utils import get_installed_path, is_installed

    assert is_installed('mmpose')
    assert not is_installed('no_such_thing')
    assert (Path(get_installed_path('mmpose')) / 'registry.py').is_file()


def test_the_coco_metrics_say_what_they_need():
    with pytest.raises(NotImplementedError, match='xtcocotools'):
        compat.COCOeval(None, None, 'keypoints', np.ones(17), True)


@pytest.mark.parametrize('shape', [(4, 5), (1, 4, 5), (3, 4, 5)])
def test_a_picture_keeps_its_values_and_its_orientation(shape):
    values = torch.arange(np.prod(shape), dtype=torch.uint8).reshape(shape)
    for picture in (compat.ToPILImage()(values), compat.ToPILImage()(values.float() / 255 + 1e-4)):
        assert picture.size == (5, 4)
        assert picture.mode == ('RGB' if shape[0] == 3 else 'L')
        expected = values.numpy() if len(shape) == 2 else np.moveaxis(values.numpy(), 0, 2)
        np.testing.assert_array_equal(np.asarray(picture), expected.squeeze())


def saved(content) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return file


needs_an_allow_list = pytest.mark.skipif(
    plain_pickles.torch_runs_code(), reason='before torch 2.6 a checkpoint is read by other means'
)


@needs_an_allow_list
def test_a_training_log_comes_back_from_a_checkpoint():
    from mmengine.logging import HistoryBuffer

    log = HistoryBuffer([3.0, 1.0], [1, 1])
    back = torch.load(saved({'loss': log}), weights_only=True)['loss']
    assert back.data[0].tolist() == [3.0, 1.0]
    assert back.statistics('min') == 1.0
    assert back.statistics('current') == 1.0


@needs_an_allow_list
def test_arrays_and_numpy_scalars_come_back_from_a_checkpoint():
    meta = {
        'array': np.arange(6.0).reshape(2, 3),
        'names': np.array(['left', 'right']),
        'flags': np.array([True, False]),
        'ints': [kind(7) for kind in (np.uint8, np.int16, np.int32, np.int64)],
        'best': np.float64(1.5),
        'small': np.float32(0.25),
    }
    back = torch.load(saved(meta), weights_only=True)
    for key in ('array', 'names', 'flags', 'ints'):
        np.testing.assert_array_equal(back[key], meta[key])
    assert (back['best'], back['small']) == (1.5, 0.25)


@needs_an_allow_list
def test_a_checkpoint_of_the_other_numpy_loads_as_well():
    content = saved({'best': np.float64(1.5)}).getvalue()
    here, there = b'cnumpy._core.multiarray\n', b'cnumpy.core.multiarray\n'
    if here not in content:
        here, there = there, here
    pickled = pickle.dumps({'array': np.arange(3.0), 'best': np.float64(1.5)}, protocol=2)
    assert here in pickled
    load = torch._weights_only_unpickler.load
    back = load(io.BytesIO(pickled.replace(here, there)))
    assert back['array'].tolist() == [0.0, 1.0, 2.0]
    assert back['best'] == 1.5


class RunsCode:
    """What a hostile checkpoint holds."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    'hostile',
    [
        RunsCode(os.system, ('touch harmed',)),
        RunsCode(getattr, (np.ndarray, 'tofile')),
        RunsCode(getattr, (RunsCode(getattr, (np.ndarray, '__init__')), '__globals__')),
        RunsCode(eval, ('open("harmed", "w")',)),
    ],
)
def test_a_checkpoint_that_runs_code_is_refused_in_words(hostile, tmp_path, monkeypatch):
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import CheckpointLoader

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(compat.UNSAFE_VARIABLE, raising=False)
    torch.save({'log': HistoryBuffer([1.0], [1]), 'meta': hostile}, 'foreign.pth')
    with pytest.raises(pickle.UnpicklingError) as caught:
        CheckpointLoader.load_checkpoint('foreign.pth')
    assert str(caught.value).startswith('foreign.pth holds more than weights and logs')
    assert f'{compat.UNSAFE_VARIABLE}=1' in str(caught.value)
    assert not Path('harmed').exists()


def test_a_trusted_checkpoint_loads_when_its_user_says_so(tmp_path, monkeypatch):
    from mmengine.runner import CheckpointLoader

    path = str(tmp_path / 'trusted.pth')
    torch.save({'meta': Path('somewhere')}, path)
    monkeypatch.setenv(compat.UNSAFE_VARIABLE, '1')
    with pytest.warns(UserWarning, match='may run code'):
        assert CheckpointLoader.load_checkpoint(path)['meta'] == Path('somewhere')


def test_a_missing_checkpoint_is_still_a_missing_file(tmp_path):
    from mmengine.runner import CheckpointLoader

    with pytest.raises(FileNotFoundError, match=r'nothing\.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'nothing.pth'))


def test_a_circle_is_drawn_where_its_centre_is_with_the_radius_it_was_given():
    from mmpose.visualization import PoseLocalVisualizer

    drawer = PoseLocalVisualizer(backend='opencv')
    for radius in (np.array([3]), 3, np.array(3)):
        drawer.set_image(np.zeros((40, 60, 3), np.uint8))
        drawer.draw_circles(np.array([20.0, 10.0]), radius, face_colors=(255, 0, 0), alpha=1.0)
        rows, columns = np.nonzero(drawer.get_image().any(axis=2))
        assert (rows.mean(), columns.mean()) == (10, 20)
        assert np.ptp(rows) == np.ptp(columns) == 6
