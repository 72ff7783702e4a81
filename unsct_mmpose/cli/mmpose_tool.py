"""Run any script of the installed MMPose, its tools and its demos, on configs and files of ours.

mmpose-tool NAME ARGUMENTS...   the script's own arguments; NAME --help explains them
mmpose-tool --list              the names

Most of MMPose's scripts import it before they read a config, where no plug-in can repair it yet;
here that comes first. `unsct train` and `unsct test` are the same for those two.
"""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(mendable=())
    parser.add_argument('--list', action='store_true', help='print the names')
    parser.add_argument('name', nargs='?', metavar='NAME', help='such as browse_dataset')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help="the script's own")


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.compat import host_tools, run_host_tool

    if args.list:
        for name, path in host_tools().items():
            print(f'{name:32} {path.parent.name}')
        return 0
    if args.name is None:
        args.refuse('name a script; --list prints their names')
    import unsct_mmpose.register  # noqa: F401  the host is repaired before its script is started

    name = args.name.removesuffix('.py')
    sys.argv = [f'{name}.py', *args.arguments]
    run_host_tool(name)
    return 0
