"""Data preprocessor ``BatchDataPreprocessor``: one copy to the device for each kind of thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class BatchDataPreprocessor(PoseDataPreprocessor):
    """MMPose's preprocessor, by the batch instead of by the image.

    MMPose's copies every image and every label of every image to the device by itself, waits for
    each, and normalises image by image: of 16 images some 80 copies and 100 kernels. Here images
    and each kind of label are put together first and go over in one copy each, from page-locked
    memory, while the device computes. What comes out is the same, number by number. Works best
    with ``collate_fn=dict(type='default_collate')`` and ``pin_memory=True`` of the data loader.

    Args:
        bgr_to_rgb: turn the channels around.
        rgb_to_bgr: the same.
        **kwargs: see ``PoseDataPreprocessor``.
    """

    def __init__(self, bgr_to_rgb: bool = False, rgb_to_bgr: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.turns_channels = bgr_to_rgb or rgb_to_bgr

    def cast_data(self, data: Any) -> Any:
        """Bring a batch to the device.

        Args:
            data: ``inputs``, images of one size as a list or ``(B, 3, H, W)``, and
                ``data_samples``; anything else goes the way of the base class.
        """
        if not isinstance(data, Mapping) or 'inputs' not in data:
            return super().cast_data(data)
        inputs, samples = data['inputs'], data.get('data_samples')
        if not isinstance(inputs, Tensor) and len({image.shape for image in inputs}) == 1:
            inputs = torch.stack(list(inputs))
        if isinstance(inputs, Tensor):
            moved = self._move(inputs)
            moved = moved.flip(1) if self.turns_channels else moved
        else:
            moved = super().cast_data(inputs)
            moved = [image.flip(0) for image in moved] if self.turns_channels else moved
        return {**data, 'inputs': moved, 'data_samples': self._move_samples(samples)}

    def _move(self, tensor: Tensor) -> Tensor:
        if self.device.type == 'cuda' and tensor.device.type == 'cpu' and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _move_samples(self, samples: Sequence[Any] | None) -> Any:
        """Return the samples with their labels on the device, each kind of label by one copy."""
        if not samples or any('gt_instance_labels' not in sample for sample in samples):
            return super().cast_data(samples)
        labels = [sample.gt_instance_labels for sample in samples]
        together = {
            name: self._move(torch.stack([label[name] for label in labels]))
            for name, first in labels[0].items()
            if isinstance(first, Tensor)
            and len({getattr(label.get(name), 'shape', None) for label in labels}) == 1
        }
        moved = []
        for index, (sample, label) in enumerate(zip(samples, labels, strict=True)):
            rest = {name: value for name, value in sample.items() if name != 'gt_instance_labels'}
            other = {name: value for name, value in label.items() if name not in together}
            new = type(sample)(metainfo=dict(sample.metainfo_items()))
            for name, value in rest.items():
                new.set_field(self._to_device(value), name)
            new.gt_instance_labels = InstanceData(
                metainfo=dict(label.metainfo_items()),
                **{name: self._to_device(value) for name, value in other.items()},
                **{name: tensor[index] for name, tensor in together.items()},
            )
            moved.append(new)
        return moved

    def _to_device(self, value: Any) -> Any:
        return value.to(self.device, non_blocking=True) if hasattr(value, 'to') else value
