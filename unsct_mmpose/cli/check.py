"""Check annotations against their images: everything that is wrong, at once.

DATA is a folder with COCO keypoint files (train.json ...) and their images, or one such file.
Exit status: 0 no errors, 1 errors, 2 nothing could be checked.
"""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(failure_status=2)
    add = parser.add_argument
    add('data', type=Path, metavar='DATA', help='see above')
    add('--images', type=Path, metavar='DIR',
        help="folder that file names start from (default: DATA and 'images' in it)")  # fmt: skip
    add('--json', type=Path, metavar='FILE', help='write the result there too')
    add('--no-decode', action='store_true',
        help='do not decode the images: quick, and finds less')  # fmt: skip
    add('--landmarks', default='hip', metavar='SET',
        help='name or json file of the landmark set (default: hip)')  # fmt: skip
    add('--jobs', type=int, default=1, metavar='N', help='processes that decode')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.anatomy import landmark_set
    from unsct_mmpose.annotations.check import check_data
    from unsct_mmpose.files import replace_file

    result = check_data(
        args.data,
        args.images,
        decode=not args.no_decode,
        jobs=args.jobs,
        landmarks=landmark_set(args.landmarks),
    )
    if args.json is not None:
        replace_file(args.json, result.to_json().encode())
    sys.stdout.write(result.to_text())
    return 1 if result.errors else 0
