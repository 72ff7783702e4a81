"""What is wrong with a pipeline as a whole, said before it trains anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import CenterCrop, RandomChoiceResize, RandomFlip, RandomResize, Resize
from mmpose.datasets.transforms import GenerateTarget, TopdownAffine

from .carry_landmarks import CarryLandmarks

_MOVING = (Resize, RandomResize, RandomChoiceResize, CenterCrop, RandomFlip)


def check_pipeline(steps: Sequence[Any]) -> None:
    """Refuse a pipeline in which landmarks would not stay where they belong.

    Args:
        steps: built transforms.

    Raises:
        ValueError: a transform of mmcv moves the image alone, two transforms make the input, or
            affine map and codec differ in ``use_udp``; the message names them and the cure.
    """
    affine: Any = None
    for step in steps:
        name = type(step).__name__
        if isinstance(step, _MOVING):
            cure = "put it into dict(type='CarryLandmarks', transforms=[...])"
            if isinstance(step, RandomFlip):
                cure = "take MMPose's own, type='mmpose.RandomFlip'"
            raise ValueError(
                f"mmcv's {name} moves the image and leaves MMPose's keypoints behind: {cure}"
            )
        if isinstance(step, (TopdownAffine, CarryLandmarks)):
            if affine is not None:
                raise ValueError(
                    f'{name} comes after {type(affine).__name__}, which has made the input '
                    'already: leave one of them out'
                )
            affine = step
        if isinstance(step, GenerateTarget) and affine is not None:
            _check_udp(affine, step)


def _check_udp(affine: Any, target: GenerateTarget) -> None:
    wanted = bool(getattr(affine, 'use_udp', False))
    encoders = target.encoder if isinstance(target.encoder, list) else [target.encoder]
    for encoder in encoders:
        if getattr(encoder, 'use_udp', wanted) != wanted:
            raise ValueError(
                f'{type(affine).__name__} has use_udp={wanted} and {type(encoder).__name__} '
                f'use_udp={encoder.use_udp}: give both the same, for training, test and the '
                "decoder of the head, or landmarks come back up to a pixel of the network's input "
                'off'
            )
