"""Convert DICOM files to PNG or JPEG that stock MMPose reads: no identity, split by patient.

Text that is burned into the pixels stays: look for it yourself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import add_frame, add_spacing, options_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(resumable=True)
    add = parser.add_argument
    add('inputs', nargs='+', help='files, folders, patterns; or the folder of a data set')
    add('--out', type=Path, required=True, help='folder to write; a run can be resumed there')
    add('--annotations', type=Path, nargs='+', default=[], metavar='FILE',
        help='annotation files of the images (default: those of a data set)')  # fmt: skip
    add('--key', type=Path, metavar='FILE',
        help='secret of the pseudonyms, made when missing (default: OUT.key)')  # fmt: skip
    picture = parser.add_argument_group('pictures')
    add = picture.add_argument
    add('--format', choices=('png', 'png16', 'jpeg'), default='png',
        help='8 bits as displayed, 16 bits, or JPEG')  # fmt: skip
    add('--quality', type=int, default=95, help='of JPEG')
    add('--pixel-mm', type=float, metavar='MM',
        help='average finer images to pixels of this size at the detector')  # fmt: skip
    add('--finer-than-mm', type=float, default=0.5, metavar='MM',
        help='images with larger pixels keep their size')  # fmt: skip
    add_spacing(picture)
    add_frame(picture)
    split = parser.add_argument_group('splits')
    add = split.add_argument
    add('--split', choices=('paper', 'keep', 'none'),
        help="the paper's 257:53 of structured and unstructured images, as the data "
        'set has it, or all in all.json (default: keep for a data set, else paper)')  # fmt: skip
    add('--val', type=float, default=0.0, metavar='SHARE',
        help='share of the training images for val.json (default: none)')  # fmt: skip
    add('--seed', type=int, default=0, help='of the split')
    add = parser.add_argument
    add('--check', action='store_true',
        help='write nothing: hold OUT against its sources, given as they were')  # fmt: skip
    add('--jobs', type=int, default=0, help='processes that decode (default: this one)')
    add('--overwrite', action='store_true', help='convert again what is there already')
    add('--name-files', action='store_true',
        help='name files that fail; their names may name the patient')  # fmt: skip
    add('--quiet', action='store_true', help='no progress bar')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.annotations import AnnotationError
    from unsct_mmpose.annotations.convert import find_sources
    from unsct_mmpose.dicom.pseudonyms import read_key

    key_file = args.key or args.out.with_name(f'{args.out.resolve().name}.key')
    if args.check and not key_file.is_file():
        raise ValueError(f'{key_file}: there is no such key; name it by --key')
    if args.out.resolve() in key_file.resolve().parents:
        raise ValueError(f'{key_file}: keep the key out of the data set that it protects')
    try:
        sources = find_sources(args.inputs, args.annotations, leave_out=args.out)
        for name, cause in sources.missing:
            print(f'convert: {name}: {cause}', file=sys.stderr)
        if not sources.files:
            raise ValueError('nothing to convert')
        status = (check if args.check else convert)(args, sources, read_key(key_file))
    except AnnotationError as error:
        if args.name_files:
            raise
        raise ValueError(
            f'{error.path}: {len(error.problems)} problems; --name-files lists them, with names '
            'of files'
        ) from None
    if not args.check:
        print(
            f'key: {key_file}; keep it, and never with the data set: it leads back to the patients'
        )
    return max(status, int(bool(sources.missing)))


def convert(args: argparse.Namespace, sources, key: bytes) -> int:
    """Convert, and print what came of it."""
    from unsct_mmpose.annotations.convert import ConvertOptions, RunOptions, convert

    spacing = args.spacing and tuple(args.spacing)
    picture = options_from(ConvertOptions, args, form=args.format, spacing_xy_mm=spacing)
    split = args.split or ('keep' if sources.is_split else 'paper')
    more = dict(picture=picture, split=split, validation=args.val, progress=not args.quiet)
    options = options_from(RunOptions, args, **more)
    result = convert(sources, args.out, key, options, tell=_teller(args, sources))
    for path, cases in result.written.items():
        hidden = sum(case.subset == 'unstructured' for case in cases)
        patients = len({case.patient_id for case in cases})
        print(f'{path}: {len(cases)} images ({hidden} unstructured) of {patients} patients')
    for count, text in (
        (len(result.errors), 'files could not be converted'),
        (len(result.duplicates), 'files hold the same as another one and were left out'),
        (result.notes['no_patient'], 'files name no patient: each counts as a patient of its own'),
        (result.notes['no_spacing'], 'images have no pixel spacing: no mm from them'),
        (result.notes['sides'], 'images may have left and right exchanged: field sides says why'),
        (result.notes['burned_in'], 'files say that text is burned into their pixels: look there'),
    ):
        if count:
            print(f'{count} {text}')
    return result.exit_status


def check(args: argparse.Namespace, sources, key: bytes) -> int:
    """Hold the results against the sources, and print what differs."""
    from unsct_mmpose.annotations.convert_check import check_conversion

    result = check_conversion(sources, args.out, key, jobs=args.jobs, progress=not args.quiet)
    tell = _teller(args, sources)
    for problem in result.problems:
        tell(problem)
    print(
        f'{result.images} images: grey levels off by up to {result.largest:g}, '
        f'{result.mean:.3f} on average; landmarks by up to {result.landmarks_px:g} px; '
        f'{len(result.problems)} problems'
    )
    return 1 if result.problems else 0


def _teller(args: argparse.Namespace, sources):
    """Return what prints a line about a file: its number, and its name if that was asked for."""

    def tell(line: str) -> None:
        head, _, rest = line.partition(': ')
        number = head.removeprefix('file ')
        if args.name_files and number.isdigit():
            line = f'{sources.files[int(number) - 1].path}: {rest}'
        print(f'convert: {line}', file=sys.stderr)

    return tell
