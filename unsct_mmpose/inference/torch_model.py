"""Inference with MMPose: ``UNSCTInferencer`` and the PyTorch backend below it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import unsct_mmpose.register

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from numpy.typing import NDArray

import unsct_mmpose
from unsct_mmpose.calibrate.evidence_table import load_model
from unsct_mmpose.calibrate.fit import weights_hash
from unsct_mmpose.datasets.data_settings import pipeline_settings
from unsct_mmpose.engine.device import AUTO
from unsct_mmpose.functional.crop import grey_levels
from unsct_mmpose.maps.deciders import DECIDERS
from unsct_mmpose.report.prediction import FIELDS

from .inferencer import Inferencer
from .model_identity import calibration_identity, evidences_identity, landmarks_identity


class UNSCTInferencer(Inferencer):
    """Find the landmarks of radiographs with a config and a checkpoint.

    Args:
        config: config of the model.
        checkpoint: its weights, with their calibration if ``unsct calibrate`` has made one.
        device: ``'auto'`` (CUDA where there is any), ``'cpu'``, ``'cuda'`` or ``'cuda:1'``.
        batch_size: radiographs that the model reads at a time.

    Example::

        inferencer = UNSCTInferencer('configs/unsct_hrnet_tha.py', 'best.pth')
        prediction = inferencer('hip.dcm')
        prediction['left_center_edge_angle_deg'].value
        for prediction in inferencer(path for path in Path('study').glob('*.dcm')):
            print(prediction.image.file_name, prediction.image_words)
    """

    def __init__(
        self,
        config: str | os.PathLike[str],
        checkpoint: str | os.PathLike[str],
        device: str = AUTO,
        *,
        batch_size: int = 8,
    ) -> None:
        super().__init__(TorchBackend(config, checkpoint, device), batch_size=batch_size)


class TorchBackend:
    """A pose estimator of MMPose as a :class:`~unsct_mmpose.report.prediction.Backend`.

    Radiographs pass the config's own test pipeline, so that the results are those of
    ``tools/test.py``.

    Args:
        config: config of the model.
        checkpoint: its weights.
        device: as for :class:`UNSCTInferencer`.

    Attributes:
        landmarks: the K landmarks.

    Raises:
        ValueError: the model's head has no uncertainties to give, or there is no such device.
    """

    def __init__(
        self,
        config: str | os.PathLike[str],
        checkpoint: str | os.PathLike[str],
        device: str = AUTO,
    ) -> None:
        self.model, settings = load_model(config, checkpoint, device)
        codec = getattr(self.model.head, 'decoder', None)
        if not hasattr(codec, 'calibration'):
            raise ValueError(
                f'{config}: its head has no HeatmapPAF decoder; give a config with HeatmapPAFHead'
            )
        self.landmarks = codec.landmarks
        self.pipeline = Compose(pipeline_settings(settings.test_dataloader.dataset))
        self.identity = _identity(self.model, codec, Path(config), Path(checkpoint))
        # convolutions take 0.7 to 0.8 of the time so on a processor
        self.model.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def infer(self, images: Sequence[NDArray[np.float32]]) -> list[dict[str, Any]]:
        """Infer; see :class:`~unsct_mmpose.report.prediction.Backend`."""
        if not images:
            return []
        batch = pseudo_collate([self.pipeline(self._sample(image)) for image in images])
        return [_fields(sample.pred_instances) for sample in self.model.test_step(batch)]

    def _sample(self, pixels: NDArray[np.float32]) -> dict[str, Any]:
        height, width = pixels.shape
        return dict(
            img=grey_levels(pixels),
            bbox=np.array([[0, 0, width, height]], dtype=np.float32),
            bbox_score=np.ones(1, dtype=np.float32),
            **self.model.dataset_meta,
        )


def _fields(instances: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {name: np.asarray(instances[name])[0] for name in FIELDS}
    fields.update(image_state=int(fields['image_state']), calibrated=bool(fields['calibrated']))
    return fields


def _identity(model: Any, codec: Any, config: Path, checkpoint: Path) -> dict[str, Any]:
    calibration = codec.calibration
    return dict(
        backend='pytorch',
        name=checkpoint.name,
        config=config.name,
        weights_sha256=weights_hash(model.state_dict()),
        input_size=list(codec.input_size),
        flip_test=bool(model.test_cfg.get('flip_test', False)),
        unsct_mmpose=unsct_mmpose.__version__,
        **landmarks_identity(codec.landmarks),
        **evidences_identity(DECIDERS),
        **calibration_identity(calibration and calibration.to_dict()),
    )
