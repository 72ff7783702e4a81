"""Numbers that are read late reach the log in their order, and a diverged training still stops."""

import math

import pytest
import torch
from mmengine.logging import MessageHub
from mmpose.registry import OPTIM_WRAPPERS

from tests.engine.test_non_finite_loss_hook import Model, items, run, saved  # noqa: F401
from unsct_mmpose.engine.late_scalars import LateScalars

LATE = dict(runtime_info=dict(type='LateRuntimeInfoHook'))


@pytest.fixture
def far(monkeypatch):
    """Let numbers count as if they lay on a GPU; return how many were read at once."""
    reads, take = [], LateScalars.take

    def counted(self):
        reads.append(len(self))
        return take(self)

    monkeypatch.setattr(LateScalars, 'wait', property(lambda self: True))
    monkeypatch.setattr(LateScalars, 'take', counted)
    return reads


def train(run, interval=3, **changes):  # noqa: F811
    hooks = dict(LATE, logger=dict(type='LoggerHook', interval=interval),
                 checkpoint=dict(type='CheckpointHook', interval=1))  # fmt: skip
    return run(items(count=16), epochs=1, default_hooks=hooks, **changes)


@pytest.mark.parametrize('judged', [False, True])
def test_they_are_read_once_at_a_log_and_at_the_end_and_the_log_is_as_ever(run, far, judged):  # noqa: F811
    runner = train(run, hook=judged)
    assert far == [3, 3, 2]
    history, _ = runner.message_hub.get_scalar('train/loss').data
    assert history.tolist() == [2.0] * 8


def test_without_a_wait_they_are_read_at_once(run, monkeypatch):  # noqa: F811
    reads, put = [], LateScalars.put

    def counted(self, *args):
        put(self, *args)
        reads.append(len(self))

    monkeypatch.setattr(LateScalars, 'put', counted)
    train(run)
    assert set(reads) == {1}


def test_a_loss_that_is_not_finite_is_told_of_with_its_own_iteration(run, far, tmp_path):  # noqa: F811
    model = Model(gradients=[0.0] * 20)
    hooks = dict(LATE, logger=dict(type='LoggerHook', interval=4))
    data = items(count=16, at_3=dict(paf=math.nan))  # the second of eight batches of two
    with pytest.raises(FloatingPointError) as caught:
        run(data, model, epochs=1, default_hooks=hooks)
    words = str(caught.value)
    assert 'after iteration 2' in words and 'data/2.dcm, data/3.dcm' in words
    assert saved(tmp_path) == []
    assert next(model.gradients) == 0.0 and len(list(model.gradients)) == 20 - 4 - 1


def test_norms_of_gradients_are_logged_ten_at_once_and_clipped_all_the_same(far):
    MessageHub.get_instance('norms')
    layer = torch.nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='Bf16OptimWrapper', optimizer=optimizer, clip_grad=dict(max_norm=1.0))
    )
    wrapper.message_hub = MessageHub('norms-of-gradients')
    for step in range(1, 21):
        wrapper.update_params((layer.weight * torch.tensor([3.0, 4.0]) * step).sum())
    assert far == [10, 10]
    history, _ = wrapper.message_hub.get_scalar('train/grad_norm').data
    assert history.tolist() == pytest.approx([5.0 * step for step in range(1, 21)])
    assert layer.weight.grad is None or layer.weight.grad.norm() <= 1.001


def test_what_is_taken_is_forgotten_and_plain_numbers_stay():
    late = LateScalars()
    late.put(1, dict(a=torch.tensor(1.5), b=2), 'note')
    late.put(2, dict(a=torch.tensor([0.25], dtype=torch.bfloat16)))
    assert [tuple(row) for row in late.take()] == [
        (1, dict(a=1.5, b=2), 'note'), (2, dict(a=0.25), None),
    ]  # fmt: skip
    assert len(late) == 0 and late.take() == []
