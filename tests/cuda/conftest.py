"""What needs a CUDA device: `pytest tests/cuda`, skipped where there is none.

`UNSCT_CUDA_TESTS_ON=cpu` rehearses the same tests on the CPU, so that a machine without CUDA can
say whether they run at all. What CUDA alone has (float16 and its loss scale, the launcher's NCCL)
it leaves out.
"""

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

DEVICE = os.environ.get('UNSCT_CUDA_TESTS_ON', 'cuda')


def pytest_runtest_setup(item):
    if DEVICE == 'cuda' and not torch.cuda.is_available():
        pytest.skip('torch.cuda.is_available() is False; UNSCT_CUDA_TESTS_ON=cpu rehearses')


@pytest.fixture
def device() -> str:
    return DEVICE


@pytest.fixture
def exact(monkeypatch):
    """Convolve float32 in float32; PyTorch's default is TF32."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


@pytest.fixture
def read_config(request, monkeypatch):
    """Return a function that reads one of the repository's configs, its small budget."""
    monkeypatch.setenv('UNSCT_BUDGET', 'cpu')
    init_default_scope('mmpose')
    return lambda name: Config.fromfile(request.config.rootpath / 'configs' / name)


@pytest.fixture
def make_batch(tiny_set):
    """Return a function that loads two radiographs by a config's own training pipeline."""

    def make(config, labelled=True):
        settings = config.train_dataloader.dataset
        settings.update(data_root=str(tiny_set), data_prefix=dict(img=''), disjoint_from=[])
        dataset = DATASETS.build(settings)
        batch = pseudo_collate([dataset[index] for index in (0, 1)])
        if not labelled:
            for sample in batch['data_samples']:
                sample.gt_instance_labels.keypoint_weights *= 0
                sample.gt_instance_labels.relation_weights *= 0
        return batch

    return make


@pytest.fixture
def wrap(device, monkeypatch):
    """Return a function that puts a config's optimiser into MMEngine's wrapper for AMP."""
    if device == 'cpu':  # MMEngine refuses it, and float16 takes half a minute a step
        check = 'mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available'
        monkeypatch.setattr(check, lambda: True)
        bfloat16 = torch.autocast('cpu', torch.bfloat16)
        monkeypatch.setattr('mmengine.runner.amp.autocast', lambda dtype: bfloat16)

    def make(model, config, dtype):
        cfg = dict(config.optim_wrapper, type='AmpOptimWrapper', dtype=dtype, loss_scale='dynamic')
        return build_optim_wrapper(model, cfg)

    return make


@pytest.fixture
def run_tool(request, run_python):
    """Run one of the tools in a process of its own that finds the packages this one finds."""
    path = [one for one in os.environ.get('PYTHONPATH', '').split(os.pathsep) if one]

    def run(name, *arguments, **variables):
        tool = request.config.rootpath / 'tools' / name
        return run_python(tool, *arguments, path=path, **variables)

    return run
