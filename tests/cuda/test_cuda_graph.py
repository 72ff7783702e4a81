"""A network recorded as CUDA graphs trains as it does without."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS

from unsct_mmpose.engine.cuda_graph_hook import record

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def needs_graphs(device):
    if device == 'cpu':
        pytest.skip('graphs are recorded on CUDA only')


def train(config, batch, recorded, steps=4):
    torch.manual_seed(0)
    model = MODELS.build(config.model).cuda().train()
    model.init_weights()
    optimiser = dict(type='SGD', lr=1e-3)
    wrapper = build_optim_wrapper(model, dict(type='OptimWrapper', optimizer=optimiser))
    data = model.data_preprocessor(copy.deepcopy(batch), True)
    if recorded:
        averages = copy.deepcopy(dict(model.named_buffers()))
        record(model, data['inputs'])
        for name, buffer in model.named_buffers():
            buffer.copy_(averages[name])
    losses = []
    for _ in range(steps):
        found, _ = model.parse_losses(model(**data, mode='loss'))
        wrapper.update_params(found)
        losses.append(float(found.detach()))
    return model, losses


@pytest.mark.parametrize('name', ['hrnet/unsct-hrnet.py', 'ablation/srf_stages.py'])
def test_a_recorded_network_trains_as_the_same_network_does(name, read_config, make_batch, exact):
    config = read_config(name)
    batch = make_batch(config)
    plain, graphed = train(config, batch, False), train(config, batch, True)
    assert graphed[1] == pytest.approx(plain[1], rel=1e-3)
    for one, other in zip(graphed[0].parameters(), plain[0].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-4)


def test_inputs_of_another_shape_pass_the_network_as_it_is(read_config, make_batch):
    config = read_config('hrnet/unsct-hrnet.py')
    model, _ = train(config, make_batch(config), True, steps=1)
    inputs = torch.rand(3, 3, 192, 192, device='cuda')
    assert model.extract_feat(inputs)[-1].shape[0] == 3
    model.eval()
    assert model.extract_feat(inputs[:2])[-1].shape[0] == 2
