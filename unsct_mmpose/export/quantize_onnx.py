"""Convolutions of an exported graph in 8 bits: a third of the file, measured in docs/results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

QUANTIZATIONS = ('static', 'dynamic')
"""``static``: ranges of activations from images, faster; ``dynamic``: from each input, slower."""


def quantize(content: bytes, how: str, inputs: Iterable[NDArray[np.float32]] = ()) -> bytes:
    """Return a graph with 8-bit convolutions; the first and the last one stay as they are.

    Args:
        content: a serialised ONNX graph; its metadata is not kept.
        how: one of :data:`QUANTIZATIONS`.
        inputs: for ``static``, inputs of the graph like those that it will see.

    Raises:
        ValueError: there is no such way, or ``static`` lacks inputs.
    """
    from onnxruntime import quantization

    if how not in QUANTIZATIONS:
        raise ValueError(f'quantization {how!r} is unknown: choose from {QUANTIZATIONS}')
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / 'folded.onnx', Path(folder) / 'quantized.onnx'
        fold(content, source)
        common = dict(op_types_to_quantize=['Conv'], nodes_to_exclude=outer_convolutions(source))
        unsigned = quantization.QuantType.QUInt8
        if how == 'dynamic':
            quantization.quantize_dynamic(source, target, weight_type=unsigned, **common)
        else:
            quantization.quantize_static(
                source,
                target,
                _Reader(inputs),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=unsigned,
                weight_type=quantization.QuantType.QInt8,
                **common,
            )
        return target.read_bytes()


def fold(content: bytes, path: Path) -> None:
    """Write a graph with its constants folded, in standard operators."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])


def outer_convolutions(path: Path) -> list[str]:
    """Return the names of the first and the last convolution of a graph."""
    import onnx

    names = [node.name for node in onnx.load(str(path)).graph.node if node.op_type == 'Conv']
    return [names[0], names[-1]]


class _Reader:
    """What onnxruntime asks for one input after another; a ``CalibrationDataReader``."""

    def __init__(self, inputs: Iterable[NDArray[np.float32]]) -> None:
        rest = iter(inputs)
        first = next(rest, None)
        if first is None:
            raise ValueError('static quantization needs images to take the ranges from')
        self._inputs = chain([first], rest)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input by its name; None at the end."""
        image = next(self._inputs, None)
        return None if image is None else {'image': image}
