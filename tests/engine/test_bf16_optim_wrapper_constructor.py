import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from unsct_mmpose.engine import Bf16OptimWrapper


@pytest.fixture
def build():
    init_default_scope('mmpose')

    def build(**options):
        torch.manual_seed(0)
        settings = dict(
            type='OptimWrapper',
            constructor='Bf16OptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=0.1),
        )
        return build_optim_wrapper(nn.Conv2d(3, 2, 1), {**settings, **options})

    return build


def test_what_amp_writes_into_a_config_trains_in_bfloat16_without_a_gpu(build):
    # tools/train.py --amp: this type, and this scale unless the config has one
    wrapper = build(type='AmpOptimWrapper', loss_scale='dynamic', clip_grad=dict(max_norm=1.0))
    assert type(wrapper) is Bf16OptimWrapper
    assert wrapper.clip_grad_kwargs == {'max_norm': 1.0}


def test_without_amp_a_float32_config_stays_one(build):
    assert type(build()).__name__ == 'OptimWrapper'


@pytest.mark.parametrize('dtype', ['bfloat16', torch.bfloat16])
def test_bfloat16_may_be_named(build, dtype):
    assert type(build(type='AmpOptimWrapper', dtype=dtype)) is Bf16OptimWrapper


def test_float16_is_refused_with_the_cure(build):
    with pytest.raises(ValueError, match='DefaultOptimWrapperConstructor'):
        build(type='AmpOptimWrapper', dtype='float16')


def test_rates_of_single_parameters_are_kept(build):
    rates = dict(custom_keys={'bias': dict(lr_mult=0.1)})
    wrapper = build(type='AmpOptimWrapper', paramwise_cfg=rates)
    assert {round(group['lr'], 6) for group in wrapper.param_groups} == {0.01, 0.1}
