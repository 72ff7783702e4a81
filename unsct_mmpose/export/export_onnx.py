"""Write a model, its decoding and its calibration as one ONNX file."""

from __future__ import annotations

import inspect
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import NDArray

import unsct_mmpose
from unsct_mmpose.calibrate.evidence_table import build_dataset, load_model
from unsct_mmpose.calibrate.fit import weights_hash
from unsct_mmpose.datasets.data_settings import pipeline_settings
from unsct_mmpose.files import jsonable, replace_file
from unsct_mmpose.functional.clinical import measurement_names
from unsct_mmpose.inference.onnx_model import FORMAT, open_session
from unsct_mmpose.inference.openvino_session import INPUT, MAPS
from unsct_mmpose.maps.deciders import DECIDERS
from unsct_mmpose.maps.regions import error_correlations, interval_offsets, interval_scales

from .lean_graph import lean
from .onnx_graph import OUTPUTS, LandmarkGraph
from .quantize_onnx import quantize

OPSET, OLD_OPSET = 18, 16
"""The second for PyTorch < 2.5: 2.0 writes a maximum of opset 18 wrongly, and of opset 17 a
normalisation over one value, which onnxruntime refuses."""

NOTICE = (
    'Research software, not a medical device. Nothing it says is a diagnosis. What it was '
    'trained on decides what it can see.'
)
STRIDE_LIMIT = 32
"""Height and width of the input are multiples of this."""

SCORE_TOLERANCE = 1e-3
"""Largest difference of a heatmap's peak between PyTorch and the written graph."""

RANGE_IMAGES = 24
"""Images that a static quantization takes its ranges from."""

_KNOWN_STEPS = ('LoadRadiograph', 'GetBBoxCenterScale', 'RadiographAffine', 'PackPoseInputs')


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        config: config of the model.
        checkpoint: its weights, calibrated or not.
        out: the ONNX file to write.
        quantize: one of :data:`~.quantize_onnx.QUANTIZATIONS`; None keeps float32.
        data: for ``'static'``: folder of images that the ranges are taken from; None takes that
            of the config's ``val_dataloader``.
        ann_file: annotation file in it; None takes the config's.
    """

    config: str | os.PathLike[str]
    checkpoint: str | os.PathLike[str]
    out: str | os.PathLike[str]
    quantize: str | None = None
    data: Path | None = None
    ann_file: str | None = None


def export_onnx(request: ExportRequest) -> dict[str, Any]:
    """Export a checkpoint; the file is written only if its graph says what PyTorch says.

    Args:
        request: what to export.

    Returns:
        ``nodes``, ``megabytes``, ``calibrated``, ``flip_test`` and ``quantize`` of what was
        written, and ``score_difference``, the largest difference of the float32 graph from PyTorch.

    Raises:
        ValueError: the config or the model is not one that can be exported.
        RuntimeError: the graph disagrees with PyTorch.
    """
    model, settings = load_model(request.config, request.checkpoint, 'cpu')
    preprocessing = describe_preprocessing(settings, model)
    graph = LandmarkGraph(model).eval()
    width, height = preprocessing['input_size_wh']
    content = trace(graph, _test_images(2, height, width))
    difference = score_difference(graph, content, _test_images(3, height, width))
    if not difference <= SCORE_TOLERANCE:
        raise RuntimeError(
            f'{request.out}: not written, its heatmap peaks differ from those of PyTorch by '
            f'{difference:.2g}; report this with the versions of torch and onnxruntime'
        )
    if request.quantize is not None:
        content = quantize(content, request.quantize, _range_inputs(settings, request))
    metadata = describe(graph, settings, preprocessing, request.quantize)
    content, nodes = add_metadata(content, metadata)
    Path(request.out).parent.mkdir(parents=True, exist_ok=True)
    replace_file(request.out, content)
    return dict(
        nodes=nodes,
        megabytes=round(len(content) / 2**20, 2),
        calibrated=graph.codec.calibration is not None,
        flip_test=graph.flip_test,
        quantize=request.quantize,
        score_difference=difference,
    )


def _range_inputs(settings: Config, request: ExportRequest) -> Iterator[NDArray[np.float32]]:
    """Yield inputs of the graph for a static quantization; built only when they are asked for."""
    dataset = build_dataset(settings, 'val', request.data, request.ann_file)
    for row in range(min(len(dataset), RANGE_IMAGES)):
        yield dataset[row]['inputs'][None, :1].float().numpy()


def trace(module: torch.nn.Module, example: torch.Tensor) -> bytes:
    """Return a module as a serialised ONNX graph for any batch, height and width.

    Args:
        module: from one ``(N, C, H, W)`` tensor to the tensors of :data:`OUTPUTS`.
        example: such a tensor; N at least 2.
    """
    axes = {name: {0: 'batch'} for name in (INPUT, *OUTPUTS)}
    axes[INPUT].update({2: 'height', 3: 'width'})
    axes[MAPS].update({2: 'map_height', 3: 'map_width'})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        # checks of shapes and of NaN become constants, which the tests of other sizes cover
        warnings.simplefilter('ignore')
        path = Path(folder) / 'graph.onnx'
        # the tracing exporter: seconds, where torch.export takes minutes on an HRNet
        known = inspect.signature(torch.onnx.export).parameters
        dynamo: dict[str, Any] = {'dynamo': False} if 'dynamo' in known else {}
        torch.onnx.export(
            module,
            (example,),
            str(path),
            **dynamo,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET if dynamo else OLD_OPSET,
        )
        return lean(path.read_bytes())


def add_metadata(content: bytes, metadata: Mapping[str, str]) -> tuple[bytes, int]:
    """Return an ONNX file with metadata, checked, and the number of its nodes."""
    import onnx

    proto = onnx.load_from_string(content)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, dict(metadata))
    proto.producer_name, proto.producer_version = 'unsct_mmpose', unsct_mmpose.__version__
    proto.doc_string = NOTICE
    onnx.checker.check_model(proto)
    return proto.SerializeToString(), len(proto.graph.node)


def describe(
    graph: LandmarkGraph, settings: Config, preprocessing: Mapping, quantized: str | None = None
) -> dict[str, str]:
    """Return the metadata of a graph, each value a json text."""
    codec, calibration = graph.codec, graph.calibration
    landmarks = codec.landmarks
    values = dict(
        format=FORMAT,
        unsct_mmpose=unsct_mmpose.__version__,
        config=Path(settings.filename or '').name,
        landmarks=landmarks.to_dict(),
        landmark_names=landmarks.names,
        evidences=tuple(DECIDERS),
        relations=codec.evidence_relations.name,
        relation_pairs=codec.evidence_relations.pairs,
        calibration=None if calibration is None else calibration.to_dict(),
        decision=vars(graph.decision),
        reading=vars(codec.reading),
        preprocessing=preprocessing,
        flip_test=graph.flip_test,
        quantize=quantized,
        measurement_names=measurement_names(landmarks),
        interval_scales=interval_scales(calibration, landmarks).tolist(),
        interval_offsets=interval_offsets(calibration, landmarks).tolist(),
        error_correlation=None
        if calibration is None or calibration.correlation is None
        else error_correlations(calibration).tolist(),
        weights_sha256=weights_hash(graph.model.state_dict()),
        licence='Apache-2.0 (code); the weights carry the terms of what they were trained on',
        notice=NOTICE,
    )
    return {name: json.dumps(jsonable(value), allow_nan=False) for name, value in values.items()}


def describe_preprocessing(settings: Config, model: Any) -> dict[str, Any]:
    """Say how a config turns a radiograph into the input of its network.

    Raises:
        ValueError: its test pipeline does something that the graph's user would not do.
    """
    steps = {step['type']: step for step in pipeline_settings(settings.test_dataloader.dataset)}
    codec = getattr(model.head, 'decoder', None)
    size = tuple(getattr(codec, 'input_size', ()))
    udp = getattr(codec, 'use_udp', False) or steps.get('RadiographAffine', {}).get('use_udp')
    if tuple(steps) != _KNOWN_STEPS or udp:
        raise ValueError(
            f'test_dataloader.dataset.pipeline is {list(steps)}, use_udp={bool(udp)}: an exported '
            f'model is used with {list(_KNOWN_STEPS)} and use_udp=False; set these'
        )
    wanted = tuple(steps['RadiographAffine']['input_size'])
    if wanted != size or any(side % STRIDE_LIMIT for side in size):
        raise ValueError(
            f'input_size is {wanted} in the test pipeline and {size} in the codec: set the same '
            f'multiples of {STRIDE_LIMIT}'
        )
    normal = model.data_preprocessor
    mean, std = (
        getattr(normal, name).flatten().tolist() if normal._enable_normalize else default
        for name, default in (('mean', [0.0] * 3), ('std', [1.0] * 3))
    )
    return dict(
        input='(N, 1, H, W) float32, grey levels 0 to 255 as whole numbers, bone bright',
        input_size_wh=size,
        multiple_of=STRIDE_LIMIT,
        padding=float(steps['GetBBoxCenterScale'].get('padding', 1.25)),
        affine='the whole image times padding, centred, extended with black to the proportions of '
        'the input; box average over 2 floor(s / 2) + 1 image pixels, s image pixels for each '
        'input pixel; bilinear; input (x - w / 2) = (image x - W / 2) / s, and y alike',
        inside_the_graph=dict(channels='grey repeated three times', mean=mean, std=std),
    )


def score_difference(graph: LandmarkGraph, content: bytes, images: torch.Tensor) -> float:
    """Return the largest difference of the heatmaps' peaks between PyTorch and a written graph."""
    with torch.no_grad():
        expected = graph(images)[OUTPUTS.index('keypoint_scores')].numpy()
    (scores,) = open_session(content).run(['keypoint_scores'], {INPUT: images.numpy()})
    return float(np.abs(scores - expected).max())


def _test_images(count: int, height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(0, 255, (count, 1, height, width)).astype(np.float32))
