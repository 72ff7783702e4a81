"""Turn results (and the relations) into pages, check one by its config, read a training's log."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    page = commands.add_parser(
        'page', help='write the pages of a folder of result files, and the index of models'
    )
    page.add_argument('folder', type=Path, nargs='?', default=Path('docs/results'))
    relations = commands.add_parser('relations', help='write the list of relations and its picture')
    relations.add_argument('folder', type=Path, nargs='?', default=Path('docs'))
    check = commands.add_parser('check', help="compare a result file with its config's `expected`")
    check.add_argument('result', type=Path, help='result file, such as work_dirs/demo/results.json')
    log = commands.add_parser('read-log', help="write what a training's MMEngine log says as json")
    log.add_argument('log', type=Path, help='MMEngine text log, or what a training printed')
    log.add_argument('--name', required=True, help='short name of the run')
    log.add_argument('--config', required=True, help='what was trained; a log does not name it')
    log.add_argument('--data', required=True, help='what on; say so if images are simulated')
    log.add_argument('--command', dest='words', default='', help='how it was started, in words')
    log.add_argument('--revision', default='', help='the code, in words')
    log.add_argument('--machine', default='', help="the machine (default: the log's GPU)")
    log.add_argument('--out', type=Path, required=True, help='json file to write')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    if args.command == 'page':
        from unsct_mmpose.research.pages import write_pages

        print(*write_pages(args.folder), sep='\n')
        if args.folder.resolve() == ROOT / 'docs' / 'results':
            from unsct_mmpose.research.model_index import write_model_index

            print(*write_model_index(ROOT), sep='\n')
        return 0
    if args.command == 'relations':
        from unsct_mmpose.research.relations_page import write_relations_page

        print(*write_relations_page(args.folder), sep='\n')
        return 0
    if args.command == 'read-log':
        return read_training(args)
    from unsct_mmpose.research.experiment import check_result

    problems = check_result(args.result)
    print('\n'.join(problems) or 'all numbers as expected')
    return 1 if problems else 0


def read_training(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.training_log import read_log, write_run

    try:
        run = read_log(
            args.log, name=args.name, config=args.config, data=args.data,
            command=args.words, revision=args.revision, machine=args.machine,
        )  # fmt: skip
        write_run(args.out, run)
    except (ValueError, OSError) as error:
        print(f'results: {error}', file=sys.stderr)
        return 1
    end = 'finished' if run.finished else 'cut off'
    print(f'{args.out}: {run.epochs} of {run.planned_epochs} epochs, {end}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
