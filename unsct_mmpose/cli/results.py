"""Turn results (and the relations) into pages, check one by its config, read a training's log."""

import argparse
import sys
from pathlib import Path

from .options import ROOT, add_actions, print_index


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser, (
        ('page', _write_pages,
         'write the pages of a folder of result files, and the index of models'),
        ('relations', _write_relations, 'write the list of relations and its picture'),
        ('check', _check, "compare a result file with its config's `expected`"),
        ('read-log', _read_training, "write what a training's MMEngine log says as json"),
    ))  # fmt: skip
    page = actions['page']
    page.add_argument('folder', type=Path, nargs='?', default=Path('docs/results'))
    relations = actions['relations']
    relations.add_argument('folder', type=Path, nargs='?', default=Path('docs'))
    check = actions['check']
    check.add_argument('result', type=Path, help='result file, such as work_dirs/demo/results.json')
    add = actions['read-log'].add_argument
    add('log', type=Path, help='MMEngine text log, or what a training printed')
    add('--name', required=True, help='short name of the run')
    add('--config', required=True, help='what was trained; a log does not name it')
    add('--data', required=True, help='what on; say so if images are simulated')
    add('--command', dest='started', default='', help='how it was started, in words')
    add('--revision', default='', help='the code, in words')
    add('--machine', default='', help="the machine (default: the log's GPU)")
    add('--out', type=Path, required=True, help='json file to write')


def run(args: argparse.Namespace) -> int:
    return args.work(args) or 0


def _write_pages(args: argparse.Namespace) -> None:
    from unsct_mmpose.research.pages import write_pages

    print(*write_pages(args.folder), sep='\n')
    if args.folder.resolve() == ROOT / 'docs' / 'results':
        print_index(ROOT)


def _write_relations(args: argparse.Namespace) -> None:
    from unsct_mmpose.research.relations_page import write_relations_page

    print(*write_relations_page(args.folder), sep='\n')


def _check(args: argparse.Namespace) -> int:
    return print_differences(args.result)


def print_differences(result: Path) -> int:
    """Compare a result with what its config expects; return the exit status."""
    from unsct_mmpose.research.experiment import check_result

    problems = check_result(result)
    for problem in problems:
        print(f'not as expected: {problem}', file=sys.stderr)
    if not problems:
        print('all numbers as expected')
    return 1 if problems else 0


def _read_training(args: argparse.Namespace) -> None:
    from unsct_mmpose.files import write_json
    from unsct_mmpose.research.training_log import read_log

    run = read_log(
        args.log, name=args.name, config=args.config, data=args.data,
        command=args.started, revision=args.revision, machine=args.machine,
    )  # fmt: skip
    write_json(args.out, run)
    end = 'finished' if run.finished else 'cut off'
    print(f'{args.out}: {run.epochs} of {run.planned_epochs} epochs, {end}')
