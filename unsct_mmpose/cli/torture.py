"""Torture: a corpus, mutants, json, kills, signals, full disks; what comes of it in one json.

Every stage goes on where it stopped, and says how much it tries. Nothing is written outside the
folders that are named.
"""

import argparse
from pathlib import Path

from .options import ROOT

STAGES = ('corpus', 'mutants', 'json', 'kills', 'signals', 'disk')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(resumable=True)
    add = parser.add_argument
    add(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/torture'),
        help='of what was tried; a run goes on there',
    )
    add('--out', type=Path, help='json to write (default: torture.json in the work dir)')
    add('--stages', nargs='+', choices=STAGES, default=list(STAGES), metavar='STAGE',
        help=f'which: {", ".join(STAGES)} (default: all)')  # fmt: skip
    for name, text in (
        ('corpus', 'files of the corpus (default: all)'),
        ('mutants', 'mutants of files (default: 20000)'),
        ('json', 'json documents for each reader (default: 2000)'),
        ('kills', 'SIGKILLs of each command (default: 20)'),
        ('signals', 'Ctrl-C and SIGTERM of each command (default: 20)'),
        ('disk', 'commands on a full disk (default: all)'),
    ):
        add(f'--{name}', type=int, metavar='N', help=text)
    add('--seeds', type=Path, metavar='FOLDER', help='more files to make mutants of')
    add('--jobs', type=int, default=1, help='processes that read')
    add('--seconds', type=float, default=20.0, help='that a try may take')
    add('--memory-mb', type=int, default=1024, help='that a try may take')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.torture.arena import Bounds
    from unsct_mmpose.research.torture.stages import Request, run_stages

    from .main import main

    request = Request(
        args.work_dir, {stage: getattr(args, stage) for stage in STAGES}, args.jobs, args.seeds,
        Bounds(args.seconds, args.memory_mb), main,
    )  # fmt: skip
    out = args.out or args.work_dir / 'torture.json'
    faults = run_stages(args.stages, request, out, ROOT)
    print(out)
    return 1 if faults else 0
