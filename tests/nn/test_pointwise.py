import pytest
import torch
from torch import nn

from unsct_mmpose.nn import pointwise

FORMS = [
    dict(kernel_size=1), dict(kernel_size=1, bias=False), dict(kernel_size=3, padding=1),
    dict(kernel_size=1, stride=2), dict(kernel_size=1, groups=2), dict(kernel_size=1, padding=1),
]  # fmt: skip


@pytest.mark.parametrize('form', FORMS, ids=str)
def test_it_is_the_convolution_with_its_gradients(form):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 4, **form).double()
    features = torch.randn(2, 6, 5, 3, dtype=torch.float64, requires_grad=True)
    wanted, found = conv(features), pointwise(conv, features)
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(wanted)
    inputs = [features, *conv.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((wanted * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_training_in_half_precision_keeps_maps_of_single_precision():
    conv, features = nn.Conv2d(6, 4, 1), torch.randn(2, 6, 5, 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert pointwise(conv, features).dtype == torch.float32
        assert pointwise(conv, features.bfloat16()).dtype == torch.bfloat16
        with torch.no_grad():
            assert pointwise(conv, features).dtype == torch.bfloat16  # the convolution itself


def test_an_exported_graph_has_a_convolution():
    conv = nn.Conv2d(6, 4, 1)

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv

        def forward(self, features):
            return pointwise(self.conv, features)

    traced = torch.jit.trace(Module(), torch.zeros(1, 6, 5, 3))
    assert 'aten::_convolution' in str(traced.inlined_graph)
