"""Exported models: onnxruntime, numpy and OpenCV, no torch, no OpenMMLab."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsct_mmpose.anatomy import HIP, landmark_set
from unsct_mmpose.anatomy.records import USUAL_DECIDERS
from unsct_mmpose.cores import allowed_cores
from unsct_mmpose.functional.crop import Crop, crop_whole_image, cut_out, grey_levels

from .model_identity import calibration_identity, evidences_identity, landmarks_identity
from .openvino_session import MAPS, OpenVinoSession

CPU = 'CPUExecutionProvider'
_PROVIDERS = dict(cuda='CUDAExecutionProvider', tensorrt='TensorrtExecutionProvider')

_DECODED_TOGETHER = 4

FORMAT = 1
"""Version of the metadata and of the outputs."""

_NEEDED = (
    'landmark_names',
    'calibration',
    'preprocessing',
    'measurement_names',
    'interval_scales',
    'weights_sha256',
)

_IDENTITY = (
    'weights_sha256', 'landmark_names', 'measurement_names', 'config', 'flip_test', 'quantize',
    'unsct_mmpose', 'notice',
)  # fmt: skip


class OnnxModel:
    """A model that ``unsct export`` wrote.

    On the processor several images are spread over the threads, one in each, which keeps the cores
    busier than one image in all of them; the weights are then held twice.

    Args:
        path: the ONNX file.
        threads: processor cores to use; None takes all that are free.
        batch_size: images in one run of the graph; None: 1 on the processor, 16 elsewhere, and
            with OpenVINO up to 4, which are decoded together.
        device: ``'cpu'``; ``'cuda'``, ``'cuda:1'`` or ``'tensorrt'``, where onnxruntime has them;
            ``'auto'``, CUDA where onnxruntime has it; ``'openvino'``, the processor with OpenVINO,
            in bfloat16 where it has instructions for it, ``'openvino:f32'`` and
            ``'openvino:bf16'``.

    Attributes:
        identity: what answered, as :class:`~unsct_mmpose.report.prediction.Backend` has it, and
            ``sha256`` of the file, ``landmark_names``, ``measurement_names``, ``quantize``,
            ``notice`` and ``calibrated``; ``runtime`` where OpenVINO has the network, with its
            precision.
        landmarks: the K landmarks; the hip's in a file that only names them.
        metadata: everything that the file says about itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a model, or there is no such device; the message says what is
            missing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        batch_size: int | None = None,
        device: str = 'cpu',
    ) -> None:
        content = Path(path).read_bytes()
        self.path, self.threads, self.device = os.fspath(path), threads or allowed_cores(), device
        self._openvino = device.partition(':')[0] == 'openvino'
        self._providers = [CPU] if self._openvino else execution_providers(device)
        self.on_cpu = self._providers == [CPU]
        self._session = self._open(content)
        self.metadata = read_metadata(self._session, self.path)
        self.landmarks = landmark_set(self.metadata.get('landmarks') or HIP)
        self.batch_size = batch_size
        calibration = self.metadata['calibration']
        self.identity: dict[str, Any] = dict(
            {name: self.metadata.get(name) for name in _IDENTITY},
            backend='onnx',
            name=Path(path).name,
            sha256=hashlib.sha256(content).hexdigest(),
            input_size=self.metadata['preprocessing']['input_size_wh'],
            calibrated=calibration is not None,
            **landmarks_identity(self.landmarks),
            **evidences_identity(self.metadata.get('evidences') or USUAL_DECIDERS),
            **calibration_identity(calibration),
        )
        if self._openvino:
            width, height = self.identity['input_size']
            precision = self._session.precision((1, 1, height, width))
            self.identity['runtime'] = f'openvino {precision}'

    def infer(self, images: Sequence[NDArray[np.floating]]) -> list[dict[str, Any]]:
        """Find the landmarks of radiographs and decide which of them each one shows.

        Args:
            images: ``(H, W)`` arrays in [0, 1], bone bright, of any size, as
                :func:`unsct_mmpose.dicom.read_radiograph` gives them.

        Returns:
            For each image the fields of :meth:`unsct_mmpose.codecs.HeatmapPAF.decode_maps`, without
            their leading 1 and in image pixels: keypoints ``(K, 2)``, keypoint_scores,
            keypoint_uncertainties, keypoints_visible, keypoint_presence, keypoint_support
            ``(K,)``, keypoint_covariances ``(K, 2, 2)``, keypoint_evidences and
            keypoint_decisions ``(K, 3)``, interval_scales and interval_offsets ``(M,)``,
            error_correlation ``(2 K, 2 K)``, image_state, calibrated.

        Raises:
            ValueError: an image is no such array, or the network gives NaN for it; the message
                says which.
        """
        size = self.batch_size or self._usual_batch_size(len(images))
        starts = range(0, len(images), size)
        batches = [images[start : start + size] for start in starts]
        if not self.on_cpu or self.threads == 1 or len(starts) == 1:
            runs = list(map(partial(self._infer_batch, self._session), batches, starts))
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                runs = list(pool.map(partial(self._infer_batch, self._one_thread), batches, starts))
        return [fields for run in runs for fields in run]

    def _usual_batch_size(self, images: int) -> int:
        if not self.on_cpu:
            return 16
        share = -(-images // self.threads)
        return max(min(share, _DECODED_TOGETHER), 1) if self._openvino else 1

    @cached_property
    def _one_thread(self) -> Any:
        """A session whose runs take one thread each; several may run at a time."""
        return self._open(Path(self.path).read_bytes(), self.threads)

    def _open(self, content: bytes, streams: int = 1) -> Any:
        """Return a session whose runs, so many at a time, share the threads."""
        if not self._openvino:
            return open_session(content, self.threads // streams, self.path, self._providers)
        precision = self.device.partition(':')[2]
        return OpenVinoSession(content, self.threads, streams, precision, self.path)

    def _infer_batch(
        self, session: Any, images: Sequence[NDArray[np.floating]], start: int
    ) -> list[dict[str, Any]]:
        inputs, frames = self.prepare(images, start)
        names = [output.name for output in session.get_outputs() if output.name != MAPS]
        columns = dict(zip(names, session.run(names, {'image': inputs}), strict=True))
        _refuse_diverged(columns.pop('finite'), start)
        return [
            self._in_image({name: values[row] for name, values in columns.items()}, frame)
            for row, frame in enumerate(frames)
        ]

    def prepare(
        self, images: Sequence[NDArray[np.floating]], start: int = 0
    ) -> tuple[NDArray[np.float32], list[Crop]]:
        """Return the ``(N, 1, h, w)`` input of the graph, and which part of each image it is.

        Args:
            images: ``(H, W)`` arrays in [0, 1].
            start: number of the first one, for messages.
        """
        width, height = self.metadata['preprocessing']['input_size_wh']
        padding = self.metadata['preprocessing']['padding']
        inputs = np.empty((len(images), 1, height, width), np.float32)
        frames = []
        for row, image in enumerate(images):
            _refuse_unreadable(image, start + row)
            frame = crop_whole_image(image.shape[::-1], (width, height), padding)
            inputs[row, 0] = cut_out(grey_levels(image), frame)
            frames.append(frame)
        return inputs, frames

    def _in_image(self, row: dict[str, NDArray[Any]], frame: Crop) -> dict[str, Any]:
        pixel = frame.pixel_xy
        row['keypoints'] = frame.to_image(row['keypoints'])
        row['keypoint_covariances'] = row['keypoint_covariances'] * np.outer(pixel, pixel)
        scales = self.metadata['interval_scales']  # json has null for infinity
        row['interval_scales'] = np.array([np.inf if scale is None else scale for scale in scales])
        offsets, correlation = map(self.metadata.get, ('interval_offsets', 'error_correlation'))
        row['interval_offsets'] = np.zeros(len(scales)) if offsets is None else np.array(offsets)
        row['error_correlation'] = (
            np.eye(2 * len(self.landmarks)) if correlation is None else np.array(correlation)
        )
        row['calibrated'] = np.bool_(self.metadata['calibration'] is not None)
        return row


def execution_providers(device: str) -> list[Any]:
    """Return what onnxruntime is to run a graph on, the processor last.

    Args:
        device: see :class:`OnnxModel`.

    Raises:
        ValueError: there is no such device, or this onnxruntime cannot use it.
    """
    import onnxruntime

    kind, _, number = device.partition(':')
    there = onnxruntime.get_available_providers()
    if kind == 'cpu' or (kind == 'auto' and _PROVIDERS['cuda'] not in there):
        return [CPU]
    kind = 'cuda' if kind == 'auto' else kind
    if kind not in _PROVIDERS or not (number or '0').isdecimal():
        raise ValueError(
            f'device {device!r} is unknown: choose auto, cpu, cuda, cuda:1, tensorrt, openvino'
        )
    if _PROVIDERS[kind] not in there:
        raise ValueError(
            f'device {device!r}: this onnxruntime has only {", ".join(there)}; install '
            'onnxruntime-gpu, or take --device cpu'
        )
    names = ('tensorrt', 'cuda') if kind == 'tensorrt' else ('cuda',)  # CUDA where TensorRT cannot
    chosen = [(_PROVIDERS[name], {'device_id': number or '0'}) for name in names]
    return [*chosen, CPU]


def open_session(
    content: bytes,
    threads: int | None = None,
    path: str = 'the graph',
    providers: Sequence[Any] = (CPU,),
) -> Any:
    """Return an onnxruntime session.

    Args:
        content: a serialised ONNX graph.
        threads: processor cores to use; None takes all.
        path: where it is from, for messages.
        providers: what to run it on, see :func:`execution_providers`.

    Raises:
        ValueError: onnxruntime cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # onnxruntime has an exception of its own for each cause
        reason = str(error).splitlines()[0][:200]
        raise ValueError(f'{path}: onnxruntime cannot run it ({reason})') from None


def read_metadata(session: Any, path: str) -> dict[str, Any]:
    """Return what a model says about itself.

    Raises:
        ValueError: it was not written by ``unsct export``, or by another version of it.
    """
    cure = 'export the checkpoint with unsct export'
    stored = session.get_modelmeta().custom_metadata_map
    metadata = {name: _json(text) for name, text in stored.items()}
    if metadata.get('format') != FORMAT:
        raise ValueError(
            f'{path}: metadata format {metadata.get("format")!r} is not {FORMAT}; {cure}'
        )
    missing = [name for name in _NEEDED if name not in metadata]
    if missing:
        raise ValueError(f'{path}: metadata lacks {", ".join(missing)}; {cure}')
    return metadata


def _json(text: str) -> Any:
    """Return what a json text says; None for the metadata of other tools, which is no json."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _refuse_unreadable(image: NDArray[Any], number: int) -> None:
    shape = np.shape(image)
    if len(shape) != 2 or 0 in shape or not np.issubdtype(image.dtype, np.floating):
        kind = getattr(image, 'dtype', type(image).__name__)
        raise ValueError(
            f'image {number} is {kind} of shape {shape}: give (H, W) floats in [0, 1], such as '
            'read_radiograph(path).pixels'
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # NaN too
        raise ValueError(f'image {number} has values from {low:g} to {high:g}: scale it to [0, 1]')


def _refuse_diverged(finite: NDArray[np.bool_], start: int) -> None:
    if not finite.all():
        raise ValueError(
            f'the maps of image {start + int(np.argmin(finite))} hold NaN or infinity: the network '
            'has diverged; export another checkpoint'
        )
