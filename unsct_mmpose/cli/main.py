"""The one entry of every command: the table of commands, parsing, failing, exit statuses.

A command is a module of this package: its docstring explains it, ``add_arguments(parser)`` says
what it takes, ``run(args)`` does it and returns the exit status. Nothing that takes time to import
is imported before ``run`` needs it.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from unsct_mmpose import __version__

from .errors import explain_errors
from .options import require_checkout

COMMANDS = {
    'predict': 'find the landmarks of radiographs: json, picture, report of each',
    'serve': 'a page on this machine that takes radiographs; json for programs',
    'measure': 'clinical parameters of landmark files',
    'check': 'annotations against their images: all problems at once',
    'convert': 'DICOM files to pictures without identity, split by patient',
    'phantom': 'a data set of simulated radiographs with known landmarks',
    'shifts': 'test sets unlike any in training, made of another one',
    'train': "train a config: MMPose's own script, all its options",
    'test': "test a checkpoint: MMPose's own script, all its options",
    'mmpose-tool': 'any other script of the installed MMPose',
    'calibrate': 'fit when to reject a landmark, how sure, how far off',
    'publish': 'make a checkpoint small and clean enough to hand out',
    'export': 'write a checkpoint as one ONNX file',
    'completion': 'completion of these commands in bash, zsh or fish',
    'run': 'train, calibrate, test and record a config',
    'demo': 'the same from simulated radiographs, compared with its numbers',
    'paper': "the paper's experiments, tables and figures",
    'study': 'uncertainty, judged and compared',
    'benchmark': 'time and memory of training, decoding, prediction',
    'torture': 'corpus, mutants, json, kills, signals, full disks',
    'results': 'result files to pages',
    'model-index': 'names, hashes and figures of the released models',
    'flatten-configs': 'configs/flat: configs that inherit nothing',
}
CHECKOUT_ONLY = tuple(COMMANDS)[tuple(COMMANDS).index('run') :]
"""Commands of this repository's own research, which no wheel has."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Adds the default of an option to its help, unless that speaks of it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default, text = action.default, action.help or ''
        shown = isinstance(default, (str, int, float, Path)) and not isinstance(default, bool)
        if shown and default not in ('', argparse.SUPPRESS) and 'default' not in text:
            return f'{text} (default: %(default)s)'
        return text


class _Parser(argparse.ArgumentParser):
    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **{'formatter_class': _Help, **options})


def overview() -> str:
    """Return what ``unsct --help`` prints: at most 24 lines."""
    lines = [f'  {name:12} {text}' for name, text in COMMANDS.items() if name not in CHECKOUT_ONLY]
    return '\n'.join(
        [
            'usage: unsct COMMAND ...    (unsct COMMAND --help explains it; --version)',
            '',
            'Landmarks of hip radiographs, with uncertainty. Research software, no diagnosis.',
            '',
            *lines,
            '',
            'In a checkout of the repository also:',
            f'  {" ".join(CHECKOUT_ONLY)}',
            'Exit status: 0 done, 1 something failed, 2 wrong command line or nothing to do.',
        ]
    )


def build_parser(command: str | None = None, prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of ``unsct``: of one command, or of all, for completion."""
    parser = _Parser('unsct', add_help=False)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, text in COMMANDS.items():
        if name in ('train', 'test') or command not in (None, name):
            commands.add_parser(name, help=text)
            continue
        module = import_module(f'.{name.replace("-", "_")}', __package__)
        child = commands.add_parser(
            name, help=text, description=module.__doc__, **(dict(prog=prog) if prog else {})
        )  # fmt: skip
        child.set_defaults(
            run=module.run, refuse=child.error, resumable=False, failure_status=1,
            mendable=(ValueError, OSError, ImportError),
        )  # fmt: skip
        module.add_arguments(child)
    return parser


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run a command line; return its exit status.

    Raises:
        SystemExit: the command line is wrong (2), or the command has failed.
    """
    for stream in (sys.stdout, sys.stderr):  # a name that it cannot print costs no command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ('-h', '--help'):
        print(overview())
        return 0 if arguments else 2
    if arguments[0] == '--version':
        print(f'unsct_mmpose {__version__}')
        return 0
    name = arguments[0]
    if name in ('train', 'test'):
        arguments.insert(0, 'mmpose-tool')
    args = build_parser(arguments[0] if arguments[0] in COMMANDS else '', prog).parse_args(
        arguments
    )
    args.argv = arguments[1:]
    with explain_errors(name, arguments, args.mendable, args.failure_status, args.resumable):
        if name in CHECKOUT_ONLY:
            require_checkout(name)
        return args.run(args)
