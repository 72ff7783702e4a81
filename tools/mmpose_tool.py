"""Run any script of the installed MMPose, its tools and its demos, on configs and files of ours.

mmpose_tool.py NAME ARGUMENTS...   the script's own arguments; NAME --help explains them
mmpose_tool.py --list              the names

Most of MMPose's scripts import it before they read a config, where no plug-in can repair it yet;
here that comes first. tools/train.py and tools/test.py are the same for those two.
"""

import argparse
import sys
from pathlib import Path

# A checkout works without being installed, and wins over an installed copy.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--list', action='store_true', help='print the names')
    parser.add_argument('name', nargs='?', metavar='NAME', help='such as browse_dataset')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help="the script's own")
    args = parser.parse_args()
    if not args.list and args.name is None:
        parser.error('name a script; --list prints their names')
    return args


def main() -> int:
    args = parse_args()
    from unsct_mmpose.compat import host_tools, run_host_tool

    if args.list:
        for name, path in host_tools().items():
            print(f'{name:32} {path.parent.name}')
        return 0
    import unsct_mmpose.register  # noqa: F401  the host is repaired before its script is started

    sys.argv = [args.name, *args.arguments]
    run_host_tool(args.name.removesuffix('.py'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
