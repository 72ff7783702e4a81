"""Make a checkpoint small and clean enough to hand out: weights alone, in half precision."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path, help='file to write; calibrate it afterwards')
    parser.add_argument('--trained-on', required=True, help='what, in words')
    parser.add_argument('--licence', default='Apache-2.0')
    args = parser.parse_args()
    from unsct_mmpose.export.publish import publish
    from unsct_mmpose.files import file_sha256

    notice = dict(
        trained_on=args.trained_on,
        licence=args.licence,
        notice='Research software, not a medical device. Not for clinical use.',
    )
    try:
        out = publish(args.checkpoint, args.out, notice)
    except (ValueError, OSError) as error:
        print(f'publish: {error}', file=sys.stderr)
        return 1
    print(f'{out}: {out.stat().st_size / 2**20:.1f} MB, sha256 {file_sha256(out)}')
    print('calibrate it, which changes the hash; beside its config, run tools/model_index.py')
    return 0


if __name__ == '__main__':
    sys.exit(main())
