"""Train the SpatialConfiguration network of `landmarker` on images that we have packed.

Runs in an environment of its own, with torch, numpy and landmarker, without this package. The
recipe is that of landmarker's own example of adaptive heatmap regression (ISBI 2015): the original
network, Gaussians of learned width, GaussianHeatmapL2Loss, SGD with Nesterov's momentum 0.99,
local soft-argmax. ``scn_landmarker_adam.py`` takes the same with the optimizer of our own budgets.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIGMA_PX, PEAK, SIGMA_WEIGHT = 3.0, 100.0, 5.0
"""Their Gaussians' first width and volume, and what their loss asks for a square pixel of width."""

STATE = 'state.pt'
"""Of an interrupted training, among its readings."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('packed', type=Path, help='folder with train.npz and the splits to read: '
                        'images (N, H, W), and for training points (N, K, 2) and weights (N, K), '
                        'in the order of the steps')  # fmt: skip
    parser.add_argument('out', type=Path, help='folder for epoch_E/SPLIT.npz and versions.json')
    parser.add_argument('--epochs', type=int, required=True)
    parser.add_argument('--batch-size', type=int, required=True)
    parser.add_argument('--interval', type=int, required=True, help='epochs between two readings')
    parser.add_argument('--channels', type=int, default=128,
                        help='of every layer (default, the authors\': %(default)s)')  # fmt: skip
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def build(landmarks: int, size_hw: tuple[int, int], channels: int) -> tuple[nn.Module, nn.Module]:
    """Return the network and what draws its targets, whose widths and rotations are learned."""
    from landmarker.heatmap import GaussianHeatmapGenerator
    from landmarker.models import OriginalSpatialConfigurationNet

    network = OriginalSpatialConfigurationNet(
        in_channels=1, out_channels=landmarks, la_channels=channels, sp_channels=channels
    )
    targets = GaussianHeatmapGenerator(
        nb_landmarks=landmarks, sigmas=SIGMA_PX, gamma=PEAK, heatmap_size=size_hw, learnable=True
    )
    return network, targets


class TheirSteps:
    """The authors' optimizer: SGD with Nesterov's momentum.

    Its rate halves when the training loss stands still for ten epochs, as in their later code; in
    their example it is the validation loss, which is not ours to look at.
    """

    def __init__(self, network: nn.Module, targets: nn.Module, steps: int) -> None:
        groups = [
            dict(params=network.parameters(), weight_decay=1e-3),
            dict(params=targets.parameters()),
        ]
        self.optimizer = torch.optim.SGD(groups, lr=1e-6, momentum=0.99, nesterov=True)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.5, patience=10, cooldown=10
        )

    def step(self) -> None:
        """Change the weights, and forget the gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def end_epoch(self, loss: float) -> None:
        """Hear the mean loss of an epoch."""
        self.scheduler.step(loss)


def to_input(images: np.ndarray) -> Tensor:
    """Stretch the grey levels of ``(B, H, W)`` images to 0..1, ``(B, 1, H, W)``, as theirs do."""
    grey = torch.from_numpy(images).float()[:, None]
    low, high = (torch.amax(sign * grey, (1, 2, 3), keepdim=True) * sign for sign in (-1, 1))
    return (grey - low) / (high - low).clamp(min=1.0)


def loss_of(criterion: nn.Module, maps: Tensor, targets: nn.Module, points: Tensor,
            weights: Tensor) -> Tensor:  # fmt: skip
    """Return their loss; a landmark of weight 0 pulls at no map.

    Args:
        criterion: their loss.
        maps: ``(B, K, H, W)`` of the network.
        targets: what draws the targets.
        points: ``(B, K, 2)`` (x, y), pixels; theirs are (y, x).
        weights: ``(B, K)``, 1 where a landmark is labelled and shown, else 0.
    """
    shown = weights[..., None, None]
    return criterion(maps * shown, targets.sigmas, targets(points.flip(-1)) * shown)


def read(network: nn.Module, images: np.ndarray, batch_size: int = 8) -> dict[str, np.ndarray]:
    """Find landmarks in ``(N, H, W)`` images: local soft-argmax, without a flip test.

    ``points`` are ``(N, K, 2)`` (x, y), pixels, and ``peaks`` ``(N, K)``, the maps' largest values.
    """
    from landmarker.heatmap import heatmap_to_coord

    network.eval()
    points, peaks = [], []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            maps = network(to_input(images[start : start + batch_size]))
            points.append(heatmap_to_coord(maps, method='local_soft_argmax').float().flip(-1))
            peaks.append(maps.amax((-2, -1)))
    network.train()
    return dict(points=torch.cat(points).numpy(), peaks=torch.cat(peaks).numpy())


def train_epoch(network: nn.Module, targets: nn.Module, steps: Any,
                arrays: dict[str, np.ndarray], batch_size: int) -> float:  # fmt: skip
    """Take one step for each batch, in the order that they are packed in; return the mean loss."""
    from landmarker.losses import GaussianHeatmapL2Loss

    criterion, losses = GaussianHeatmapL2Loss(alpha=SIGMA_WEIGHT), []
    for start in range(0, len(arrays['images']), batch_size):
        batch = {name: array[start : start + batch_size] for name, array in arrays.items()}
        maps = network(to_input(batch['images']))
        points, weights = torch.from_numpy(batch['points']), torch.from_numpy(batch['weights'])
        loss = loss_of(criterion, maps, targets, points, weights)
        loss.backward()
        steps.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def train(args: argparse.Namespace, packed: dict[str, dict[str, np.ndarray]], rule: type) -> None:
    """Train, and read every split at each interval; the rule says how weights change."""
    torch.manual_seed(args.seed)
    data = packed.pop('train')
    network, targets = build(data['points'].shape[1], data['images'].shape[1:], args.channels)
    steps = rule(network, targets, len(data['images']) // args.batch_size)
    length, started = len(data['images']) // args.epochs, time.time()
    kept = dict(network=network, targets=targets, optimizer=steps.optimizer, rate=steps.scheduler)
    for epoch in range(resume(args.out / STATE, kept), args.epochs):
        rows = {name: array[epoch * length : (epoch + 1) * length] for name, array in data.items()}
        loss = train_epoch(network, targets, steps, rows, args.batch_size)
        steps.end_epoch(loss)
        print(f'epoch {epoch + 1}: loss {loss:.1f}, sigma {targets.sigmas.abs().mean():.2f}, '
              f'{time.time() - started:.0f} s', flush=True)  # fmt: skip
        if (epoch + 1) % args.interval == 0 or epoch + 1 == args.epochs:
            for split, arrays in packed.items():
                path = args.out / f'epoch_{epoch + 1}' / f'{split}.npz'
                save(path, read(network, arrays['images']))
        keep(args.out / STATE, kept, epoch + 1)


def keep(path: Path, kept: dict[str, Any], epochs: int) -> None:
    """Write everything that a training needs to go on, whole or not at all."""
    state = {name: module.state_dict() for name, module in kept.items()}
    unfinished = path.with_suffix('.tmp')
    torch.save(dict(state, epochs=epochs, rng=torch.get_rng_state()), unfinished)
    unfinished.replace(path)


def resume(path: Path, kept: dict[str, Any]) -> int:
    """Take up what :func:`keep` wrote, if it did; return how many epochs are done."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    for name, module in kept.items():
        module.load_state_dict(state[name])
    torch.set_rng_state(state['rng'])
    return state['epochs']


def save(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix('.tmp.npz')
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)


def main(rule: type = TheirSteps) -> None:
    """Run the tool; the rule says how weights change."""
    args = parse_args()
    packed = {path.stem: dict(np.load(path)) for path in sorted(args.packed.glob('*.npz'))}
    args.out.mkdir(parents=True, exist_ok=True)
    names = ('landmarker', 'monai', 'torch', 'numpy')
    versions = {f'peer {name}': metadata.version(name) for name in names}
    (args.out / 'versions.json').write_text(json.dumps(versions))
    train(args, packed, rule)


if __name__ == '__main__':
    main()
