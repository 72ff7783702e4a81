import copy

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from unsct_mmpose.engine import Bf16OptimWrapper, bf16_optim_wrapper


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 1))


def build(model, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return OPTIM_WRAPPERS.build(dict(type='Bf16OptimWrapper', optimizer=optimizer, **kwargs))


@pytest.mark.parametrize(('able', 'dtype'), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_forward_pass_has_the_best_type_that_the_device_has(model, monkeypatch, able, dtype):
    monkeypatch.setattr(bf16_optim_wrapper, 'has_bf16', lambda device: able)
    with build(model).optim_context(model):
        assert model(torch.rand(1, 3, 8, 8)).dtype == dtype


def test_parameters_stay_float32_and_learn(model):
    wrapper = build(model)
    before = [parameter.clone() for parameter in model.parameters()]
    with wrapper.optim_context(model):
        loss = model(torch.rand(1, 3, 8, 8)).float().square().mean()
    wrapper.update_params(loss)
    for old, new in zip(before, model.parameters(), strict=True):
        assert new.dtype == torch.float32
        assert not torch.equal(old, new)


def test_channels_come_last_in_memory_and_values_do_not_change(model):
    inputs = torch.rand(1, 3, 8, 8)
    before = model(inputs)
    with build(model).optim_context(model):
        pass
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(inputs), before)


def test_gradients_accumulate_as_in_mmengine(model):
    wrapper = build(model, accumulative_counts=2)
    before = model[0].weight.clone()
    for step in range(2):
        with wrapper.optim_context(model):
            loss = model(torch.rand(1, 3, 8, 8)).float().square().mean()
        wrapper.update_params(loss)
        assert torch.equal(before, model[0].weight) == (step == 0)


def test_a_processor_without_cpuinfo_is_taken_for_one_without_bfloat16(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(bf16_optim_wrapper.Path, 'read_text', missing)
    assert bf16_optim_wrapper.has_bf16('cpu') is False


@pytest.mark.parametrize(
    ('allowed', 'has'),
    [(None, True), ('ALL', True), ('avx512_core_amx', True), ('AVX512_CORE_BF16', True),
     ('AVX512_CORE', False), ('avx2', False)],
)  # fmt: skip
def test_bfloat16_that_the_environment_forbids_would_be_emulated(monkeypatch, allowed, has):
    monkeypatch.setattr(bf16_optim_wrapper.Path, 'read_text', lambda path: 'flags : avx2 amx_bf16')
    monkeypatch.delenv('ONEDNN_MAX_CPU_ISA', raising=False)
    if allowed is not None:
        monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', allowed)
    assert bf16_optim_wrapper.has_bf16('cpu') is has


@pytest.fixture
def alone():
    """A group of one process."""
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_in_a_wrapper_for_several_processes_the_first_gradients_are_in_their_places(alone):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    wrapped = MMDistributedDataParallel(copy.deepcopy(plain))
    images = torch.randn(2, 3, 16, 16)
    for model in (plain, wrapped):
        wrapper = Bf16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        with wrapper.optim_context(model):
            loss = model(images).float().square().mean()
        loss.backward()
    for parameter, other in zip(plain.parameters(), wrapped.parameters(), strict=True):
        assert (parameter.grad - other.grad).abs().max() < 0.05 * parameter.grad.abs().max()
