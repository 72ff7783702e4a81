"""Print the completion of unsct for a shell.

bash: eval "$(unsct completion bash)" in ~/.bashrc
zsh:  unsct completion zsh > DIR/_unsct, where DIR is in $fpath
fish: unsct completion fish > ~/.config/fish/completions/unsct.fish
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('shell', choices=['bash', 'zsh', 'fish'], help='which')


def run(args: argparse.Namespace) -> int:
    import shtab

    from .main import build_parser

    print(shtab.complete(build_parser(), args.shell))
    return 0
