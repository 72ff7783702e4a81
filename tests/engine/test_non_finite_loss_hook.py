"""Training with MMEngine's own runner, on a model whose losses the data dictate."""

import functools
import math
import multiprocessing
import os
import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample

from unsct_mmpose.engine import NonFiniteLossHook

AMP = 'mmengine.optim.optimizer.amp_optimizer_wrapper'


class Model(BaseModel):
    """Losses are the batch's numbers, plus what leads to gradients: of zeros, or those given."""

    def __init__(self, gradients=(0.0,) * 99):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.gradients = iter(gradients)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        slope = next(self.gradients)
        calm = _Slope.apply(self.weight, slope).sum()
        first, second, accuracy = torch.stack(inputs).mean(dim=0)
        return dict(loss_heatmap=first + calm, loss_paf=second, acc_pose=accuracy)


class _Slope(torch.autograd.Function):
    """Zero, with the gradient that one likes."""

    @staticmethod
    def forward(ctx, weight, slope):
        ctx.slope = slope
        return torch.zeros_like(weight)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.slope, None


def item(number, heatmap=1.0, paf=1.0, accuracy=0.5):
    sample = PoseDataSample(metainfo=dict(img_path=f'data/{number}.dcm'))
    return dict(inputs=torch.tensor([heatmap, paf, accuracy]), data_samples=sample)


def items(count=8, **bad):
    """Return items, of which ``at_3=dict(paf=2.0)`` changes one."""
    return [item(number, **bad.get(f'at_{number}', {})) for number in range(count)]


@pytest.fixture
def run(tmp_path):
    """Train on items in order, two in a batch; saved each epoch or each second iteration."""

    def run(data, model=None, by_epoch=True, hook=True, epochs=2, **changes):
        saving = dict(type='CheckpointHook', by_epoch=by_epoch, interval=1 if by_epoch else 2)
        limit = dict(max_epochs=epochs) if by_epoch else dict(max_iters=4 * epochs)
        sampler = dict(type='DefaultSampler', shuffle=False)
        loader = dict(batch_size=2, num_workers=0, dataset=data, sampler=sampler)
        settings = dict(
            model=model or Model(),
            work_dir=str(tmp_path),
            train_dataloader=dict(loader, collate_fn=dict(type='pseudo_collate')),
            train_cfg=dict(by_epoch=by_epoch, **limit),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(checkpoint=dict(saving, max_keep_ckpts=1)),
            custom_hooks=[dict(type='NonFiniteLossHook')] if hook else [],
            default_scope='mmpose',
            experiment_name=f'{tmp_path.name}-{len(list(tmp_path.iterdir()))}',
        )
        runner = Runner(**{**settings, **changes})
        runner.train()
        return runner

    return run


def saved(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_training_stops_at_the_first_such_loss_before_its_weights_are_saved(
    run, tmp_path, by_epoch, value
):
    model = Model(gradients=[0.0] * 7 + [math.nan])  # what such a loss does to the weights
    data = [*items(count=14), item('fine'), item('bad', paf=value)]
    with pytest.raises(FloatingPointError) as caught:
        run(data, model, by_epoch)
    words = str(caught.value)
    assert 'after iteration 8' in words
    assert f'loss = {value}, loss_paf = {value}.' in words and 'loss_heatmap' not in words
    assert 'data/fine.dcm, data/bad.dcm' in words
    assert 'learning rate' in words and 'bfloat16' in words and 'damaged' in words
    assert not torch.isfinite(model.weight).all()
    if by_epoch:
        assert saved(tmp_path) == [] and 'no checkpoint has been saved yet' in words
    else:
        assert saved(tmp_path) == ['iter_6.pth'] and f'{tmp_path / "iter_6.pth"}, is unt' in words


@pytest.mark.parametrize('by_epoch', [True, False])
def test_weights_that_a_finite_loss_broke_do_not_push_the_last_checkpoint_out(
    run, tmp_path, by_epoch
):
    model = Model(gradients=[0.0] * 7 + [math.nan])
    with pytest.raises(FloatingPointError, match=r'iteration 8.*weights are not \(1: weight') as it:
        run(items(), model, by_epoch)
    (name,) = saved(tmp_path)
    assert name == ('epoch_1.pth' if by_epoch else 'iter_6.pth') and name in str(it.value)
    assert 'data/6.dcm, data/7.dcm' in str(it.value)
    content = torch.load(tmp_path / name, weights_only=False)
    assert content['state_dict']['weight'].item() == 1


def test_without_the_hook_the_last_checkpoint_is_lost(run, tmp_path):
    run(items(), Model(gradients=[0.0] * 7 + [math.nan]), hook=False)
    content = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    assert saved(tmp_path) == ['epoch_2.pth'] and content['state_dict']['weight'].isnan().all()


def test_whoever_saves_broken_weights_is_stopped(run, tmp_path):
    runner = run(items())
    runner.model.weight.data.fill_(math.inf)
    with pytest.raises(FloatingPointError, match='weights are not'):
        runner.save_checkpoint(str(tmp_path), 'by_hand.pth')
    assert 'by_hand.pth' not in saved(tmp_path)


def test_what_is_no_loss_may_be_anything(run, tmp_path):
    run(items(at_3=dict(accuracy=math.nan), at_5=dict(heatmap=1e30)))
    assert saved(tmp_path) == ['epoch_2.pth']


def test_scaled_gradients_that_overflow_do_not_stop_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr(f'{AMP}.is_cuda_available', lambda: True)
    monkeypatch.setattr(f'{AMP}.GradScaler', functools.partial(torch.amp.GradScaler, 'cpu'))
    amp = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=dict(init_scale=2.0**127))
    amp['optimizer'] = dict(type='SGD', lr=0.1)
    model = Model(gradients=[4.0, 4.0, 4.0] + [0.0] * 99)
    runner = run(items(), model, optim_wrapper=amp)
    assert runner.optim_wrapper.loss_scaler.get_scale() < 2.0**127
    assert model.weight.isfinite().all()
    assert saved(tmp_path) == ['epoch_2.pth']


def test_a_batch_without_file_names_is_unknown(run, tmp_path):
    data = [dict(inputs=torch.tensor([math.nan, 1.0, 1.0])) for _ in range(4)]
    with pytest.raises(FloatingPointError, match='Images of that batch: unknown'):
        run(data, model=_WithoutSamples())


class _WithoutSamples(Model):
    def forward(self, inputs, mode='tensor'):
        return super().forward(inputs, None, mode)


def test_every_config_has_it_and_it_comes_before_the_checkpoints(request):
    config = Config.fromfile(request.config.rootpath / 'configs/_base_/default_runtime.py')
    assert dict(type='NonFiniteLossHook') in config.custom_hooks
    hook = HOOKS.build(dict(type='NonFiniteLossHook'))
    assert isinstance(hook, NonFiniteLossHook) and hook.priority == 'VERY_HIGH'


def train_as(rank, run, folder, port, bad):
    """Train as one of two processes, whose second meets a bad loss; leave its last words."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    data = items(count=16, at_13=bad)  # 1, 3, 5 ... are the second's
    try:
        run(data, launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='gloo')))
    except FloatingPointError as error:
        (folder / f'{rank}.txt').write_text(str(error))


def test_of_two_processes_both_stop_when_one_meets_such_a_loss(run, tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context('fork')
    arguments = (run, tmp_path, port, dict(paf=math.nan))
    both = [context.Process(target=train_as, args=(rank, *arguments)) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=600)
    hung = [process.kill() for process in both if process.is_alive()]
    assert not hung
    first, second = ((tmp_path / f'{rank}.txt').read_text() for rank in (0, 1))
    assert first == second
    assert first.startswith('process 1: training stopped after iteration 4: loss')
    assert 'data/13.dcm' in first and 'data/12.dcm' not in first
    assert saved(tmp_path) == []
