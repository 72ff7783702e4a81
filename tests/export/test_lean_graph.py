import numpy as np
import pytest

from unsct_mmpose.export.lean_graph import lean
from unsct_mmpose.inference.onnx_model import open_session

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

helper, numpy_helper = onnx.helper, onnx.numpy_helper
RNG = np.random.default_rng(0)


def graph_of(*nodes, more=(), **constants):
    """Return a serialised graph from ``image``, ``(N, 4, H, W)``, to ``result``."""
    kind = onnx.TensorProto.FLOAT
    image = helper.make_tensor_value_info('image', kind, ['n', 4, 'h', 'w'])
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in ('result', *more)]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), 'g', [image], outputs, tensors)
    opsets = [helper.make_opsetid('', 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def nodes_of(content):
    return onnx.load_from_string(content).graph.node


def assert_says_the_same(before, after, width=5):
    image = RNG.normal(size=(2, 4, 3, width)).astype(np.float32)
    results = (open_session(each, 1).run(None, {'image': image}) for each in (before, after))
    for old, new in zip(*results, strict=True):
        np.testing.assert_array_equal(new, old)


def convolution(groups=1, **constants):
    weight = RNG.normal(size=(6, 4 // groups, 3, 3)).astype(np.float32)
    bias = RNG.normal(size=6).astype(np.float32)
    node = helper.make_node('Conv', ['image', 'weight', 'bias'], ['maps'], group=groups)
    return node, dict(weight=weight, bias=bias, chosen=np.array([5, 0, 3]), **constants)


def test_a_convolution_makes_the_channels_that_are_chosen_and_no_others():
    conv, constants = convolution()
    before = graph_of(
        conv, helper.make_node('Gather', ['maps', 'chosen'], ['result'], axis=1), **constants
    )
    after = lean(before)
    assert [node.op_type for node in nodes_of(after)] == ['Conv']
    shapes = sorted(list(tensor.dims) for tensor in onnx.load_from_string(after).graph.initializer)
    assert shapes == [[3], [3, 4, 3, 3]]
    assert_says_the_same(before, after)


@pytest.mark.parametrize('why', ['read twice', 'an output', 'groups', 'another axis', 'one place'])
def test_a_choice_that_is_more_than_that_stays(why):
    conv, constants = convolution(groups=2 if why == 'groups' else 1)
    constants['chosen'] = np.array(0 if why == 'one place' else [0, 0])
    axis = 2 if why == 'another axis' else 1
    nodes = [conv, helper.make_node('Gather', ['maps', 'chosen'], ['result'], axis=axis)]
    more = []
    if why == 'read twice':
        nodes, more = [*nodes, helper.make_node('Relu', ['maps'], ['other'])], ['other']
    if why == 'an output':
        more = ['maps']
    before = graph_of(*nodes, more=more, **constants)
    after = lean(before)
    assert [node.op_type for node in nodes_of(after)] == [node.op_type for node in nodes]
    assert_says_the_same(before, after)


def turned(start=-1, end=-(2**63) + 1, axis=-1, step=-1):
    given = dict(start=[start], end=[end], axis=[axis], step=[step])
    constants = {name: np.array(value) for name, value in given.items() if value != [None]}
    return graph_of(helper.make_node('Slice', ['image', *constants], ['result']), **constants)


@pytest.mark.parametrize('width', [1, 2, 7])
def test_what_is_turned_end_for_end_is_gathered(width):
    before = turned()
    after = lean(before)
    assert 'Slice' not in {node.op_type for node in nodes_of(after)}
    assert_says_the_same(before, after, width)


@pytest.mark.parametrize(
    'given',
    [
        dict(start=2),
        dict(end=0),
        dict(axis=1),
        dict(step=-2),
        dict(start=0, end=3, step=1),
        dict(start=0, end=3, step=None),
    ],
)
def test_other_slices_stay(given):
    before = turned(**given)
    after = lean(before)
    assert [node.op_type for node in nodes_of(after)] == ['Slice']
    assert_says_the_same(before, after)
