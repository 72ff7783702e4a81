"""Find the landmarks of radiographs: json, picture, measurements and a report of each.

predict CONFIG CHECKPOINT INPUT...   with PyTorch and MMPose
predict MODEL.onnx INPUT...          with ONNX Runtime alone

INPUT is a DICOM file, a picture (PNG, JPEG, TIFF), a folder or a pattern such as 'study/**/*.dcm'.
Exit status: 0 all is well, 1 some files could not be predicted, 2 none could. DICOM files that are
whole and no images (reports, directories) are counted and change nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from .options import (
    add_device,
    add_frame,
    add_spacing,
    load_backend,
    options_from,
    split_model,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = '%(prog)s (CONFIG CHECKPOINT | MODEL.onnx) INPUT... --out DIR [options]'
    parser.set_defaults(failure_status=2, resumable=True)
    add = parser.add_argument
    add('given', nargs='+', metavar='MODEL INPUT', help='see above')
    add('--out', type=Path, default=Path('predictions'), metavar='DIR', help='folder for results')
    add_spacing(parser)
    add_frame(parser)
    add('--mirrored', action=argparse.BooleanOptionalAction,
        help='left and right are exchanged in the stored pixels of all images, or are not '
        '(default: the files say)')  # fmt: skip
    add('--batch-size', type=int, metavar='N',
        help='radiographs at a time (default: two for each free core, 4 to 16)')  # fmt: skip
    add_device(
        parser,
        '; an exported model needs onnxruntime-gpu for it, and takes tensorrt and openvino too',
    )
    add('--jobs', type=int, metavar='N', help='processes that decode ahead; 0: none '
        '(default: one for every other free core)')  # fmt: skip
    add('--overwrite', action='store_true', help='predict again what is there')
    add('--keep-identity', action='store_true', help='PatientID and PatientName into the json, '
        'patient and study into the structured report of --sr, nothing anywhere else')  # fmt: skip
    add('--sr', action='store_true', help='a DICOM structured report of each too')
    add('--no-report', action='store_true', help='no html')
    add('--quiet', action='store_true', help='no progress bar')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.dicom.find_inputs import find_inputs
    from unsct_mmpose.dicom.isolation import current_limits
    from unsct_mmpose.dicom.read_ahead import FileOptions, Workers
    from unsct_mmpose.dicom.spacing import check_magnification, check_spacing
    from unsct_mmpose.inference.predict import (
        PredictOptions,
        default_batch_size,
        default_jobs,
        predict_files,
    )

    model, inputs = split_model(args.given)
    if not inputs:
        args.refuse('no INPUT: name files, folders or patterns after the model')
    if args.batch_size is None:
        args.batch_size = default_batch_size()
    if args.jobs is None:
        args.jobs = default_jobs()
    if args.batch_size < 1 or args.jobs < 0:
        args.refuse('--batch-size must be at least 1 and --jobs at least 0')
    current_limits()  # refuses what is no limit before anything is read
    read = FileOptions(
        None if args.spacing is None else check_spacing(tuple(args.spacing)),
        None if args.magnification is None else check_magnification(args.magnification),
        args.keep_identity,
        args.mirrored,
        args.frame,
    )
    reports = dict(report=not args.no_report, structured_report=args.sr)
    options = options_from(PredictOptions, args, read=read, progress=not args.quiet, **reports)
    files = find_inputs(inputs, leave_out=args.out)
    with Workers(min(options.jobs, len(files.paths))) as workers:  # they start beside the model
        backend = load_backend(model, args.device)
        result = predict_files(backend, files, args.out, options, workers)
    print_summary(result, args.out)
    return result.exit_status


def print_summary(result, out: Path) -> None:
    """Print what became of the files."""
    from unsct_mmpose.dicom.header import printable

    shown = printable(str(out))
    print(f'{result.predicted} predicted, {result.already_there} there already: {shown}')
    if result.duplicates:
        print(f'{len(result.duplicates)} files have the content of another one')
    if result.reports:
        print(f'{result.reports} structured reports written')
    for kind, count in Counter(kind for _, kind in result.no_images).items():
        print(f'{count} of kind {kind}: no image')
    if result.passed_over:
        print(
            f'{len(result.passed_over)} entries of folders are no images (errors.json names them)'
        )
    for failed, text in (
        (result.errors, 'could not be predicted'),
        (result.report_errors, 'have no structured report'),
    ):
        if failed:
            print(f'{len(failed)} {text}:', file=sys.stderr)
        for name, cause in failed:
            print(f'  {name}: {cause}', file=sys.stderr)
