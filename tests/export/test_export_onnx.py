import copy
import hashlib
import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import get_ident

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import MODELS

from unsct_mmpose.anatomy import LANDMARK_CLASSES, LANDMARK_NAMES
from unsct_mmpose.calibrate.evidence_table import build_dataset
from unsct_mmpose.calibrate.fit import weights_hash
from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.export import export_onnx as export
from unsct_mmpose.export.export_onnx import ExportRequest, export_onnx, trace
from unsct_mmpose.export.onnx_graph import OUTPUTS, LandmarkGraph
from unsct_mmpose.export.quantize_onnx import quantize
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.inference.model_identity import calibration_identity
from unsct_mmpose.inference.onnx_model import (
    CPU,
    OnnxModel,
    execution_providers,
    open_session,
)
from unsct_mmpose.inference.openvino_session import MAPS
from unsct_mmpose.maps.calibration import CALIBRATION_KEY, pack_calibration
from unsct_mmpose.maps.fusion import Fusion, MonotoneLogistic
from unsct_mmpose.maps.moments import _COUNTED
from unsct_mmpose.research.benchmark import any_calibration
from unsct_mmpose.research.tiny import tiny_config

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

MORE = """
model['head']['decoder'] = dict(codec, {options})
model['test_cfg'] = dict(flip_test={flip})
val_pipeline[1]['padding'] = {padding}
test_dataloader['dataset'].update(ann_file='val.json', data_prefix=dict(img=''))
"""


@pytest.fixture(scope='module')
def make(tmp_path_factory, request):
    """Write a config and random weights; return the paths of both and of the exported model."""

    def build(root='', flip=True, padding=1.0, calibrated=True, options=''):
        folder = tmp_path_factory.mktemp('model')
        config, checkpoint = folder / 'config.py', folder / 'model.pth'
        more = MORE.format(flip=flip, padding=padding, options=options)
        config.write_text(tiny_config(request.config.rootpath, root, more))
        init_default_scope('mmpose')
        torch.manual_seed(0)
        model = MODELS.build(Config.fromfile(config).model)
        for layer in model.modules():  # statistics and maps of a network that has learnt something
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.3, 0.3)
                layer.running_var.uniform_(0.5, 1.5)
        torch.nn.init.normal_(model.head.final_layer.weight, std=0.4)
        state = model.state_dict()
        if calibrated:
            relations = model.head.decoder.evidence_relations
            model_of = MonotoneLogistic(0.0, (1.0, 1.0), (0.0, 0.5), (1.0, 0.2), (1, 1))
            calibration = replace(
                any_calibration(len(relations), relations.name),
                fusion=Fusion(('standout', 'supported'), model_of, (1.0,) * len(relations)),
                region_scales={one.name: 1.0 + one.number for one in LANDMARK_CLASSES},
                peak_power=1.3,
                region_shapes={one.name: (1.25, 0.5, 1.0) for one in LANDMARK_CLASSES},
            )
            state[f'head.{CALIBRATION_KEY}'] = pack_calibration(calibration)
        torch.save(dict(state_dict=state, meta=dict()), checkpoint)
        return config, checkpoint, folder / 'model.onnx'

    return build


@pytest.fixture(scope='module')
def exported(make):
    config, checkpoint, out = make()
    export_onnx(ExportRequest(config, checkpoint, out))
    return LandmarkGraph(init_model(str(config), str(checkpoint), device='cpu')).eval(), out


@pytest.fixture(scope='module')
def session(exported):
    return open_session(exported[1].read_bytes(), 1)


@pytest.fixture(scope='module')
def onnx_model(exported):
    return OnnxModel(exported[1])


def assert_same(module, session, inputs):
    with torch.no_grad():
        expected = dict(zip(OUTPUTS, module(inputs), strict=True))
    found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {'image': inputs.numpy()}), strict=True))
    edge = at_the_edge(expected[MAPS].numpy())
    for name, values in expected.items():
        assert found[name].shape == values.shape, name
        one, other = found[name], values.numpy()
        if values.dtype in (torch.bool, torch.int64):
            np.testing.assert_array_equal(one, other, err_msg=name)
            continue
        if name == 'keypoint_covariances':
            one, other = one[~edge], other[~edge]
        np.testing.assert_allclose(one, other, atol=2e-3, rtol=1e-3, err_msg=name)
    return found


def at_the_edge(maps):
    """Return for which landmarks rounding decides whether a cell counts for the covariance.

    Two libraries, and two processors, may differ there.
    """
    heatmaps = maps[:, : len(LANDMARK_NAMES)]
    tops = heatmaps.max(axis=(2, 3), keepdims=True)
    edge = (np.abs(heatmaps - _COUNTED * tops) < 1e-6 * tops).any(axis=(2, 3))
    assert edge.mean() < 0.05
    return edge


def random_images(count, height, width):
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(1)) * 255


class FromMaps(torch.nn.Module):
    """The part of the graph that comes after the network."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph

    def forward(self, maps):
        return *self.graph.judge(maps), maps


@pytest.fixture(scope='module')
def reading(exported):
    module = FromMaps(exported[0])
    return module, open_session(trace(module, torch.rand(2, 92, 16, 16)), 1)


@pytest.mark.parametrize('shape', [(1, 64, 64), (3, 64, 64), (2, 96, 64), (1, 32, 160)])
def test_the_graph_says_what_pytorch_says_at_any_batch_and_size(exported, session, shape):
    assert_same(exported[0], session, random_images(*shape))


def test_no_channel_is_computed_in_vain_and_nothing_is_sliced_backwards(exported):
    module, path = exported
    graph = onnx.load(path).graph
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    last = [node for node in graph.node if node.op_type == 'Conv'][-1]
    codec = module.codec
    assert shapes[last.input[1]][0] == len(codec.landmarks) + len(codec.decision_channels)
    assert len(module.channels) < module.model.head.final_layer.out_channels
    constants = {
        node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == 'Constant'
    }
    steps = [constants[node.input[4]] for node in graph.node
             if node.op_type == 'Slice' and len(node.input) > 4]  # fmt: skip
    assert steps and all(step > 0 for step in steps)


def test_the_graph_measures_the_noise_of_its_image(exported):
    graph = copy.copy(exported[0])
    graph.calibration = replace(
        graph.calibration,
        typical_agreement=-1e9,
        typical_quorum=-1e9,
        typical_peak=-1e9,
        typical_noise=0.05,
    )
    images = torch.arange(64.0).expand(2, 1, 64, 64).clone()
    images[1] += torch.randint(0, 60, (64, 64), generator=torch.Generator().manual_seed(0))
    shrink = torch.nn.AvgPool2d(4)  # instead of the network: the noise is the image's
    graph.maps = lambda image: shrink(image).expand(-1, 92, -1, -1) / 255
    found = assert_same(graph, open_session(trace(graph, images), 1), images)
    assert found['image_state'].tolist() == [0, 1]


@pytest.mark.parametrize('shape', [(1, 16, 16), (4, 8, 24), (2, 64, 40)])
def test_noise_is_judged_alike_at_any_size(reading, shape):
    count, height, width = shape
    generator = torch.Generator().manual_seed(height)
    found = assert_same(*reading, torch.rand(count, 92, height, width, generator=generator))
    assert found['finite'].all()


@pytest.mark.parametrize('value', [0.0, 0.5, 1.0, -1.0])
def test_constant_maps_are_judged_alike_and_finite(reading, value):
    found = assert_same(*reading, torch.full((2, 92, 16, 16), value))
    assert all(np.isfinite(one).all() for one in found.values())


def test_absent_landmarks_are_rejected_alike(reading, exported):
    codec = exported[0].codec
    points = np.random.default_rng(0).uniform(6, 57, (1, 24, 2))
    stack = []
    for absent in ([], [4, 17], list(range(1, 24)), list(range(24))):
        visible = np.ones((1, 24))
        visible[0, absent] = 0
        encoded = codec.encode(points, visible)
        pafs = encoded['pafs'][codec.decision_channels]
        stack.append(np.concatenate([encoded['heatmaps'], pafs]))
    found = assert_same(*reading, torch.from_numpy(np.stack(stack)))
    assert found['keypoints_visible'].sum(axis=1).tolist() == [24, 22, 0, 0]
    assert found['image_state'].tolist() == [0, 0, 2, 2]
    np.testing.assert_allclose(found['keypoints'][0], points[0], atol=0.25)


@pytest.mark.parametrize('channel', [3, 40])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_maps_that_cannot_be_read_are_marked(reading, channel, value):
    maps = torch.rand(3, 92, 16, 16)
    maps[1, channel, 2, 5] = value
    found = reading[1].run(['finite'], {'image': maps.numpy()})[0]
    assert found.tolist() == [True, False, True]


@pytest.mark.parametrize(
    'options',
    [
        dict(flip=False, options="evidence='paf', rule='equal_cost'"),
        dict(calibrated=False, options="refinement='integral', aggregation='paper'"),
        dict(calibrated=False, options="mode='paper', relation_weights=[1.0, 2.0] * 26"),
    ],
    ids=['fields', 'uncalibrated', 'paper'],
)
def test_the_graph_follows_the_options_of_the_config(make, options):
    config, checkpoint, out = make(**options)
    figures = export_onnx(ExportRequest(config, checkpoint, out))
    graph = LandmarkGraph(init_model(str(config), str(checkpoint), device='cpu')).eval()
    found = assert_same(graph, open_session(out.read_bytes(), 1), random_images(2, 64, 96))
    assert figures['flip_test'] == options.get('flip', True)
    assert figures['calibrated'] == options.get('calibrated', True)
    if not figures['calibrated']:
        reported = found['keypoint_uncertainties'] <= graph.decision.threshold
        np.testing.assert_array_equal(found['keypoints_visible'], reported)
        assert np.isnan(found['keypoint_presence']).all()
        assert not OnnxModel(out).identity['calibrated']


def test_files_are_read_as_mmpose_reads_them(make, tiny_set):
    """Those of a data set, by a head with options of its own."""
    options = "evidence='peak', threshold=0.3, refinement='quadratic', samples=7"
    config, checkpoint, out = make(root=tiny_set.as_posix(), padding=1.2, options=options)
    figures = export_onnx(ExportRequest(config, checkpoint, out))
    assert figures['flip_test'] and figures['calibrated']
    model = init_model(str(config), str(checkpoint), device='cpu')
    graph = LandmarkGraph(model).eval()
    assert_same(graph, open_session(out.read_bytes(), 1), random_images(2, 64, 96))
    dataset = build_dataset(model.cfg, 'test', None, None)
    items = [dataset[row] for row in range(len(dataset))]
    images = [read_radiograph(one['data_samples'].img_path).pixels for one in items]
    onnx_model = OnnxModel(out, threads=1, batch_size=2)
    inputs, _ = onnx_model.prepare(images)
    for row, item in enumerate(items):
        np.testing.assert_array_equal(inputs[row], item['inputs'][:1])
    with torch.no_grad():
        expected = model.test_step(pseudo_collate(items))
        edges = at_the_edge(graph(torch.from_numpy(inputs))[OUTPUTS.index(MAPS)].numpy())
    for one, sample, edge in zip(onnx_model.infer(images), expected, edges, strict=True):
        fields = sample.pred_instances
        assert set(one) == set(fields.keys()) - {'bboxes', 'bbox_scores'}
        for name, values in one.items():
            wanted = np.asarray(fields[name])[0]
            assert np.shape(values) == wanted.shape, name
            if name == 'keypoint_covariances':
                values, wanted = values[~edge], wanted[~edge]
            np.testing.assert_allclose(values, wanted, atol=1e-2, rtol=1e-3, err_msg=name)


def test_the_file_says_what_it_is(exported, onnx_model):
    (graph, out), model = exported, onnx_model
    calibration = graph.codec.calibration
    stored = {one.key: json.loads(one.value) for one in onnx.load(str(out)).metadata_props}
    assert stored == model.metadata
    assert stored['landmark_names'] == list(LANDMARK_NAMES)
    assert stored['measurement_names'] == list(MEASUREMENT_NAMES)
    assert stored['calibration'] == json.loads(json.dumps(calibration.to_dict()))
    assert stored['relation_pairs'] == [list(pair) for pair in graph.codec.evidence_relations.pairs]
    assert 'not a medical device' in stored['notice']
    assert model.identity['sha256'] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert model.identity['weights_sha256'] == weights_hash(graph.model.state_dict())
    assert model.identity['calibrated']


def test_the_identity_is_that_of_the_pytorch_backend(exported, onnx_model):
    graph, out = exported
    calibration = graph.codec.calibration
    identity = onnx_model.identity
    wanted = calibration_identity(calibration.to_dict())
    assert json.loads(json.dumps(wanted)) == {name: identity[name] for name in wanted}
    assert identity['interval_level'] == calibration.interval_level
    assert identity['name'] == out.name
    assert identity['backend'] == 'onnx'


PURE = """
import sys
import numpy as np
from unsct_mmpose.inference.onnx_model import OnnxModel
import unsct_mmpose.functional.clinical, unsct_mmpose.dicom, unsct_mmpose.anatomy
found = OnnxModel(sys.argv[1]).infer([np.linspace(0, 1, 6000, dtype=np.float32).reshape(60, 100)])
assert found[0]['keypoints'].shape == (24, 2)
heavy = {'torch', 'torchvision', 'mmcv', 'mmengine', 'mmdet', 'mmpose', 'onnx'} & set(sys.modules)
assert not heavy, heavy
"""


def test_reading_loads_neither_torch_nor_openmmlab(exported, run_python):
    run_python('-c', PURE, exported[1])


DOT_PRODUCTS = {'avx512_vnni', 'avx_vnni', 'asimddp'}


@pytest.mark.parametrize('how', ['static', 'dynamic'])
def test_eight_bits_make_a_smaller_file_that_says_nearly_the_same(exported, session, how):
    plain, images = exported[1].read_bytes(), random_images(4, 64, 64).numpy()
    small = quantize(plain, how, iter(images[:, None]))
    kinds = {node.op_type for node in onnx.load_from_string(small).graph.node}
    assert kinds & {'DequantizeLinear', 'ConvInteger'}
    expected, found = (
        one.run(['keypoint_scores'], {'image': images}) for one in (session, open_session(small, 1))
    )
    difference = np.abs(expected[0] - found[0]).max()
    # with random weights sums saturate where a processor has no 8-bit dot products: 0.202 on one;
    # what it does to a trained network is in docs/results/onnx.md
    bound = 0.2 if how == 'dynamic' or has_dot_products() else 0.25
    assert 0 < difference < bound * np.ptp(expected[0])


def has_dot_products():
    flags = Path('/proc/cpuinfo')
    return not flags.exists() or not DOT_PRODUCTS.isdisjoint(flags.read_text().split())


def test_a_static_quantization_without_images_is_refused(exported):
    content = exported[1].read_bytes()
    with pytest.raises(ValueError, match='needs images'):
        quantize(content, 'static')
    with pytest.raises(ValueError, match="quantization 'other' is unknown"):
        quantize(content, 'other')


def test_images_that_are_no_radiographs_are_refused_with_their_number(onnx_model):
    good = np.zeros((50, 40), np.float32)
    for bad, message in (
        (np.zeros((50, 40), np.uint8), 'image 1 is uint8'),
        (np.zeros((50, 40, 3), np.float32), r'image 1 is float32 of shape \(50, 40, 3\)'),
        (good + 2, 'image 1 has values from 2 to 2'),
        (good * np.nan, 'image 1 has values from nan'),
    ):
        with pytest.raises(ValueError, match=message):
            onnx_model.infer([good, bad])
    assert onnx_model.infer([]) == []


def test_another_file_is_refused_with_the_cure(exported, tmp_path):
    other = tmp_path / 'other.onnx'
    other.write_bytes(b'no graph')
    with pytest.raises(ValueError, match=r'other\.onnx: onnxruntime cannot run it'):
        OnnxModel(other)
    proto = onnx.load(str(exported[1]))
    del proto.metadata_props[:]
    onnx.save(proto, str(other))
    with pytest.raises(ValueError, match='format None is not 1; export the checkpoint with unsct'):
        OnnxModel(other)


def test_a_pipeline_that_cannot_be_repeated_is_refused(make):
    config, checkpoint, out = make()
    config.write_text(
        config.read_text().replace("dict(type='LoadRadiograph')", "dict(type='LoadImage')")
    )
    with pytest.raises(ValueError, match=r"test_dataloader.dataset.pipeline is \['LoadImage'"):
        export_onnx(ExportRequest(config, checkpoint, out))
    assert not out.exists()


def test_a_graph_that_disagrees_is_not_written(make, exported, monkeypatch):
    config, checkpoint, out = make()
    monkeypatch.setattr(export, 'trace', lambda *_: exported[1].read_bytes())
    monkeypatch.setattr(export, 'score_difference', lambda *_: 0.5)
    with pytest.raises(RuntimeError, match='not written'):
        export_onnx(ExportRequest(config, checkpoint, out))
    assert not list(out.parent.glob('*.onnx'))


def test_images_that_are_spread_over_threads_come_back_in_order(exported):
    rng = np.random.default_rng(1)
    images = [rng.random((60 + 7 * k, 90), dtype=np.float32) for k in range(5)]
    alone = OnnxModel(exported[1], threads=1)
    spread = OnnxModel(exported[1], threads=3)
    for found, image in zip(spread.infer(images), images, strict=True):
        (expected,) = alone.infer([image])
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    images[3] = images[3] + 5
    with pytest.raises(ValueError, match='image 3 has values'):
        spread.infer(images)


def test_a_device_that_onnxruntime_lacks_is_refused_and_auto_takes_what_there_is(monkeypatch):
    import onnxruntime

    cuda, tensorrt = 'CUDAExecutionProvider', 'TensorrtExecutionProvider'
    there = ['CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: there)
    assert execution_providers('auto') == execution_providers('cpu') == [CPU]
    for device in ('cuda', 'tensorrt'):
        with pytest.raises(ValueError, match='onnxruntime-gpu'):
            execution_providers(device)
    there += [cuda, tensorrt]
    assert execution_providers('auto') == [(cuda, {'device_id': '0'}), CPU]
    assert execution_providers('cuda:1') == [(cuda, {'device_id': '1'}), CPU]
    assert [name for name, _ in execution_providers('tensorrt')[:2]] == [tensorrt, cuda]
    assert execution_providers('cpu') == [CPU]
    for device in ('gpu', 'cuda:x', ''):
        with pytest.raises(ValueError, match='unknown'):
            execution_providers(device)


# in a process without PyTorch, as users have it: each brings threads of its own
OPENVINO = """
import sys
from types import SimpleNamespace
import numpy as np
import openvino
import pytest
from unsct_mmpose.inference.onnx_model import OnnxModel

path = sys.argv[1]
images = list(np.random.default_rng(1).random((3, 96, 80), np.float32))
usual = OnnxModel(path, threads=2)
tolerances = {'openvino:f32': 1e-3, 'openvino:bf16': 0.5}
if 'BF16' not in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
    del tolerances['openvino:bf16']
for device, tolerance in tolerances.items():
    model = OnnxModel(path, threads=2, device=device)
    assert model.identity['runtime'] == device.replace(':', ' ')
    network = model._session._compile((1, 1, 64, 64))
    assert not network.get_property('ENABLE_CPU_PINNING')
    assert {**model.identity, 'runtime': None} == {**usual.identity, 'runtime': None}
    for fields, expected in zip(model.infer(images), usual.infer(images), strict=True):
        assert fields.keys() == expected.keys()
        np.testing.assert_allclose(
            fields['keypoint_scores'], expected['keypoint_scores'], rtol=0.05, atol=tolerance)
        if tolerance < 0.1:
            for name, atol in (('keypoints_visible', 0), ('keypoints', tolerance)):
                np.testing.assert_allclose(fields[name], expected[name], atol=atol)
    (alone,), batched = model.infer(images[1:2]), model.infer(images)[1]
    np.testing.assert_allclose(alone['keypoint_scores'], batched['keypoint_scores'], rtol=0.05)

without_bf16 = SimpleNamespace(get_property=lambda name: openvino.Type.f32)
type(model._session)._compile = lambda *_: without_bf16
with pytest.raises(ValueError, match='openvino:bf16: .* choose openvino or openvino:f32'):
    OnnxModel(path, device='openvino:bf16')
"""


needs_openvino = pytest.mark.skipif(not find_spec('openvino'), reason='openvino is not installed')


@needs_openvino
def test_openvino_has_the_network_and_the_decisions_stay(exported, run_python):
    run_python('-c', OPENVINO, exported[1])


def test_what_openvino_cannot_run_is_refused_with_the_cure(exported, tmp_path, monkeypatch):
    _, path = exported
    with pytest.raises(ValueError, match=r"precision 'f16' .*f32.*bf16"):
        OnnxModel(path, device='openvino:f16')
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(ValueError, match=r'needs openvino: pip install .*\[openvino\]'):
        OnnxModel(path, device='openvino')
    monkeypatch.setitem(sys.modules, 'openvino', object())
    proto = onnx.load(path)
    (maps,) = (output for output in proto.graph.output if output.name == MAPS)
    proto.graph.output.remove(maps)
    onnx.save(proto, tmp_path / 'old.onnx')
    with pytest.raises(ValueError, match=r'old\.onnx: no output .maps.*unsct export'):
        OnnxModel(tmp_path / 'old.onnx', device='openvino')
    assert OnnxModel(tmp_path / 'old.onnx', threads=1).infer([np.zeros((64, 64), np.float32)])


ONE_BY_ONE = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from unsct_mmpose.inference.onnx_model import OnnxModel

session = OnnxModel(sys.argv[1], threads=2, device='openvino:f32')._session
running, together = [], []

class Request:
    def infer(self, inputs):
        running.append(self)
        together.append(len(running))
        time.sleep(0.05)
        running.remove(self)
        return inputs

    def create_infer_request(self):
        return self

session._compile = lambda shape: Request()
image = np.zeros((1, 1, 64, 64), np.float32)
with ThreadPoolExecutor(3) as pool:
    list(pool.map(lambda _: session._infer(image), range(3)))
    assert together == [1, 1, 1]
    list(pool.map(lambda _: session._infer(image), range(3)))
assert max(together) > 1  # once they run, they run side by side
"""


@needs_openvino
def test_openvino_is_first_called_by_one_thread_alone(exported, run_python):
    run_python('-c', ONE_BY_ONE, exported[1])


def test_a_single_run_is_made_by_the_caller_whose_context_a_device_keeps(exported, monkeypatch):
    model, callers = OnnxModel(exported[1], threads=2), []
    infer = model._infer_batch
    monkeypatch.setattr(
        model, '_infer_batch', lambda *args: callers.append(get_ident()) or infer(*args)
    )
    image = np.zeros((64, 64), np.float32)
    model.infer([image])
    assert callers == [get_ident()]
    model.infer([image, image])
    assert get_ident() not in callers[1:]
