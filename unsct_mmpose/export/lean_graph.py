"""A traced graph that says the same with less work, bit by bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def lean(content: bytes) -> bytes:
    """Return an ONNX graph that computes no channels in vain and mirrors without a slow slice.

    A convolution whose channels are chosen from afterwards makes the chosen ones only. What is
    turned end for end is gathered: runtimes have fast kernels for that, and none for a slice that
    runs backwards (of a network in bfloat16 on a CPU it took a tenth of the time).

    Args:
        content: a serialised graph.
    """
    import onnx

    proto = onnx.load_from_string(content)
    constants = dict(_constants(proto.graph))
    _make_chosen_channels_only(proto.graph, constants)
    _mirror_by_gathering(proto.graph, constants)
    return bytes(proto.SerializeToString())


def _constants(graph: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    from onnx import numpy_helper

    for tensor in graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == 'Constant' and node.attribute[0].name == 'value':
            yield node.output[0], numpy_helper.to_array(node.attribute[0].t)


def _make_chosen_channels_only(graph: Any, constants: dict[str, NDArray[Any]]) -> None:
    """Take weights from convolutions of one group that a choice among channels follows alone."""
    from onnx import numpy_helper

    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(output.name for output in graph.output)
    makers = {node.output[0]: node for node in graph.node if node.op_type == 'Conv'}
    for choice in [node for node in graph.node if node.op_type == 'Gather']:
        conv, channels = makers.get(choice.input[0]), constants.get(choice.input[1])
        if conv is None or channels is None or channels.ndim != 1 or _axis(choice) != 1:
            continue
        grouped = any(each.name == 'group' and each.i != 1 for each in conv.attribute)
        if grouped or readers[choice.input[0]] > 1:
            continue
        parameters = [constants.get(name) for name in conv.input[1:]]
        if any(values is None for values in parameters):
            continue
        for place, values in enumerate(parameters, 1):
            name = f'{choice.output[0]}_{place}'
            graph.initializer.append(numpy_helper.from_array(values[channels], name))
            conv.input[place] = name
        conv.output[0] = choice.output[0]
        graph.node.remove(choice)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _axis(gather: Any) -> int:
    return next((each.i for each in gather.attribute if each.name == 'axis'), 0)


def _mirror_by_gathering(graph: Any, constants: dict[str, NDArray[Any]]) -> None:
    """Replace slices that turn the last axis of something end for end."""
    from onnx import numpy_helper

    nodes = []
    for node in graph.node:
        nodes += _gathered_backwards(node) if _turns_end_for_end(node, constants) else [node]
    if len(nodes) == len(graph.node):
        return
    del graph.node[:]
    graph.node.extend(nodes)
    for number in (-1, 0, 1):
        scalar = np.array(number, np.int64)
        graph.initializer.append(numpy_helper.from_array(scalar, f'lean_{number}'))


def _turns_end_for_end(node: Any, constants: dict[str, NDArray[Any]]) -> bool:
    given = [constants.get(name) for name in node.input[1:]]
    if node.op_type != 'Slice' or len(given) != 4:
        return False
    if any(values is None or values.shape != (1,) for values in given):
        return False
    start, end, axis, step = (int(values[0]) for values in given)
    return (start, axis, step) == (-1, -1, -1) and end <= -(2**31)


def _gathered_backwards(node: Any) -> list[Any]:
    """Return nodes that do what such a slice does, with indices -1, -2, ...

    Of a range that runs backwards itself onnxruntime makes a slice again, and a wrong one.
    """
    from onnx import helper

    whole, name = node.input[0], f'{node.output[0]}_lean'
    return [
        helper.make_node('Shape', [whole], [f'{name}_shape'], start=-1),
        helper.make_node('Squeeze', [f'{name}_shape'], [f'{name}_size']),
        helper.make_node('Range', ['lean_0', f'{name}_size', 'lean_1'], [f'{name}_ahead']),
        helper.make_node('Sub', ['lean_-1', f'{name}_ahead'], [f'{name}_back']),
        helper.make_node('Gather', [whole, f'{name}_back'], list(node.output), axis=-1),
    ]
