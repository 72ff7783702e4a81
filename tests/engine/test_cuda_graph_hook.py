"""Where nothing may be recorded; what is recorded, tests/cuda tells."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from unsct_mmpose.engine import CUDAGraphHook, cuda_graph_hook


@pytest.fixture
def recorded(monkeypatch):
    calls = []
    monkeypatch.setattr(cuda_graph_hook, 'record', lambda model, inputs: calls.append(model))
    return calls


def test_without_cuda_the_network_is_left_alone(recorded, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    CUDAGraphHook().before_train_iter(SimpleNamespace(model=nn.Conv2d(3, 3, 1)), 0)
    assert not recorded


def test_a_model_wrapped_for_several_processes_is_left_alone(recorded, monkeypatch):
    wrapped = nn.DataParallel(nn.Conv2d(3, 3, 1))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    hook = CUDAGraphHook()
    hook.before_train_iter(SimpleNamespace(model=wrapped), 0)
    assert hook.done and not recorded
