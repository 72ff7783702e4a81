"""Find the landmarks of radiographs: json, picture, measurements and a report of each.

predict.py CONFIG CHECKPOINT INPUT...   with PyTorch and MMPose
predict.py MODEL.onnx INPUT...          with ONNX Runtime alone

INPUT is a DICOM file, a picture (PNG, JPEG, TIFF), a folder or a pattern such as 'study/**/*.dcm'.
Exit status: 0 all is well, 1 some files could not be predicted, 2 none could. DICOM files that are
whole and no images (reports, directories) are counted and change nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s (CONFIG CHECKPOINT | MODEL.onnx) INPUT... --out DIR [options]',
    )
    parser.add_argument('words', nargs='+', metavar='MODEL INPUT', help='see above')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions'),
        metavar='DIR',
        help='folder for the results (default: %(default)s)',
    )
    parser.add_argument(
        '--spacing',
        type=decimal,
        nargs=2,
        metavar=('X', 'Y'),
        help='width and height of a pixel of all images, mm at the detector',
    )
    parser.add_argument(
        '--magnification', type=decimal, metavar='M', help='of all images, detector over bone'
    )
    parser.add_argument(
        '--mirrored',
        action=argparse.BooleanOptionalAction,
        help='left and right are exchanged in the stored pixels of all images, or are not '
        '(default: the files say)',
    )
    parser.add_argument('--batch-size', type=int, default=8, metavar='N')
    parser.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda or cuda:1; auto is CUDA where there is any (PyTorch only; '
        'default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='processes that decode ahead; 0: none (default: %(default)s)',
    )
    parser.add_argument('--overwrite', action='store_true', help='predict again what is there')
    parser.add_argument(
        '--keep-identity', action='store_true', help='put PatientID and PatientName into the json'
    )
    parser.add_argument('--sr', action='store_true', help='a DICOM structured report of each too')
    parser.add_argument('--no-report', action='store_true', help='no html')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    args = parser.parse_args(argv)
    args.onnx = args.words[0].lower().endswith('.onnx')
    args.model = args.words[: 1 if args.onnx else 2]
    args.inputs = args.words[len(args.model) :]
    if not args.inputs:
        parser.error('no INPUT: name files, folders or patterns after the model')
    if args.batch_size < 1 or args.jobs < 0:
        parser.error('--batch-size must be at least 1 and --jobs at least 0')
    return args


def decimal(text: str) -> float:
    """Read a number with a decimal point."""
    from unsct_mmpose.dicom.spacing import read_number

    try:
        return read_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def load_backend(args: argparse.Namespace):
    """Load the model on the runtime that its file asks for."""
    missing = [name for name in args.model if not Path(name).is_file()]
    if missing:
        raise OSError(f'{missing[0]}: there is no such file')
    if args.onnx:
        from unsct_mmpose.inference.onnx_model import OnnxModel

        return OnnxModel(args.model[0])
    from unsct_mmpose.inference.torch_model import TorchBackend

    return TorchBackend(*args.model, args.device)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.dicom.find_inputs import find_inputs
    from unsct_mmpose.dicom.limits import current_limits
    from unsct_mmpose.dicom.read_ahead import FileOptions
    from unsct_mmpose.dicom.spacing import check_magnification, check_spacing
    from unsct_mmpose.inference.predict import RunOptions, predict_files

    try:
        current_limits()  # refuses what is no limit before anything is read
        read = FileOptions(
            None if args.spacing is None else check_spacing(tuple(args.spacing)),
            None if args.magnification is None else check_magnification(args.magnification),
            args.keep_identity,
            args.mirrored,
        )
        options = RunOptions(
            read=read,
            batch_size=args.batch_size,
            jobs=args.jobs,
            overwrite=args.overwrite,
            report=not args.no_report,
            structured_report=args.sr,
            progress=not args.quiet,
        )
        inputs = find_inputs(args.inputs, leave_out=args.out)
        result = predict_files(load_backend(args), inputs, args.out, options)
    except (ValueError, OSError, ImportError) as error:
        print(f'predict: {error}', file=sys.stderr)
        return 2
    print_summary(result, args.out)
    return result.exit_status


def print_summary(result, out: Path) -> None:
    """Print what became of the files."""
    print(f'{result.predicted} predicted, {result.already_there} there already: {out}')
    if result.duplicates:
        print(f'{len(result.duplicates)} files have the content of another one')
    for kind, count in Counter(kind for _, kind in result.no_images).items():
        print(f'{count} of kind {kind}: no image')
    if result.passed_over:
        print(f'{len(result.passed_over)} files are no images (errors.json names them)')
    if result.errors:
        print(f'{len(result.errors)} could not be predicted:', file=sys.stderr)
        for name, cause in result.errors:
            print(f'  {name}: {cause}', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
