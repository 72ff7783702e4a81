"""Which device a model runs on."""

from __future__ import annotations

import torch

AUTO = 'auto'
"""CUDA where there is any, else the CPU: the default of every tool that has ``--device``."""


def resolve_device(name: str = AUTO) -> str:
    """Return the device that a name means on this machine.

    Args:
        name: ``'auto'``, or a device as PyTorch names it: ``'cpu'``, ``'cuda'``, ``'cuda:1'``.

    Returns:
        The name itself; for ``'auto'`` ``'cuda'`` or ``'cpu'``.

    Raises:
        ValueError: this machine has no such device, or nobody has; the message names the cure.

    Example:
        >>> resolve_device('cpu')
        'cpu'
    """
    if name == AUTO:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f'{name!r} is no device: take auto, cpu, cuda or cuda:1') from None
    if device.type == 'cuda':
        _refuse_missing_cuda(name, device.index or 0)
    return name


def _refuse_missing_cuda(name: str, index: int) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise ValueError(
            f'device {name}: the installed PyTorch {torch.__version__} is one for the CPU; install '
            'one that is built for CUDA (https://pytorch.org), or take --device cpu'
        )
    if not torch.cuda.is_available():
        raise ValueError(
            f'device {name}: PyTorch sees no CUDA device; look at what nvidia-smi and '
            'CUDA_VISIBLE_DEVICES say, or take --device cpu'
        )
    count = torch.cuda.device_count()
    if index >= count:
        raise ValueError(
            f'device {name}: this machine has {count}, numbered from cuda:0 to cuda:{count - 1}'
        )
