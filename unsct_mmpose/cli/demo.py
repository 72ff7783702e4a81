"""Make phantom radiographs, train the demo model on them, test it and check its numbers.

The demo starts from the weights of an earlier stage of the full training, which come with its
config and have seen neither validation nor test images; --full trains from random weights. All
stages run in this process, with as many threads as cores are idle. An interrupted demo goes on
where it stopped.
"""

import argparse
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsct_mmpose.cores import idle_cores

from .options import ROOT


@dataclass(frozen=True)
class _Kind:
    config: Path
    data: Path
    work_dir: Path
    phantom: str


SHORT = _Kind(
    Path('configs/demo/unsct_hrnet_tha_short.py'), Path('data/phantom_short'),
    Path('work_dirs/demo'), '--train 128',
)  # fmt: skip
FULL = _Kind(
    Path('configs/demo/unsct_hrnet_tha_cpu.py'), Path('data/phantom'),
    Path('work_dirs/demo_full'), '',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(mendable=(), resumable=True)
    add = parser.add_argument
    add('--full', action='store_true', help='train from random weights, on twice the images')
    add('--config', type=Path, help=f'config to train (default: {SHORT.config}, {FULL.config})')
    add('--data', type=Path,
        help=f'folder of the phantom set, made when missing (default: {SHORT.data}, {FULL.data})',
        )  # fmt: skip
    add('--work-dir', type=Path, help='folder of checkpoints, results.json and overlays '
        f'(default: {SHORT.work_dir}, {FULL.work_dir})')  # fmt: skip
    add('--phantom-options', type=shlex.split,
        help='options of make_phantom.py in one string, such as "--train 64 --val 16" '
        f'(default: "{SHORT.phantom}", "{FULL.phantom}")')  # fmt: skip
    add('--seed', type=int, default=0, help='seed of the training')
    add('--threads', type=int, help='of the network (default: as many as cores are idle)')


def run(args: argparse.Namespace) -> int:
    # read when PyTorch's thread library is loaded: threads that spin stop each other on busy cores
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    threads = args.threads or idle_cores()
    from unsct_mmpose.research import experiment

    from .results import print_differences

    def planned(kind: _Kind) -> experiment.Experiment:
        return experiment.Experiment(
            config=args.config or kind.config,
            data=args.data or kind.data,
            work_dir=args.work_dir or kind.work_dir,
            describe='simulated radiographs (parametric phantom), test split',
            name=kind.work_dir.name,
            seed=args.seed,
            estimate=kind is FULL,
        )

    kind, tools = FULL if args.full else SHORT, ROOT / 'tools'
    plan = planned(kind)
    start = start_of(plan)
    if kind is SHORT and not args.config and start is not None and not start.is_file():
        print(f'{start.name} is not beside its config: random weights instead, as with --full')
        kind, plan = FULL, planned(FULL)
        start = start_of(plan)
    phantom = shlex.split(kind.phantom) if args.phantom_options is None else args.phantom_options
    origin = f'NOT from random weights, but from {start.name}' if start else 'from random weights'
    _use_threads(threads)
    print(f'{plan.config}, {origin}; {threads} threads, as many as cores are idle')
    experiment.announce('phantom', plan)
    run_here([str(tools / 'make_phantom.py'), '--out', str(plan.data), *phantom])
    result = experiment.run_experiment(plan, tools, run_here)
    experiment.print_summary(result, plan.work_dir)
    print(f'trained {origin}')
    return print_differences(plan.work_dir / 'results.json')


def _use_threads(count: int) -> None:
    """Let PyTorch use so many threads, and OpenCV none of its own beside them."""
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(0)


def start_of(plan: Any) -> Path | None:
    """Return the weights that an experiment starts from; None: random ones."""
    start = plan.settings.get('load_from')
    return Path(start) if start else None


def run_here(command: Sequence[str]) -> float:
    """Run a tool of this checkout in this process; return its wall time in seconds.

    Raises:
        RuntimeError: it failed; the message names its command.
        KeyboardInterrupt: it was interrupted.
    """
    from unsct_mmpose.research.experiment import format_command

    from .main import main

    started = time.monotonic()
    print(f'$ {format_command(command)}', flush=True)
    name = {'make_phantom': 'phantom'}.get(stem := Path(command[0]).stem, stem)
    try:
        code = main([name, *command[1:]], prog=Path(command[0]).name)
    except SystemExit as end:
        code = end.code or 0
    if code in (130, 143):
        raise KeyboardInterrupt
    if code:
        raise RuntimeError(f'exit status {code} from: {format_command(command)}')
    return time.monotonic() - started
