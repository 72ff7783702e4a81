"""An exported model whose network OpenVINO runs: on some processors four times as fast."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISIONS = ('f32', 'bf16')

INPUT, MAPS = 'image', 'maps'

_STARTING = threading.Lock()


class OpenVinoSession:
    """What :class:`~.onnx_model.OnnxModel` uses of an onnxruntime session, cut in two at the maps.

    OpenVINO has the network, onnxruntime has what follows, in float32: of a coordinate bfloat16
    keeps eight bits, a quarter of a cell. Runs may be made from several threads.

    Args:
        content: a serialised ONNX graph of ``unsct export``.
        threads: processor cores to use.
        streams: runs at a time, each on its share of the threads.
        precision: of the network, one of :data:`PRECISIONS`; empty leaves it to OpenVINO, which
            takes bfloat16 where the processor has instructions for it.
        path: where the graph is from, for messages.

    Raises:
        ValueError: OpenVINO or onnx is not installed, the precision is unknown, or the graph does
            not say where its maps are; the message has the cure.
    """

    def __init__(
        self,
        content: bytes,
        threads: int,
        streams: int = 1,
        precision: str = '',
        path: str = 'the graph',
    ) -> None:
        if precision not in ('', *PRECISIONS):
            raise ValueError(f'precision {precision!r} is unknown: choose from {PRECISIONS}')
        network, self._judge = _cut(content, path)
        import openvino

        self._core, self._network = openvino.Core(), network
        self._settings: dict[str, Any] = dict(
            INFERENCE_NUM_THREADS=threads,
            NUM_STREAMS=streams,
            PERFORMANCE_HINT='LATENCY',
            # else two processes keep to the same cores, and a busy core is waited for
            ENABLE_CPU_PINNING=False,
        )
        if precision:
            self._settings['INFERENCE_PRECISION_HINT'] = precision
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._idle: dict[tuple[int, ...], list[Any]] = defaultdict(list)

    def get_modelmeta(self) -> Any:
        """Return what onnxruntime says about the file."""
        return self._judge.get_modelmeta()

    def get_outputs(self) -> Any:
        """Return the outputs that :meth:`run` has."""
        return self._judge.get_outputs()

    def precision(self, shape: tuple[int, ...]) -> str:
        """Return the precision that the network is run in, for inputs of a shape.

        Raises:
            ValueError: it is not the one that was asked for.
        """
        with _STARTING:
            chosen = self._compile((1, *shape[1:])).get_property('INFERENCE_PRECISION_HINT')
        has = str(chosen.get_type_name())
        asked = self._settings.get('INFERENCE_PRECISION_HINT', has)
        if asked != has:
            raise ValueError(
                f'device openvino:{asked}: OpenVINO runs {has} on this processor; '
                f'choose openvino or openvino:{has}'
            )
        return has

    def run(
        self, names: Sequence[str], inputs: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[Any]]:
        """Return the outputs of these names for ``inputs['image']``, ``(N, 1, H, W)``."""
        image = inputs[INPUT]
        # one by one: a compiled network is for one shape, and larger batches are no faster here
        maps = np.concatenate([self._infer(image[row : row + 1]) for row in range(len(image))])
        found: list[NDArray[Any]] = self._judge.run(list(names), {INPUT: image, MAPS: maps})
        return found

    def _infer(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        idle = self._idle[image.shape]
        try:
            request = idle.pop()
        except IndexError:
            # OpenVINO's Python part sets itself up at its first run, and two of them at a time wait
            # for each other for ever, one with its lock and one with the interpreter's
            with _STARTING:
                request = self._compile(image.shape).create_infer_request()
                maps = np.array(request.infer([image])[0])
        else:
            maps = np.array(request.infer([image])[0])
        idle.append(request)
        return maps

    def _compile(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._compiled:
            model = self._core.read_model(self._network)
            model.reshape(list(shape))
            self._compiled[shape] = self._core.compile_model(model, 'CPU', self._settings)
        return self._compiled[shape]


def _cut(content: bytes, path: str) -> tuple[bytes, Any]:
    """Return the network of a graph, and an onnxruntime session of what follows it."""
    from .onnx_model import open_session

    try:
        import onnx.utils
        import openvino  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"device openvino needs {error.name}: pip install -e '.[openvino]'"
        ) from None
    proto = onnx.load_from_string(content)
    outputs = [output.name for output in proto.graph.output]
    if MAPS not in outputs:
        raise ValueError(
            f'{path}: no output {MAPS!r} says where its network ends; export the checkpoint again '
            'with unsct export'
        )
    outputs.remove(MAPS)
    parts = onnx.utils.Extractor(proto)
    judge = parts.extract_model([INPUT, MAPS], outputs)
    stored = {item.key: item.value for item in proto.metadata_props}
    onnx.helper.set_model_props(judge, stored)
    network = parts.extract_model([INPUT], [MAPS]).SerializeToString()
    return network, open_session(
        judge.SerializeToString(), 1, path
    )  # threads wait for work at others' cost
