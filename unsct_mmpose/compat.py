"""What an MMPose 1.x host needs on a modern stack; does nothing on a healthy one.

Each repair looks for its fault first and acts only when it is there, so that a real package
always wins. :func:`repair_host` must run before ``mmpose.models`` is imported: it is the first
thing that :mod:`unsct_mmpose.register` does.

==============  =====================================================  ==========================
Repair          Fault                                                  Remedy
==============  =====================================================  ==========================
pkg_resources   setuptools is absent or >= 82; mmengine wants it       stand-in, importlib.metadata
distutils       Python >= 3.12 has none; mmengine wants its errors     stand-in, finds no compiler
mmcv._ext       mmcv-lite has no compiled operators                    stand-in, raises when called
torchvision     absent, or built for another torch                     stand-in, ``ToPILImage``
xtcocotools     absent, or its wheel was built for numpy 1             pycocotools stands in
mmdet           absent, or refuses the installed mmcv                  stand-in, ``mmdet.utils``
albumentations  2.0 moved a module that mmpose asks for                the old name, for the module
checkpoints     weights_only refuses mmengine's own log history        narrow allow-list
strangers       torch < 2.6 runs code of a checkpoint; mmengine runs   another unpickler; a refusal
                its text as a config                                   unless the user opts in
drawing         numpy >= 2.4 refuses ``int(array([radius]))``          scalar radius
processes       without CUDA every launcher's process asks for a GPU   no GPU is asked for
model wrapper   without CUDA the wrapper is given a GPU's number       the number is left out
targets         MMPose 1.1 packs no targets but those that it knows    what MMPose 1.2 does
==============  =====================================================  ==========================

A stand-in module carries ``__unsct_stand_in__ = True``.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import io
import os
import pickle
import re
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

UNSAFE_VARIABLE = 'UNSCT_ALLOW_UNSAFE_CHECKPOINTS'
TOOLS_EXTRA = ('seaborn',)
"""What MMPose's tools import, and its requirements leave out."""


@dataclass(frozen=True)
class Repair:
    """One fault that was found in the host, and what was done about it."""

    name: str
    fault: str
    remedy: str


_applied: dict[str, Repair] = {}


def repair_host() -> tuple[Repair, ...]:
    """Repair the installed MMPose so that it can be imported, trained and tested.

    Returns:
        Every repair applied in this process so far, in order: calling again changes nothing.
        Empty on a healthy host, and where MMPose is not installed at all.

    Raises:
        ImportError: a fault that no repair reaches; the message names the cure.
    """
    if importlib.util.find_spec('mmpose') is None:
        return ()
    for name, repair in _REPAIRS.items():
        if name not in _applied and (found := repair()) is not None:
            _applied[name] = found
    return tuple(_applied.values())


def host_tools() -> dict[str, Path]:
    """Return the scripts of the installed MMPose, its tools and demos, by their names.

    Raises:
        SystemExit: MMPose, or its scripts, cannot be found.
    """
    spec = importlib.util.find_spec('mmpose')
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('MMPose is not installed: run `make setup`, or install mmpose 1.x.')
    package = Path(next(iter(spec.submodule_search_locations)))
    places = [package / '.mim']
    if (package.parent / 'model-index.yml').is_file():
        places.append(package.parent)
    for place in places:
        scripts = [*place.glob('tools/**/*.py'), *place.glob('demo/*.py')]
        if (place / 'tools' / 'train.py').is_file():
            return {path.stem: path for path in sorted(scripts)}
    looked = ' or '.join(str(place / 'tools') for place in places)
    raise SystemExit(
        f"MMPose's own tools were not found in {looked}: this MMPose was installed without them. "
        'Install mmpose from its wheel, or from a full checkout.'
    )


def run_host_tool(name: str) -> None:
    """Run one of the scripts of :func:`host_tools` by its name, with this process's arguments.

    Raises:
        SystemExit: there is no such script, or it needs what is not installed; otherwise as the
            script itself.
    """
    tools = host_tools()
    if name not in tools:
        near = difflib.get_close_matches(name, tools, 1)
        guess = f'Did you mean {near[0]}?' if near else 'Its scripts are ' + ', '.join(tools) + '.'
        raise SystemExit(f'The installed MMPose has no script {name}. {guess}')
    try:
        if name == 'get_flops':
            _repair_flops()
        with _loads_of(tools[name]):
            runpy.run_path(str(tools[name]), run_name='__main__')
    except ImportError as error:
        raise SystemExit(_cure(name, error)) from error


def _loads_of(script: Path) -> contextlib.AbstractContextManager[None]:
    """Keep a script's own ``torch.load``, such as publish_model's, from running code."""
    if unsafe_allowed() or 'torch.load' not in script.read_text('utf-8'):
        return contextlib.nullcontext()
    from .plain_pickles import plain_loads, torch_runs_code

    return plain_loads() if torch_runs_code() else contextlib.nullcontext()


def _repair_flops() -> None:
    """Let get_flops give a batch beside its shape, and print an HRNet, whose lists hold None."""
    from mmengine import analysis
    from mmengine.analysis import print_helper

    count_one, print_one = analysis.get_model_complexity_info, print_helper._model_stats_str

    def count(model: Any, input_shape: Any = None, inputs: Any = None, **kwargs: Any) -> Any:
        return count_one(model, input_shape if inputs is None else None, inputs, **kwargs)

    def print_model(model: Any, statistics: Any) -> str:
        whole = [(module, dict(module._modules)) for module in model.modules()]
        for module, parts in whole:
            module._modules = {name: part for name, part in parts.items() if part is not None}
        try:
            return print_one(model, statistics)
        finally:
            for module, parts in whole:
                module._modules = parts

    analysis.get_model_complexity_info = count
    print_helper._model_stats_str = print_model


def _cure(name: str, error: ImportError) -> str:
    """Say what to do about an import that failed in one of the host's scripts."""
    if isinstance(error, ModuleNotFoundError) and error.name and error.name != 'mmpose':
        package = error.name.split('.')[0]
        extra = ", or pip install 'unsct-mmpose[tools]'" if package in TOOLS_EXTRA else ''
        return f"MMPose's {name} needs {package}, not installed here: pip install {package}{extra}"
    return (
        f"MMPose's {name} cannot be run with this MMPose, it was written for another: {error}. "
        'unsct mmpose-tool --list names the others.'
    )


# Stand-in modules


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and fills the modules that stand in for missing or broken packages."""

    def __init__(self) -> None:
        self.builders: dict[str, Callable[[ModuleType], None]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.builders:
            return None
        is_package = any(name.startswith(f'{fullname}.') for name in self.builders)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        def missing(attribute: str) -> Any:
            raise AttributeError(
                f"unsct_mmpose's stand-in for {module.__name__} has no {attribute!r}: "
                'install the real package to use it'
            )

        vars(module).update(__unsct_stand_in__=True, __getattr__=missing)
        self.builders[module.__name__](module)

    def install(self, builders: dict[str, Callable[[ModuleType], None]]) -> None:
        root = next(iter(builders))
        for name in [n for n in sys.modules if n == root or n.startswith(f'{root}.')]:
            del sys.modules[name]  # what a broken package left behind half-imported
        self.builders.update(builders)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name in builders:
            importlib.import_module(name)


_stand_ins = _StandIns()


def _import_fault(*names: str) -> str | None:
    """Import each module; return what went wrong in words, or None."""
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                importlib.import_module(name)
        except Exception as error:  # broken wheels raise all sorts: ValueError, RuntimeError ...
            return f'{name}: {type(error).__name__}: {error}'
    return None


def _mmpose_has(path: str) -> bool:
    """Tell whether the installed MMPose has this file; older ones need fewer repairs."""
    spec = importlib.util.find_spec('mmpose')
    folders = spec.submodule_search_locations if spec else None
    return any((Path(folder) / path).is_file() for folder in folders or ())


def _nothing(module: ModuleType) -> None:
    """Fill a stand-in package that only holds its submodules."""


# pkg_resources


class DistributionNotFound(Exception):
    """What ``pkg_resources`` raises for a distribution that is not installed."""


class _Distribution:
    def __init__(self, name: str) -> None:
        try:
            self._files = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise DistributionNotFound(name) from error
        self.project_name = name
        self.version = self._files.version
        self.location = self._find(name)

    def _find(self, name: str) -> str:
        for module in [name, *(self._files.read_text('top_level.txt') or '').split()]:
            spec = importlib.util.find_spec(module) if module.isidentifier() else None
            if spec is not None and spec.submodule_search_locations:
                return str(Path(next(iter(spec.submodule_search_locations))).parent)
        return str(self._files.locate_file(''))

    def has_metadata(self, name: str) -> bool:
        return self._files.read_text(name) is not None

    def get_metadata(self, name: str) -> str:
        return self._files.read_text(name) or ''


def _repair_pkg_resources() -> Repair | None:
    fault = _import_fault('pkg_resources')
    if fault is None:
        return None
    names = dict(DistributionNotFound=DistributionNotFound, get_distribution=_Distribution)
    _stand_ins.install({'pkg_resources': lambda module: vars(module).update(names)})
    return Repair('pkg_resources', fault, 'stand-in through importlib.metadata')


# distutils


class DistutilsPlatformError(Exception):
    """What ``distutils`` raises where there is no compiler."""


def _new_compiler(**_: Any) -> None:
    raise DistutilsPlatformError('no distutils, which looks for compilers')


def _repair_distutils() -> Repair | None:
    # that of setuptools comes when it is asked for: too slow to try it
    if any(map(importlib.util.find_spec, ('_distutils_hack', 'distutils'))):
        return None
    errors = dict(DistutilsPlatformError=DistutilsPlatformError)
    _stand_ins.install(
        {
            'distutils': _nothing,
            'distutils.errors': lambda module: vars(module).update(errors),
            'distutils.ccompiler': lambda module: vars(module).update(new_compiler=_new_compiler),
        }
    )
    fault = f'Python {sys.version.split()[0]} has no distutils, and there is no setuptools'
    return Repair('distutils', fault, 'stand-in that finds no compiler')


# mmcv._ext


def _fill_mmcv_ext(module: ModuleType) -> None:
    def operator(name: str) -> Callable[..., Any]:
        if name.startswith('__'):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(
                f'the compiled operator mmcv.ops {name!r} is not in mmcv-lite: install the full '
                'mmcv to use the models that need it'
            )

        refuse.__name__ = name
        return refuse

    vars(module).update(
        __getattr__=operator,
        get_compiler_version=lambda: 'n/a',
        get_compiling_cuda_version=lambda: 'n/a',
    )


def _repair_mmcv_ext() -> Repair | None:
    needed = _mmpose_has('models/heads/transformer_heads/edpose_head.py')
    if not needed or importlib.util.find_spec('mmcv') is None:
        return None
    if importlib.util.find_spec('mmcv._ext') is not None:
        return None
    _stand_ins.install({'mmcv._ext': _fill_mmcv_ext})
    return Repair('mmcv._ext', 'mmcv-lite has no compiled operators', 'operators raise when called')


# torchvision


class ToPILImage:
    """Turn a float tensor in [0, 1] or a uint8 array into a PIL image."""

    def __call__(self, picture: Any) -> Any:
        """Convert a tensor ``([C, ]H, W)`` or an array ``(H, W[, C])``, C of 1 or 3."""
        import numpy as np
        from PIL import Image

        if not isinstance(picture, np.ndarray):
            tensor = picture.detach().cpu()
            tensor = tensor.mul(255).byte() if tensor.is_floating_point() else tensor
            picture = tensor.numpy() if tensor.ndim == 2 else tensor.permute(1, 2, 0).numpy()
        if picture.ndim == 3 and picture.shape[2] == 1:
            picture = picture[:, :, 0]
        return Image.fromarray(np.ascontiguousarray(picture))


def _repair_torchvision() -> Repair | None:
    if not _mmpose_has('visualization/simcc_vis.py'):
        return None
    fault = _import_fault('torchvision.transforms')
    if fault is None:
        return None
    _stand_ins.install(
        {
            'torchvision': lambda module: vars(module).update(__version__='0.0.0+stand.in'),
            'torchvision.transforms': lambda module: vars(module).update(ToPILImage=ToPILImage),
        }
    )
    return Repair('torchvision', fault, 'stand-in with transforms.ToPILImage only')


# xtcocotools


class COCOeval:
    """Refuses to be built: pycocotools' evaluation has another signature and other areas."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(
            "MMPose's COCO metrics need the real xtcocotools, which cannot be imported here. With "
            'numpy < 2 install its wheel; with numpy 2 build it: pip install --no-build-isolation '
            '--no-binary xtcocotools xtcocotools (with cython and numpy present)'
        )


def _fill_coco(module: ModuleType) -> None:
    from pycocotools.coco import COCO

    vars(module).update(COCO=COCO)


def _fill_mask(module: ModuleType) -> None:
    from pycocotools import mask

    vars(module).update({k: v for k, v in vars(mask).items() if not k.startswith('_')})


def _repair_xtcocotools() -> Repair | None:
    fault = _import_fault('xtcocotools.coco', 'xtcocotools.mask', 'xtcocotools.cocoeval')
    if fault is None:
        return None
    if (worse := _import_fault('pycocotools.coco', 'pycocotools.mask')) is not None:
        raise ImportError(
            f'MMPose needs xtcocotools, which cannot be imported ({fault}); pycocotools could '
            f'stand in for it but cannot be imported either ({worse}). pip install pycocotools'
        )
    _stand_ins.install(
        {
            'xtcocotools': _nothing,
            'xtcocotools.coco': _fill_coco,
            'xtcocotools.mask': _fill_mask,
            'xtcocotools.cocoeval': lambda module: vars(module).update(COCOeval=COCOeval),
        }
    )
    return Repair('xtcocotools', fault, 'pycocotools stands in; the COCO metrics are refused')


# mmdet


def _fill_mmdet_utils(module: ModuleType) -> None:
    # Resolved when asked for: mmpose.utils must not be imported before the other repairs.
    sources = {'ConfigType': 'mmpose.utils.typing', 'reduce_mean': 'mmpose.utils.dist_utils'}
    missing = vars(module)['__getattr__']

    def lookup(name: str) -> Any:
        if name in sources:
            return getattr(importlib.import_module(sources[name]), name)
        return missing(name)

    vars(module).update(__getattr__=lookup)


def _repair_mmdet() -> Repair | None:
    if not _mmpose_has('models/heads/hybrid_heads/rtmo_head.py'):
        return None
    fault = _import_fault('mmdet.utils')
    if fault is None:
        return None
    _stand_ins.install({'mmdet': _nothing, 'mmdet.utils': _fill_mmdet_utils})
    return Repair('mmdet', fault, 'stand-in with the two names that mmpose has itself')


# albumentations


def _repair_albumentations() -> Repair | None:
    if importlib.util.find_spec('albumentations') is None:
        return None
    if _import_fault('albumentations.augmentations.pixel.transforms') is not None:
        return None  # older than 2.0, or broken: mmpose says so where it is needed
    moved = sys.modules['albumentations.augmentations.pixel.transforms']
    package = sys.modules['albumentations.augmentations']
    if hasattr(package, 'transforms'):
        return None
    package.transforms = moved  # type: ignore[attr-defined]
    version = getattr(sys.modules['albumentations'], '__version__', '2')
    fault = f'albumentations {version} has no augmentations.transforms'
    return Repair('albumentations', fault, 'pixel.transforms under its old name')


# Checkpoints


def _history_is_refused() -> bool:
    """Save a small log history and load it as weights and logs alone."""
    import torch
    from mmengine.logging import HistoryBuffer

    file = io.BytesIO()
    torch.save({'loss': HistoryBuffer([1.0], [1])}, file)
    file.seek(0)
    try:
        torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError:
        return True
    return False


def _what_was_refused(message: str) -> str:
    """Pick the one fact out of torch's page of advice."""
    if found := re.search(r'GLOBAL (\S+)', message):
        return found.group(1)
    advice = ('Weights only load failed', 'Check the documentation')
    facts = [line for line in message.splitlines() if line.strip() and not line.startswith(advice)]
    return facts[-1].strip() if facts else message


def _repair_checkpoints() -> Repair | None:
    import torch

    from .plain_pickles import log_globals, torch_runs_code

    if torch_runs_code() or not _history_is_refused():
        return None  # _repair_strangers reads by other means
    torch.serialization.add_safe_globals(log_globals())
    fault = f'torch {torch.__version__} refuses the log history that mmengine saves'
    return Repair('checkpoints', fault, 'allow-list of log history and numpy arrays')


# Strangers' checkpoints


class CheckpointError(pickle.UnpicklingError):
    """A checkpoint that is not loaded; the message names it, the cause and the cure."""


def unsafe_allowed() -> bool:
    """Tell whether the user lets checkpoints run code, by ``UNSCT_ALLOW_UNSAFE_CHECKPOINTS=1``."""
    return os.environ.get(UNSAFE_VARIABLE) == '1'


_NOT_ONLY_WEIGHTS = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


_DAMAGE = (
    AssertionError, AttributeError, EOFError, LookupError, RuntimeError, TypeError, UnicodeError,
)  # fmt: skip
"""What torch raises over a file that is cut, or no checkpoint; and OSError, an invalid argument."""


def _repair_strangers() -> Repair | None:
    import torch
    from mmengine.infer import BaseInferencer
    from mmengine.runner import CheckpointLoader

    from .plain_pickles import environment, plain_loads, torch_runs_code

    runs_code = torch_runs_code()
    load_checkpoint, init_model = CheckpointLoader.load_checkpoint, BaseInferencer._init_model

    def refuse(filename: Any, what: str, error: BaseException | None = None) -> None:
        if not unsafe_allowed():
            raise CheckpointError(
                f'{filename} holds more than weights and logs ({what}), and loading that can '
                f'run any code its author chose. Only if you trust where the file comes from, '
                f'set {UNSAFE_VARIABLE}=1 and try again.'
            ) from error
        warnings.warn(f'{UNSAFE_VARIABLE}=1: {filename} may run code ({what})', stacklevel=3)

    def load_safely(*args: Any, **kwargs: Any) -> Any:
        with plain_loads() if runs_code else contextlib.nullcontext():
            return load_checkpoint(*args, **kwargs)

    def load(filename: str, *args: Any, **kwargs: Any) -> Any:
        try:
            content = load_safely(filename, *args, **kwargs)
        except pickle.UnpicklingError as error:
            refuse(filename, _what_was_refused(str(error)), error)
            with contextlib.nullcontext() if runs_code else environment(_NOT_ONLY_WEIGHTS):
                content = load_checkpoint(filename, *args, **kwargs)
        except (*_DAMAGE, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            what = f'{type(error).__name__}: {error}'.splitlines()[0][:200]
            raise CheckpointError(f'{filename} is no whole checkpoint: {what}') from error
        if isinstance(content, dict) and isinstance(content.get('meta'), dict):
            # MMEngine runs this text of an MMPose 0.x when a training is resumed
            content['meta'].pop('config', None)
        return content

    @functools.wraps(init_model)
    def init(self: Any, cfg: Any, weights: Any, *args: Any, **kwargs: Any) -> Any:
        if not cfg:
            refuse(weights, 'the text of a config, and no config was given')
        return init_model(self, cfg, weights, *args, **kwargs)

    CheckpointLoader.load_checkpoint = staticmethod(load)
    BaseInferencer._init_model = init
    fault = 'mmengine runs the text of a config that a checkpoint holds'
    if runs_code:
        fault = f'torch {torch.__version__} runs what a checkpoint says, and {fault}'
    return Repair('strangers', fault, f'refused without {UNSAFE_VARIABLE}=1')


# Drawing


def _repair_drawing() -> Repair | None:
    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            int(np.array([1]))
    except TypeError as error:
        fault = f'numpy {np.__version__}: {error}'
    else:
        return None
    from mmpose.visualization.opencv_backend_visualizer import OpencvBackendVisualizer as Drawer

    original = Drawer.draw_circles

    @functools.wraps(original)
    def draw_circles(self: Any, center: Any, radius: Any, *args: Any, **kwargs: Any) -> Any:
        one = isinstance(radius, np.ndarray) and radius.size == 1
        return original(self, center, radius.item() if one else radius, *args, **kwargs)

    Drawer.draw_circles = draw_circles
    return Repair('drawing', fault, 'MMPose draws circles with a scalar radius')


# Several processes without CUDA


def _fault_of_processes() -> str | None:
    """Say what keeps mmengine from starting several processes here; None if nothing does."""
    import torch
    from mmengine.device import get_device

    # Never ask a CUDA that is there: set_device would take memory on the first GPU.
    if get_device() != 'cpu' or torch.cuda.is_available():
        return None
    try:
        torch.cuda.set_device(0)
    except Exception as error:  # AttributeError without CUDA in torch, RuntimeError without a GPU
        return f'torch.cuda.set_device: {type(error).__name__}: {error}'
    return None


@contextlib.contextmanager
def _without_set_device() -> Iterator[None]:
    """Make ``torch.cuda.set_device`` do nothing for a moment."""
    import torch

    original = torch.cuda.set_device
    torch.cuda.set_device = lambda device: None
    try:
        yield
    finally:
        torch.cuda.set_device = original


def _repair_processes() -> Repair | None:
    fault = _fault_of_processes()
    if fault is None:
        return None
    from mmengine.dist import utils

    def on_cpu(start: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(start)
        def wrapped(backend: str, *args: Any, **kwargs: Any) -> None:
            with _without_set_device():  # NCCL speaks between GPUs only
                start('gloo' if backend == 'nccl' else backend, *args, **kwargs)

        return wrapped

    for launcher in ('pytorch', 'slurm', 'mpi'):
        name = f'_init_dist_{launcher}'
        setattr(utils, name, on_cpu(getattr(utils, name)))
    return Repair('processes', fault, 'launchers start processes without asking for a GPU')


def _repair_model_wrapper() -> Repair | None:
    fault = _fault_of_processes()
    if fault is None:
        return None
    from mmengine.model import MMDistributedDataParallel as Wrapper

    original = Wrapper.__init__

    @functools.wraps(original)
    def __init__(self: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        kwargs.pop('device_ids', None)  # of GPUs: refused for a module on the CPU
        original(self, module, *args, **kwargs)

    Wrapper.__init__ = __init__
    return Repair('model wrapper', fault, 'a model on the CPU is wrapped without device_ids')


# Targets of MMPose 1.1


def _repair_targets() -> Repair | None:
    from mmpose.codecs.base import BaseKeypointCodec

    if hasattr(BaseKeypointCodec, 'field_mapping_table'):
        return None
    from mmpose.datasets.transforms import common_transforms as common
    from mmpose.datasets.transforms.formatting import PackPoseInputs
    from mmpose.datasets.transforms.topdown_transforms import TopdownAffine

    tables = ('field_mapping_table', 'label_mapping_table', 'instance_mapping_table')
    for name in tables:
        setattr(BaseKeypointCodec, name, {})

    common.flip_keypoints = _flip_weights_too(common.flip_keypoints)
    generate, pack = common.GenerateTarget.transform, PackPoseInputs.transform
    affine = TopdownAffine.transform

    @functools.wraps(generate)
    def transform_targets(self: Any, results: dict) -> dict | None:
        visible = results['keypoints_visible']
        if visible.ndim == 3:
            results['keypoints_visible_weights'] = visible[..., 1]
            results['keypoints_visible'] = visible[..., 0]
        found = generate(self, results)
        encoders = self.encoder if isinstance(self.encoder, list) else [self.encoder]
        for name in tables:
            table = {key: value for one in encoders for key, value in getattr(one, name).items()}
            if table:
                found[name] = table
        return found

    @functools.wraps(pack)
    def transform_packed(self: Any, results: dict) -> dict:
        for name in tables:
            setattr(self, name, results.get(name, getattr(type(self), name)))
        return pack(self, results)

    @functools.wraps(affine)
    def transform_affine(self: Any, results: dict) -> dict:
        found = affine(self, results)
        for name in ('center', 'scale'):
            found[f'input_{name}'] = found[f'bbox_{name}'][0]
        return found

    common.GenerateTarget.transform = transform_targets
    PackPoseInputs.transform = transform_packed
    TopdownAffine.transform = transform_affine
    fault = 'targets and points that are not labelled are unknown to MMPose 1.1'
    return Repair('targets', fault, 'a codec names the targets that are packed, as in MMPose 1.2')


def _flip_weights_too(flip: Callable[..., Any]) -> Callable[..., Any]:
    """Mirror weights beside the visibility, ``(..., K, 2)``, as MMPose 1.2 does."""

    @functools.wraps(flip)
    def flip_keypoints(
        keypoints: Any, keypoints_visible: Any, *, flip_indices: Any, direction: str, **kwargs: Any
    ) -> tuple[Any, Any]:
        visible = keypoints_visible
        how = dict(kwargs, flip_indices=flip_indices, direction=direction)
        if visible is None or visible.ndim != keypoints.ndim:
            return flip(keypoints, visible, **how)
        points, _ = flip(keypoints, visible[..., 0], **how)
        return points, visible if direction == 'diagonal' else visible[..., list(flip_indices), :]

    return flip_keypoints


# In this order: what mmengine needs, then mmcv, then what mmdet and mmpose import.
_REPAIRS: dict[str, Callable[[], Repair | None]] = {
    'pkg_resources': _repair_pkg_resources,
    'distutils': _repair_distutils,
    'mmcv._ext': _repair_mmcv_ext,
    'torchvision': _repair_torchvision,
    'xtcocotools': _repair_xtcocotools,
    'mmdet': _repair_mmdet,
    'albumentations': _repair_albumentations,
    'checkpoints': _repair_checkpoints,
    'strangers': _repair_strangers,
    'drawing': _repair_drawing,
    'processes': _repair_processes,
    'model wrapper': _repair_model_wrapper,
    'targets': _repair_targets,
}
