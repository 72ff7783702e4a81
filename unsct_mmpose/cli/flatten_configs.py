"""Write configs/flat: the released configs, each as one file that inherits nothing."""

import argparse
from pathlib import Path

from .options import ROOT

_RELEASED = (
    'hrnet/unsct-hrnet.py',
    'u_net/unsct-u_net.py',
    'higherhrnet/unsct-higherhrnet.py',
    'hourglass/unsct-hourglass.py',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('configs', nargs='*', default=_RELEASED, metavar='CONFIG',
        help='paths in configs/ (default: %(default)s)')  # fmt: skip
    add('--out', type=Path, help='folder (default: configs/flat)')
    add('--budget', choices=('gpu', 'cpu'), default='gpu', help='UNSCT_BUDGET')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.flatten_config import write_flat_configs

    configs = ROOT / 'configs'
    sources = [configs / name for name in args.configs]
    paths = {source: (args.out or configs / 'flat') / source.name for source in sources}
    command = ' '.join(['python tools/flatten_configs.py', *args.argv])
    print(*write_flat_configs(paths, args.budget, root=ROOT, command=command), sep='\n')
    return 0
