"""What the network's maps say about each landmark: where it is, how wide, how well supported.

Everything here is read from the maps of one forward pass, without any calibration; only how noisy
the image is must be measured on the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .heatmap import refine_peaks, refuse_unreadable, widened
from .moments import local_moments
from .paf import Relations, segment_alignment
from .uncertainty import landmark_alignment

_BLOCK = 4


class Peaks(NamedTuple):
    """The strongest places of each heatmap, the strongest first.

    Attributes:
        points: ``(B, K, M, 2)`` whole cells.
        values: ``(B, K, M)`` heatmap values there.
    """

    points: Tensor
    values: Tensor


def find_peaks(heatmaps: Tensor, count: int = 3, radius: float = 6.0) -> Peaks:
    """Find the highest cells that lie farther than ``radius`` from each other.

    Args:
        heatmaps: ``(B, K, H, W)``, finite.
        count: M; where a map has fewer places, the last ones repeat its first with value 0.
        radius: distance within which a cell belongs to a stronger peak, cells.

    Example:
        >>> maps = torch.zeros(1, 1, 16, 16)
        >>> maps[0, 0, 3, 4], maps[0, 0, 3, 5], maps[0, 0, 12, 10] = 1.0, 0.9, 0.5
        >>> peaks = find_peaks(maps, 2)
        >>> peaks.points.tolist(), peaks.values.tolist()
        ([[[[4.0, 3.0], [10.0, 12.0]]]], [[[1.0, 0.5]]])
    """
    maps = widened(heatmaps)
    height, width = maps.shape[-2:]
    block = _BLOCK if height % _BLOCK == 0 and width % _BLOCK == 0 else 1
    tall, wide = height // block, width // block
    tops = maps.reshape(*maps.shape[:2], tall, block, width).amax(dim=3)  # rows, then columns: fast
    tops = tops.reshape(*maps.shape[:2], tall * wide, block).amax(dim=3)
    flat = maps.flatten(2)
    step = torch.arange(block, device=maps.device)
    offsets = (step[:, None] * width + step).flatten()
    number = torch.arange(tall * wide, device=maps.device)
    corner_x, corner_y = (number % wide) * block, (number // wide) * block
    points, values = [], []
    for _ in range(count):
        value, which = tops.max(dim=-1)
        cells = (corner_y[which] * width + corner_x[which])[..., None] + offsets
        best = cells.gather(2, flat.gather(2, cells).argmax(dim=-1, keepdim=True))[..., 0]
        y = torch.div(best, width, rounding_mode='floor')
        x = best - y * width
        points.append(torch.stack((x, y), dim=-1).to(maps.dtype))
        values.append(value)
        # a block belongs to this peak as soon as one of its cells is near
        half = (block - 1) / 2
        aside = ((corner_x + half - x[..., None]).abs() - half).clamp(min=0)
        below = ((corner_y + half - y[..., None]).abs() - half).clamp(min=0)
        tops = tops.masked_fill(aside**2 + below**2 <= radius**2, 0.0)
    spots, heights = torch.stack(points, dim=2), torch.stack(values, dim=2)
    empty = heights <= 0
    empty[..., 0] = False
    spots = torch.where(empty[..., None], spots[:, :, :1], spots)
    return Peaks(spots, torch.where(empty, torch.zeros_like(heights), heights))


@dataclass(frozen=True)
class DecodeOptions:
    """How maps are read; the same settings for training-time checks, test, export.

    Attributes:
        sigma: standard deviation of the training Gaussians, cells.
        refinement: sub-pixel method, see :func:`unsct_mmpose.maps.heatmap.refine_peaks`.
        samples: samples on a segment.
    """

    sigma: float = 2.0
    refinement: str = 'dark'
    samples: int = 16


@dataclass(frozen=True)
class Evidence:
    """What the maps of B images say about K landmarks.

    Attributes:
        points: ``(B, K, 2)`` landmarks, cells, sub-pixel.
        covariances: ``(B, K, 2, 2)`` second moments of the heatmap around them, cells squared.
        peak: ``(B, K)`` heatmap value of the chosen cell.
        rival: ``(B, K)`` highest value elsewhere over the sum of both, 0 to 1/2 (above it when
            the stronger one was not chosen).
        spread: ``(B, K)`` root of the area of the covariance, ``det^(1/4)``, over sigma.
        alignment: ``(B, K)`` mean alignment of the landmark's relations (eq. 3, `paper`).
        peeled: ``(B, K)`` its alignment by peeling, the peak where nothing supports it.
        support: ``(B, K)`` relations left when peeling reaches it.
        relation_alignment: ``(B, L)`` alignment of each relation.
        noise: ``(B,)`` of the images that the network was given, over their contrast,
            :func:`unsct_mmpose.functional.image_noise.relative_noise`; NaN where unknown.
    """

    points: Tensor
    covariances: Tensor
    peak: Tensor
    rival: Tensor
    spread: Tensor
    alignment: Tensor
    peeled: Tensor
    support: Tensor
    relation_alignment: Tensor
    noise: Tensor

    def cpu(self) -> Evidence:
        """Return the same on the CPU."""
        return Evidence(**{name: value.cpu() for name, value in vars(self).items()})

    @classmethod
    def of_peaks(cls, peak: Tensor, relation_alignment: Tensor, noise: Tensor) -> Evidence:
        """Return what there is of a model of which peaks alone are known; see the attributes."""
        nothing = torch.zeros_like(peak)
        return cls(
            points=torch.zeros(*peak.shape, 2),
            covariances=torch.eye(2).expand(*peak.shape, 2, 2).clone(),
            peak=peak,
            rival=nothing,
            spread=torch.ones_like(peak),
            alignment=nothing,
            peeled=nothing,
            support=nothing,
            relation_alignment=relation_alignment,
            noise=noise,
        )


def decode_evidence(
    heatmaps: Tensor,
    pafs: Tensor,
    relations: Relations,
    options: DecodeOptions,
    noise: Tensor | None = None,
) -> Evidence:
    """Find landmarks in a batch of maps and gather what speaks for each.

    Args:
        heatmaps: ``(B, K, H, W)``.
        pafs: ``(B, 2 L, H, W)``.
        relations: ``(L, 2)`` tail and head of each relation.
        options: how to read.
        noise: ``(B,)`` of the images; None: unknown.

    Raises:
        ValueError: a map holds NaN or infinity; the message names it.
    """
    heatmaps, pafs = heatmaps.detach().float(), pafs.detach().float()
    refuse_unreadable_fields(pafs)
    peaks = find_peaks(heatmaps, 2, 3 * options.sigma)
    cells = peaks.points[:, :, 0]
    peak, rival = peaks.values.unbind(dim=2)
    refuse_unreadable(peak)
    rival = rival.clamp(min=0)
    width = (options.sigma,) if options.refinement == 'integral' else ()
    points = refine_peaks(heatmaps, cells, options.refinement, *width)
    covariances = local_moments(heatmaps, cells, options.sigma).covariance
    area = covariances[..., 0, 0] * covariances[..., 1, 1] - covariances[..., 0, 1].square()
    aligned = segment_alignment(pafs, points, relations, options.samples)
    count = heatmaps.shape[1]
    peeled = landmark_alignment(aligned, relations, count, fallback=peak.clamp(0, 1))
    return Evidence(
        points=points,
        covariances=covariances,
        peak=peak,
        rival=rival / (rival + peak.clamp(min=0)).clamp(min=1e-6),
        spread=area.clamp(min=1e-12) ** 0.25 / options.sigma,
        alignment=landmark_alignment(aligned, relations, count, aggregation='paper').alignment,
        peeled=peeled.alignment,
        support=peeled.support,
        relation_alignment=aligned,
        noise=torch.full_like(peak[:, 0], torch.nan) if noise is None else noise,
    )


def refuse_unreadable_fields(pafs: Tensor) -> None:
    """Raise ValueError, naming image and channel, where a field holds NaN or infinity."""
    if not torch.isfinite(pafs.sum()):
        bad = (~torch.isfinite(pafs)).flatten(2).any(-1).nonzero()
        if len(bad):  # else only the sum is too large
            image, channel = bad[0].tolist()
            raise ValueError(
                f'field channel {channel} of image {image} holds NaN or infinity: the network has '
                'diverged, or was given an image with such values'
            )
