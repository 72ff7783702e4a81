"""Write configs/flat: the released configs, each as one file that inherits nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RELEASED = (
    'hrnet/unsct-hrnet.py',
    'u_net/unsct-u_net.py',
    'higherhrnet/unsct-higherhrnet.py',
    'hourglass/unsct-hourglass.py',
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs', nargs='*', default=RELEASED, metavar='CONFIG',
        help='paths in configs/ (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, default=ROOT / 'configs' / 'flat', help='folder')
    parser.add_argument('--budget', choices=('gpu', 'cpu'), default='gpu', help='UNSCT_BUDGET')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.research.flatten_config import write_flat_configs

    sources = [ROOT / 'configs' / name for name in args.configs]
    paths = {source: args.out / source.name for source in sources}
    command = ' '.join(['python tools/flatten_configs.py', *(argv or sys.argv[1:])])
    try:
        written = write_flat_configs(paths, args.budget, root=ROOT, command=command)
    except (ValueError, OSError) as error:
        print(f'flatten_configs: {error}', file=sys.stderr)
        return 1
    print('\n'.join(map(str, written)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
