"""Landmark heatmaps: draw them, find their peaks to a fraction of a cell, mirror them.

Points are (x, y) in cells; (0, 0) is the centre of the top-left cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .moments import local_moments

_METHODS = ('dark', 'quadratic', 'integral', 'none')
_FLOOR = 1e-4
_MAX_STEP = 1.0


def widened(tensor: Tensor) -> Tensor:
    """Return a tensor of half precision in single precision, any other as it is.

    Example:
        >>> widened(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def draw_heatmaps(
    points: Tensor, present: Tensor, size_hw: tuple[int, int], sigma: float = 2.0
) -> Tensor:
    """Draw one Gaussian for each landmark, ``exp(-|p - q|^2 / (2 sigma^2))``.

    The value is 1 at the landmark itself, so that a landmark between cells has its highest cell
    a little below 1. Nothing is cut off, so that a refinement can read the landmark back exactly.

    Args:
        points: ``(B, K, 2)`` landmarks, cells; they may lie outside the map.
        present: ``(B, K)`` bool; the points of absent landmarks are not read.
        size_hw: height and width of the maps, cells.
        sigma: standard deviation, cells.

    Returns:
        ``(B, K, H, W)`` heatmaps, zero where a landmark is absent.

    Raises:
        ValueError: shapes disagree, sigma is not positive, or a present point is not finite.

    Example:
        >>> points = torch.tensor([[[2.0, 1.0], [0.0, 0.0]]])
        >>> maps = draw_heatmaps(points, torch.tensor([[True, False]]), (3, 5), sigma=1.0)
        >>> maps.shape, maps[0, 0, 1, 2].item(), maps[0, 1].sum().item()
        (torch.Size([1, 2, 3, 5]), 1.0, 0.0)
    """
    if sigma <= 0:
        raise ValueError(f'sigma must be positive, got {sigma}')
    points = present_points(points, present)
    height, width = size_hw
    columns = torch.arange(width, dtype=points.dtype, device=points.device)
    rows = torch.arange(height, dtype=points.dtype, device=points.device)
    scale = 0.5**0.5 / sigma
    along_x = ((columns - points[..., 0:1]) * scale).square_().neg_().exp_()
    along_y = ((rows - points[..., 1:2]) * scale).square_().neg_().exp_()
    along_y = along_y * present.to(points.dtype)[..., None]
    return along_y[..., :, None] * along_x[..., None, :]


def present_points(points: Tensor, present: Tensor) -> Tensor:
    """Return ``(B, K, 2)`` points in a floating type, zero where ``(B, K)`` present is False.

    Raises:
        ValueError: shapes disagree, or a present point is not finite. The latter is not looked for
            on a GPU, where the host would wait for the answer.
    """
    if points.ndim != 3 or points.shape[-1] != 2 or present.shape != points.shape[:2]:
        raise ValueError(
            'points must be (B, K, 2) and present (B, K), '
            f'got {tuple(points.shape)} and {tuple(present.shape)}'
        )
    if not points.is_floating_point():
        points = points.float()
    points = torch.where(present.bool()[..., None], points, torch.zeros_like(points))
    if points.device.type != 'cpu':
        return points
    bad = ~torch.isfinite(points).all(dim=-1)
    if bad.any():
        image, landmark = bad.nonzero()[0].tolist()
        raise ValueError(
            f'landmark {landmark} of image {image} is marked present but lies at '
            f'{points[image, landmark].tolist()}; mark it absent instead'
        )
    return points


def find_peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Find the highest cell of each heatmap, the first one where several are equal.

    Args:
        heatmaps: ``(B, K, H, W)``.

    Returns:
        ``(B, K, 2)`` points, whole cells in a floating type, and ``(B, K)`` values there.

    Raises:
        ValueError: a heatmap holds NaN or its peak is infinite; the message names it.

    Example:
        >>> maps = torch.zeros(1, 1, 4, 6)
        >>> maps[0, 0, 3, 5] = 0.5
        >>> [array.tolist() for array in find_peaks(maps)]
        [[[[5.0, 3.0]]], [[0.5]]]
    """
    maps = widened(heatmaps)
    width = maps.shape[-1]
    scores, index = maps.flatten(2).max(dim=-1)
    refuse_unreadable(scores)
    rows = torch.div(index, width, rounding_mode='floor')
    return torch.stack((index - rows * width, rows), dim=-1).to(maps.dtype), scores


def refine_peaks(
    heatmaps: Tensor, peaks: Tensor, method: str = 'dark', blur: float = 1.5
) -> Tensor:
    """Move whole-cell peaks to the top of the surface around them.

    ``'dark'`` takes the step ``-H^-1 g`` on the logarithm of the blurred map, which is exact on a
    Gaussian (Zhang et al., "Distribution-aware coordinate representation", CVPR 2020, eq. 9).
    ``'quadratic'`` fits a parabola to the logarithm along each axis, unblurred; ``'integral'``
    takes the mean of the map near the peak (Sun et al., ECCV 2018). The first two read the
    three cells nearest to the peak along each axis, so that a peak on the border is read from
    the inside. A peak stays where it is when the surface is not a dome there; it moves by one
    cell at most and no more than half a cell off the map.

    Args:
        heatmaps: ``(B, K, H, W)``, any size; values below a small fraction of the peak count
            as that fraction.
        peaks: ``(B, K, 2)`` from :func:`find_peaks`, cells.
        method: ``'dark'``, ``'quadratic'``, ``'integral'`` or ``'none'``.
        blur: standard deviation of the blur of ``'dark'``, cells; 0 switches it off. Also that of
            the Gaussians that ``'integral'`` expects.

    Returns:
        ``(B, K, 2)`` points, cells.

    Raises:
        ValueError: the method is unknown, or blur is negative.
    """
    if method not in _METHODS:
        raise ValueError(f'unknown refinement {method!r}; choose from {_METHODS}')
    if blur < 0:
        raise ValueError(f'blur is a standard deviation in cells and must be >= 0, got {blur}')
    if method == 'none':
        return peaks
    maps = widened(heatmaps)
    if method == 'integral':
        return local_moments(maps, peaks, blur).mean
    # stacked, not listed: an exported graph then holds for every size
    limit = torch.stack([torch.as_tensor(size - 1).to(peaks) for size in maps.shape[:-3:-1]])
    usable = limit >= 2
    centres = torch.where(usable, torch.minimum(peaks.clamp(min=1), limit - 1), peaks)
    surface = _log_surface(maps, centres, blur if method == 'dark' else 0.0)
    step = _top_of(surface, cross=method == 'dark', usable=usable)
    moved = peaks + (centres + step - peaks).clamp(-_MAX_STEP, _MAX_STEP)
    moved = torch.minimum(moved.clamp(min=-0.5), limit + 0.5)
    return torch.where(torch.isnan(step).any(dim=-1, keepdim=True), peaks, moved)


def decode_heatmaps(
    heatmaps: Tensor, method: str = 'dark', blur: float = 1.5
) -> tuple[Tensor, Tensor]:
    """Find the landmarks that heatmaps show.

    Args:
        heatmaps: ``(B, K, H, W)``.
        method: ``'dark'``, ``'quadratic'`` or ``'none'``, see :func:`refine_peaks`.
        blur: standard deviation of the blur of ``'dark'``, cells.

    Returns:
        ``(B, K, 2)`` points, cells, and ``(B, K)`` values of the highest cells.

    Raises:
        ValueError: a heatmap holds NaN or its peak is infinite; the message names it.

    Example:
        >>> maps = draw_heatmaps(torch.tensor([[[7.3, 5.8]]]), torch.tensor([[True]]), (16, 16))
        >>> decode_heatmaps(maps)[0].round(decimals=2).tolist()
        [[[7.300000190734863, 5.800000190734863]]]
    """
    peaks, scores = find_peaks(heatmaps)
    return refine_peaks(heatmaps, peaks, method, blur), scores


def flip_heatmaps(heatmaps: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """Mirror heatmaps left to right and give each landmark's map to its mirror image.

    Args:
        heatmaps: ``(B, K, H, W)``.
        flip_indices: for each landmark, the one that it becomes.

    Returns:
        ``(B, K, H, W)``: what the mirrored image should have given.

    Example:
        >>> flip_heatmaps(torch.tensor([[[[1.0, 0.0]], [[0.0, 3.0]]]]), (1, 0)).tolist()
        [[[[3.0, 0.0]], [[0.0, 1.0]]]]
    """
    if len(flip_indices) != heatmaps.shape[1]:
        raise ValueError(
            f'{len(flip_indices)} flip indices do not fit {heatmaps.shape[1]} heatmaps'
        )
    return heatmaps[:, list(flip_indices)].flip(-1)


def _log_surface(maps: Tensor, centres: Tensor, blur: float) -> Tensor:
    """Return the ``(B, K, 3, 3)`` logarithm of the blurred maps around the centres."""
    width = maps.shape[-1]
    columns, across = _blur_line(centres[..., 0], width, blur)
    rows, down = _blur_line(centres[..., 1], maps.shape[-2], blur)
    index = rows[..., :, None] * width + columns[..., None, :]
    patch = maps.flatten(2).gather(2, index.flatten(2)).reshape(index.shape)
    blurred = down @ patch @ across.transpose(-1, -2)
    floor = blurred.amax((-2, -1), keepdim=True) * _FLOOR
    return torch.log(torch.maximum(blurred, floor))


def _blur_line(centres: Tensor, size: int, blur: float) -> tuple[Tensor, Tensor]:
    """Return ``(B, K, P)`` cells around centres, and ``(B, K, 3, P)`` weights of the middle three.

    The kernel is cut near a border until it fits, along that axis only: a padded one would move
    a peak at the border by half a cell and more.
    """
    reach = int(3 * blur + 0.5)
    offsets = torch.arange(-reach - 1, reach + 2, device=centres.device)
    distance = (offsets - offsets.new_tensor([-1, 0, 1])[:, None]).abs().to(centres.dtype)
    room = torch.minimum(centres - 1, size - 2 - centres).clamp(min=0)[..., None, None]
    kernel = torch.exp(-0.5 * (distance / max(blur, 1e-3)).square()) * (distance <= room)
    cells = (centres.long()[..., None] + offsets).clamp(0, size - 1)
    return cells, kernel


def _top_of(surface: Tensor, cross: bool, usable: Tensor) -> Tensor:
    """Return ``(B, K, 2)`` steps to the top, NaN without a dome; usable axes have three cells."""
    middle = surface[..., 1, 1]
    left, right = surface[..., 1, 0], surface[..., 1, 2]
    above, below = surface[..., 0, 1], surface[..., 2, 1]
    slope = torch.stack((right - left, below - above), dim=-1) * 0.5
    bend = torch.stack((right + left, below + above), dim=-1) - 2 * middle[..., None]
    slope = torch.where(usable, slope, torch.zeros_like(slope))
    bend = torch.where(usable, bend, -torch.ones_like(bend))
    twist = surface[..., 2, 2] + surface[..., 0, 0] - surface[..., 2, 0] - surface[..., 0, 2]
    twist = twist * 0.25 * float(cross) * usable.all()
    determinant = bend.prod(-1) - twist.square()
    across = torch.stack((bend[..., 1], bend[..., 0]), dim=-1) * slope
    step = (twist[..., None] * slope.flip(-1) - across) / determinant[..., None]
    dome = (bend < -1e-6).all(-1) & (determinant > 1e-9)
    return torch.where(dome[..., None], step, torch.full_like(step, torch.nan))


def refuse_unreadable(scores: Tensor) -> None:
    """Raise ValueError, naming it, where one of ``(B, K)`` peak values is not finite."""
    bad = ~torch.isfinite(scores)
    if bad.any():
        image, landmark = bad.nonzero()[0].tolist()
        raise ValueError(
            f'heatmap {landmark} of image {image} peaks at {scores[image, landmark].item()}: '
            'it holds NaN or infinity, so no landmark can be read from it'
        )
