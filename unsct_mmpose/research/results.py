"""Result files: what was measured, read, written, and held against what a config expects."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import unsct_mmpose
from unsct_mmpose.cores import allowed_cores
from unsct_mmpose.files import read_json, write_json

_PACKAGES = ('mmpose', 'mmengine', 'torch', 'numpy')
_Content = TypeVar('_Content')


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was measured, and how to repeat it: the content of a result file.

    What a kind of result does not have is None, and not in its file.

    Attributes:
        name: of the run, and of what it was judged on.
        kind: of a study: ``'main'``, ``'shift'``, ``'ablation'``, ``'fusion'`` or ``'promise'``.
        config: path of the config, from the repository.
        label: what the paper's tables call it.
        model: what the model was trained on, in words.
        budget: ``'cpu'`` or ``'gpu'``.
        data: what the figures are from; says so when images are simulated.
        calibrated_on: where thresholds come from, in words.
        seed: of the training.
        figures: what a study measured; for each way to decide, in the paper's tables.
        curve: figures on the validation images while training: ``epoch`` and ``all/MRE``.
        commands: that made it, in order.
        metrics: what the evaluators of a run returned.
        seconds: wall time of each stage, or of the training in all its attempts.
        machine: processor, cores and accelerator.
        versions: packages.
        revision: of the code that trained it, see ``paper_plan.REVISION``.
    """

    name: str
    kind: str | None = None
    config: str | None = None
    label: str | None = None
    model: str | None = None
    budget: str | None = None
    data: str
    calibrated_on: str | None = None
    seed: int
    figures: Mapping[str, Any] | None = None
    curve: Mapping[str, Sequence[float]] | None = None
    commands: Sequence[str] = ()
    metrics: Mapping[str, float] | None = None
    seconds: Any = None
    machine: str = ''
    versions: Mapping[str, str] = field(default_factory=dict)
    revision: int | None = None

    @property
    def stem(self) -> str:
        """Name of the config without its folder."""
        return Path(self.config or '').stem

    def figure(self, *keys: str) -> float:
        """Return one figure; NaN where it is undefined or was not measured.

        Keys are such as ``'set_error/all/E_20'``, after the decision where there are several.
        """
        value: Any = self.figures
        for key in keys:
            value = (value or {}).get(key)
        return math.nan if value is None else float(value)


def write_result(path: Path, result: Result) -> None:
    """Write a result file; a crash leaves the old one or the new one, never a part."""
    write_json(path, {name: value for name, value in asdict(result).items() if value is not None})


def read_result(path: Path, needs: str = 'figures') -> Result:
    """Read a result file; this kind of result has the field that it ``needs``.

    Raises:
        ValueError: the file is not such a file; the message names it and the cause.
    """
    try:
        content = read_json(path)
        if content.get(needs) is None:
            raise ValueError(f'no {needs}')
        if metrics := content.get('metrics'):
            content['metrics'] = {
                name: math.nan if value is None else float(value) for name, value in metrics.items()
            }
        return Result(**content)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{path}: not a result file of this project ({error})') from error


def read_folder(
    folder: Path, read: Callable[[Path], _Content] = read_json, pattern: str = '*.json'
) -> dict[str, _Content]:
    """Read the result files of a folder, by their names without ending; none if it is missing."""
    return {path.stem: read(path) for path in sorted(folder.glob(pattern))}


def describe_host() -> dict[str, Any]:
    """Return ``machine``, its processor, cores and accelerator, and ``versions`` of packages."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        names = [row for row in cpuinfo.read_text().splitlines() if row.startswith('model name')]
        processor = names[0].split(':', 1)[1].strip() if names else processor
    accelerator = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'
    versions = {'unsct_mmpose': unsct_mmpose.__version__}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = 'not installed'
    return dict(machine=f'{processor}, {allowed_cores()} cores, {accelerator}', versions=versions)


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of the figures that are defined; NaN where none is."""
    defined = [value for value in values if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan


def format_versions(versions: Mapping[str, str]) -> str:
    """Return packages with their versions on one line."""
    return ', '.join(f'{name} {version}' for name, version in versions.items())


def check_expected(expected: Mapping[str, Any], metrics: Mapping[str, float]) -> list[str]:
    """Hold figures against the ``expected`` block of a config: ``dict(value, tolerance)`` of each.

    One sentence comes back for each figure that is missing or off.

    Example:
        >>> check_expected({'all/MRE': dict(value=2.0, tolerance=0.5)}, {'all/MRE': 2.4})
        []
    """
    problems = []
    for name, wanted in expected.items():
        value, tolerance = wanted['value'], wanted['tolerance']
        if name not in metrics:
            problems.append(f'{name}: not measured, expected {value} +- {tolerance}')
        elif not abs(metrics[name] - value) <= tolerance:
            problems.append(f'{name}: {metrics[name]:.4g}, expected {value} +- {tolerance}')
    return problems
