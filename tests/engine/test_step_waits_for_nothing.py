"""A training step on a device that nothing can be read from: PyTorch's meta device.

Like CUDA it is another device than the CPU; unlike CUDA it raises wherever the host would wait for
more than a number (`nonzero`, a mask as index, a copy back). Numbers that are read are counted, and
what goes the other way: on CUDA a copy makes the host wait, unless it is told not to.
"""

import copy

import pytest
from mmengine.config import Config
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from unsct_mmpose.maps import paf
from unsct_mmpose.research.benchmark import (
    TransferCounter,
    training_samples,
    with_stock_machinery,
)

CONFIGS = {
    'HeatmapPAFHead with SRFNeck': 'hrnet/unsct-hrnet.py',
    'HigherHeatmapPAFHead': 'higherhrnet/unsct-higherhrnet.py',
    'StackedHeatmapPAFHead': 'hourglass/unsct-hourglass.py',
}
SMALL = dict(input_size=(64, 64), heatmap_size=(16, 16))


@pytest.fixture
def config(request, monkeypatch):
    """The full budget's settings of a step around a small network."""
    init_default_scope('mmpose')
    folder = request.config.rootpath / 'configs'
    monkeypatch.setenv('UNSCT_BUDGET', 'cpu')
    small = Config.fromfile(folder / request.param)
    monkeypatch.setenv('UNSCT_BUDGET', 'gpu')
    full = Config.fromfile(folder / request.param)
    assert full.train_dataloader.collate_fn.type == 'default_collate'
    full.model.backbone = small.model.backbone
    full.model.head.in_channels = small.model.head.in_channels
    full.model.head.update(
        {k: small.model.head[k] for k in ('num_blocks',) if k in full.model.head}
    )
    is_high = full.model.head.decoder.heatmap_size[0] == 256
    size = dict(SMALL, heatmap_size=(32, 32)) if is_high else SMALL
    for step in full.train_dataloader.dataset.pipeline:
        if step.type == 'GenerateTarget':
            step.encoder.update(size)
    full.codec.update(SMALL)
    full.model.head.decoder.update(size)
    full.optim_wrapper.optimizer = dict(type='Adam', lr=1e-3, foreach=True)  # fused: CUDA's alone
    full.optim_wrapper.type = 'AmpOptimWrapper'
    return full


def make_step(config, collate=default_collate):
    """Return a function that makes the step MMEngine makes of a batch, on the meta device."""
    paf._pairs_on.cache_clear()
    model = MODELS.build(config.model).to('meta').train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = collate(training_samples(config, 2))

    def step():
        return model.train_step(copy.copy(batch), wrapper)

    with TransferCounter('meta'):
        step()  # what is copied once
    return step


EACH = pytest.mark.parametrize('config', CONFIGS.values(), ids=CONFIGS, indirect=True)
ONE = pytest.mark.parametrize('config', ['hrnet/unsct-hrnet.py'], indirect=True)


@EACH
def test_no_value_is_waited_for_and_a_batch_goes_over_in_one_copy_of_each_kind(
    config,
):
    step = make_step(config)
    with TransferCounter('meta') as counted:
        losses = step()
    assert losses['loss'].device.type == 'meta'
    assert counted.waiting == []
    # images, fractions, shown, weights of landmarks and of relations
    assert len(counted.copies) == 5


@ONE
def test_images_in_a_list_go_over_together_too(config):
    step = make_step(config, pseudo_collate)
    with TransferCounter('meta') as counted:
        step()
    assert counted.waiting == [] and len(counted.copies) == 5


@ONE
def test_mmposes_preprocessor_and_drawn_targets_are_counted_as_what_they_are(config):
    step = make_step(with_stock_machinery(config), pseudo_collate)
    with TransferCounter('meta') as counted:
        step()
    # image, two maps, two kinds of weights of each of two images; the norm of the gradients
    assert len(counted.copies) == 5 * 2
    assert len(counted.waiting) == 5 * 2 + 1
    assert max(counted.copies) == 104 * 16 * 16 * 4


@ONE
def test_what_reads_a_value_is_found(config, monkeypatch):
    step = make_step(config)
    real = paf.supervised_mean

    def reading(values, weights):
        float(weights.sum())
        return real(values, weights)

    monkeypatch.setattr(paf, 'supervised_mean', reading)
    with TransferCounter('meta') as counted:
        step()
    assert counted.waiting == ['aten._local_scalar_dense.default']
