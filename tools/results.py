"""Turn result files into a page (`page`), or hold one against its config (`check`)."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    page = commands.add_parser('page', help='write the pages of a folder of result files')
    page.add_argument('folder', type=Path, nargs='?', default=Path('docs/results'))
    check = commands.add_parser('check', help="compare a result file with its config's `expected`")
    check.add_argument('result', type=Path, help='result file, such as work_dirs/demo/results.json')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    if args.command == 'page':
        from unsct_mmpose.apis.fusion_study import write_fusion_page
        from unsct_mmpose.apis.results import write_page
        from unsct_mmpose.apis.study_page import write_study_page

        print(write_page(args.folder), write_study_page(args.folder), sep='\n')
        if (args.folder / 'fusion').is_dir():
            print(write_fusion_page(args.folder))
        return 0
    from unsct_mmpose.apis.experiment import check_result

    problems = check_result(args.result)
    print('\n'.join(problems) or 'all numbers as expected')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
