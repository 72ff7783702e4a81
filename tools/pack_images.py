"""Pack a data set into small 8-bit JPEG files, to be carried to another machine."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# Images need no MMPose: import quickly.
os.environ.setdefault('UNSCT_PURE', '1')
if find_spec('unsct_mmpose') is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', type=Path, help='folder with annotation files and images/')
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument(
        '--splits', nargs='+', default=['train.json', 'val.json', 'test.json'], metavar='FILE',
        help='annotation files; those that are not there are left out (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--pixel-mm', type=float, default=0.67,
        help='pixels that finer images are averaged to, mm at the detector (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--finer-than-mm', type=float, default=0.5,
        help='images with larger pixels keep their size (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--quality', type=int, default=96, help='of the JPEG (default: 96)')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.apis.pack_images import PackOptions, pack_images

    try:
        options = PackOptions(args.pixel_mm, args.finer_than_mm, args.quality)
        written = pack_images(
            args.data, args.out, splits=args.splits, options=options, progress=not args.quiet
        )
    except (ValueError, OSError) as error:
        print(f'pack_images: {error}', file=sys.stderr)
        return 1
    total = sum(path.stat().st_size for path in args.out.rglob('*') if path.is_file())
    for name, path in written.items():
        print(f'{name}: {path}')
    print(f'{total / 2**20:.1f} MiB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
