"""Make a checkpoint small and clean enough to hand out: weights alone, in half precision.

OUT.pth loads with weights_only=True; OUT.safetensors can hold no code at all (--config is needed:
its metadata name the landmarks and the config).
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('checkpoint', type=Path, help='weights of a training')
    add('out', type=Path, help='file to write; calibrate it afterwards')
    add('--config', type=Path, help='config of the model, which the file is to name')
    add('--trained-on', required=True, help='what, in words')
    add('--licence', default='Apache-2.0', help='of the weights')


def run(args: argparse.Namespace) -> int:
    from unsct_mmpose.export.publish import publish
    from unsct_mmpose.files import file_sha256

    notice = dict(
        trained_on=args.trained_on,
        licence=args.licence,
        notice='Research software, not a medical device. Not for clinical use.',
    )
    out = publish(args.checkpoint, args.out, notice, args.config)
    print(f'{out}: {out.stat().st_size / 2**20:.1f} MB, sha256 {file_sha256(out)}')
    print('calibrate it, which changes the hash; beside its config, run tools/model_index.py')
    return 0
