"""What can be seen without CUDA; `tests/cuda/test_cuda_graph.py` records for real."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from unsct_mmpose.engine import CUDAGraphHook
from unsct_mmpose.engine.cuda_graph_hook import record


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        out = self.layer(x)
        return out, out[..., ::2, ::2]


class Neck(nn.Module):
    def forward(self, feats):
        return (feats[0].sum(dim=1, keepdim=True),)


@pytest.fixture
def model():
    torch.manual_seed(0)
    parts = SimpleNamespace(backbone=Backbone(), neck=Neck(), with_neck=True)
    return parts


@pytest.fixture
def recorded(monkeypatch):
    """Replace CUDA's recording; a recorded part returns the word 'replayed'."""
    calls = []

    def record_parts(parts, args):
        calls.append(args)
        for part in parts:
            part.forward = lambda inputs: 'replayed'

    monkeypatch.setattr(torch.cuda, 'make_graphed_callables', record_parts)
    return calls


def test_without_cuda_nothing_is_recorded(monkeypatch, recorded):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    hook = CUDAGraphHook()
    hook.before_train_iter(SimpleNamespace(model=nn.Identity()), 0, None)
    assert recorded == []
    assert hook.done


def test_a_wrapped_model_is_left_alone(monkeypatch, recorded):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    wrapped = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    CUDAGraphHook().before_train_iter(SimpleNamespace(model=wrapped), 0, None)
    assert recorded == []


def test_inputs_of_the_recorded_shape_are_replayed_and_others_computed(model, recorded):
    inputs = torch.rand(2, 3, 8, 8)
    plain = model.backbone(inputs[:1])
    record(model, inputs)
    assert model.backbone.forward(inputs) == 'replayed'
    other = model.backbone.forward(inputs[:1])
    assert all(torch.equal(first, two) for first, two in zip(other, plain, strict=True))
    assert model.neck.forward((torch.rand(1, 4, 8, 8), torch.rand(1, 4, 4, 4)))[0].shape[0] == 1


def test_the_neck_is_recorded_on_leaves_that_no_graph_of_autograd_holds(model, recorded):
    """Nodes that outlive the recording tie it to the default stream; CUDA refuses that."""
    record(model, torch.rand(2, 3, 8, 8))
    ((backbone_args, neck_args),) = recorded
    assert not backbone_args[0].requires_grad
    assert all(argument.is_leaf and argument.requires_grad for argument in neck_args[0])
