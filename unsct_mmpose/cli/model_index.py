"""Write the index of models: names, released weights with their hashes, figures of results."""

import argparse
from pathlib import Path

from .options import ROOT, print_index


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--root', type=Path, default=ROOT,
        help='folder with configs and docs/results (default: the checkout)',
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    print_index(args.root)
    return 0
