"""Training on a CUDA device: every head, in both half precisions, and by the launcher."""

import copy
import socket

import pytest
import torch
from mmpose.registry import MODELS

pytestmark = pytest.mark.cuda

CONFIGS = {
    'HeatmapPAFHead with SRFHRNet': 'ablation/srf_stages.py',
    'HeatmapPAFHead with SRFNeck': 'hrnet/unsct-hrnet.py',
    'HigherHeatmapPAFHead': 'higherhrnet/unsct-higherhrnet.py',
    'StackedHeatmapPAFHead': 'hourglass/unsct-hourglass.py',
}
EACH = pytest.mark.parametrize('name', CONFIGS.values(), ids=CONFIGS)
PRECISIONS = pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
MOST_OVERFLOWS = 8
"""Steps in which a fresh GradScaler may halve its 65536 before one is made."""


def build(config, device):
    torch.manual_seed(0)
    return MODELS.build(config.model).to(device).train()


def parameters_of(model):
    return [one.detach().clone() for one in model.parameters()]


def differ(model, before):
    return [
        not torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True)
    ]


@PRECISIONS
@EACH
def test_a_step_in_half_precision_is_finite_and_moves_the_weights(
    name, dtype, device, read_config, make_batch, wrap
):
    config = read_config(name)
    model, batch = build(config, device), make_batch(config)
    wrapper, before = wrap(model, config, dtype), parameters_of(model)
    for _ in range(MOST_OVERFLOWS):
        losses = model.train_step(copy.copy(batch), wrapper)
        assert all(torch.isfinite(value).all() for value in losses.values()), losses
        assert losses['loss'].device.type == device
        if any(differ(model, before)):
            break
    assert sum(differ(model, before)) > len(before) // 2
    assert all(torch.isfinite(one).all() for one in model.parameters())


@PRECISIONS
def test_a_batch_that_nobody_labelled_moves_nothing_and_keeps_the_scale(
    dtype, device, read_config, make_batch, wrap
):
    config = read_config('hrnet/unsct-hrnet.py')
    model, batch = build(config, device), make_batch(config, labelled=False)
    wrapper, before = wrap(model, config, dtype), parameters_of(model)
    scale = wrapper.loss_scaler.get_scale()
    losses = model.train_step(copy.copy(batch), wrapper)
    assert {name: value.item() for name, value in losses.items()} == dict.fromkeys(losses, 0.0)
    assert not any(differ(model, before))
    assert wrapper.loss_scaler.get_scale() == scale


@EACH
def test_losses_and_the_last_layers_gradients_are_those_of_the_cpu(
    name, device, read_config, make_batch, exact
):
    config = read_config(name)
    batch, found = make_batch(config), []
    for where in ('cpu', device):
        model = build(config, where)
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        losses = model(**data, mode='loss')
        sum(losses.values()).backward()
        last = list(model.head.parameters())[-1].grad
        found.append({**losses, 'gradient': last})
    # float32 differs from float64 by less than 2e-7 in the losses, 1e-5 in the gradients
    for key, value in found[0].items():
        tolerance = 1e-3 if key == 'gradient' else 1e-4
        torch.testing.assert_close(found[1][key].cpu(), value, rtol=tolerance, atol=1e-6)


def test_the_launcher_of_pytorch_trains_two_iterations_and_saves(trained, run_tool):
    config, _ = trained
    folder = config.parent
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    done = run_tool(
        'train.py', config, '--work-dir', folder / 'run', '--no-validate',
        '--launcher', 'pytorch',
        '--cfg-options', f'train_dataloader.dataset.data_root={folder}',
        'train_dataloader.dataset.data_prefix.img=./',
        'train_dataloader.dataset.disjoint_from=[val.json]',
        'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
        'train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1',
        'default_hooks.logger.interval=1',
        RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
        NCCL_SOCKET_IFNAME='lo',
    )  # fmt: skip
    assert 'Epoch(train) [1][2/2]' in done.stdout + done.stderr
    state = torch.load(folder / 'run/epoch_1.pth', map_location='cpu', weights_only=False)
    assert state['meta']['iter'] == 2
    assert all(torch.isfinite(one).all() for one in state['state_dict'].values())
