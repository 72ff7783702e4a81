"""All networks with SRF blocks take the blocks' settings in the same way."""

import inspect

import pytest
import torch
from mmpose.registry import MODELS

from unsct_mmpose.nn import SRFBlock

STAGES = {
    f'stage{stage}': dict(
        num_modules=1,
        num_branches=stage,
        block='BASIC' if stage > 1 else 'BOTTLENECK',
        num_blocks=(1,) * stage,
        num_channels=(8, 16, 24, 32)[:stage],
    )
    for stage in (1, 2, 3, 4)
}
NETWORKS = dict(
    SRFHRNet=dict(extra=STAGES),
    SRFNeck=dict(in_channels=(8, 16)),
    SRFUNet=dict(base_channels=4, depth=3, out_level=1),
)
EACH = pytest.mark.parametrize('kind', NETWORKS)
OTHER = dict(
    attention='parallel', with_boundary=False, code_compatible=True, deep_supervision=True,
    initial_scale=0.5,
)  # fmt: skip
"""A value that is not the default, for every setting of a block."""


def build(kind, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, **NETWORKS[kind], **kwargs))


@pytest.fixture
def asked(monkeypatch):
    """Return a list that gets the keyword arguments of every block that is built."""
    calls, initialise = [], SRFBlock.__init__

    def spy(self, *args, **kwargs):
        calls.append(kwargs)
        initialise(self, *args, **kwargs)

    spy.__signature__ = inspect.signature(initialise)
    monkeypatch.setattr(SRFBlock, '__init__', spy)
    return calls


def test_no_setting_of_the_block_is_forgotten_here():
    parameters = inspect.signature(SRFBlock).parameters
    defaults = {k: v.default for k, v in parameters.items() if v.kind is v.KEYWORD_ONLY}
    assert sorted(defaults) == sorted(OTHER)
    assert all(defaults[name] != value for name, value in OTHER.items())


@EACH
def test_every_setting_reaches_every_block(kind, asked):
    build(kind, **OTHER)
    assert len(asked) >= 2
    assert all(kwargs == OTHER for kwargs in asked)


@EACH
def test_a_setting_that_nobody_knows_is_refused_by_its_name(kind):
    with pytest.raises(TypeError, match='atention'):
        build(kind, atention='x')
