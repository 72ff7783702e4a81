"""Write the index of models: names, released weights with their hashes, figures of results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--root', type=Path, default=ROOT, help='folder with configs and docs/results'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    args = parse_args(argv)
    from unsct_mmpose.research.model_index import write_model_index

    try:
        written = write_model_index(args.root)
    except (ValueError, OSError) as error:
        print(f'model_index: {error}', file=sys.stderr)
        return 1
    print('\n'.join(map(str, written)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
