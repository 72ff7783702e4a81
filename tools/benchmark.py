"""Measure a training `step`, its `gradients`, decoding (`decode`), a prediction (`predict`)."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

DEVICE_HELP = 'auto, cpu, cuda or cuda:1; auto is CUDA where there is any (default: %(default)s)'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    step = commands.add_parser('step', help='time and memory of a training step')
    step.add_argument(
        'config', nargs='?', default='configs/demo/unsct_hrnet_tha_cpu.py',
        help='config with an HRNet (default: %(default)s)',
    )  # fmt: skip
    step.add_argument('--batch-size', type=int, help="images in a batch (default: the config's)")
    step.add_argument('--rounds', type=int, default=15, help='alternating pairs to time')
    step.add_argument('--device', default='auto', help=DEVICE_HELP)
    step.add_argument(
        '--precision', default='config', choices=['config', 'float32'],
        help="the config's optimiser wrapper, or plain float32",
    )  # fmt: skip
    step.add_argument('--out', type=Path, help='json file of the figures')
    decode = commands.add_parser(
        'decode', help='time of decoding and uncertainty estimation beside the forward pass'
    )
    decode.add_argument(
        'config', nargs='?', default='configs/demo/unsct_hrnet_tha_cpu.py',
        help='config of the model (default: %(default)s)',
    )  # fmt: skip
    decode.add_argument('--map-size', type=int, default=128, help='side of the maps, cells')
    decode.add_argument('--batch-size', type=int, default=16, help='images in a batch')
    decode.add_argument('--rounds', type=int, default=10, help='alternating pairs to time')
    decode.add_argument('--device', default='auto', help=DEVICE_HELP)
    decode.add_argument('--out', type=Path, help='json file of the figures')
    gradients = commands.add_parser(
        'gradients', help='value and gradient on the backbone of each loss term, while training'
    )
    gradients.add_argument('config', help='config of the model')
    gradients.add_argument('--steps', type=int, nargs='+', default=[0, 50], metavar='N',
                           help='steps after which to look (default: 0 50)')  # fmt: skip
    gradients.add_argument('--batch-size', type=int, default=2, help='images in the batch')
    gradients.add_argument(
        '--data', type=Path, help='data set of the batch (default: random landmarks on noise)'
    )
    gradients.add_argument('--device', default='auto', choices=['auto', 'cpu', 'cuda'])
    gradients.add_argument('--out', type=Path, help='json file of the figures')
    predict = commands.add_parser(
        'predict', help='time from a file to decisions: PyTorch beside the exported model'
    )
    predict.add_argument('config', type=Path, help='config of the model')
    predict.add_argument('checkpoint', type=Path, help='its weights')
    predict.add_argument('folder', type=Path, help='folder of radiographs, taken in turn')
    predict.add_argument('--onnx', type=Path, help='the exported model (default: export it)')
    predict.add_argument('--rounds', type=int, default=20, help='alternating pairs to time')
    predict.add_argument('--images', type=int, default=1000, help='reads to watch the memory over')
    predict.add_argument('--threads', type=int, default=2, help='processor cores to use')
    predict.add_argument('--out', type=Path, help='json file of the figures')
    exports = commands.add_parser(
        'exports', help='what exporting and quantizing changes, on annotated images'
    )
    exports.add_argument('config', type=Path, help='config of the model')
    exports.add_argument('checkpoint', type=Path, help='its weights')
    exports.add_argument('files', type=Path, nargs='+', help='the same, exported in several ways')
    exports.add_argument('--data', type=Path, help="folder of images (default: the config's)")
    exports.add_argument('--ann-file', help='annotation file in it')
    exports.add_argument('--out', type=Path, help='json file of the figures')
    page = commands.add_parser('onnx-page', help='write onnx.md from the json files of both')
    page.add_argument('folder', type=Path, help='docs/results')
    page.set_defaults(out=None)
    return parser.parse_args()


def benchmark_step(args: argparse.Namespace) -> dict:
    from mmengine.config import Config

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research import benchmark, results

    device = resolve_device(args.device)
    config = Config.fromfile(args.config)
    if args.precision == 'float32':
        config.optim_wrapper.type = 'OptimWrapper'
    batch_size = args.batch_size or config.train_dataloader.batch_size
    cost = benchmark.step_cost(config, batch_size=batch_size, rounds=args.rounds, device=device)
    memory = {
        name: benchmark.peak_memory_mb(one, batch_size=batch_size, device=device)
        for name, one in (('ours', config), ('plain', benchmark.plain_config(config)))
    }
    return dict(
        config=args.config,
        precision=config.optim_wrapper.type.replace('OptimWrapper', '') or 'float32',
        batch_size=batch_size,
        device=device,
        **results.describe_host(),
        **cost,
        peak_memory_mb=round(memory['ours']),
        plain_peak_memory_mb=round(memory['plain']),
    )


def benchmark_gradients(args: argparse.Namespace) -> dict:
    import logging
    from dataclasses import asdict

    from mmengine.config import Config

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research import gradients, markdown, results

    logging.disable(logging.INFO)  # MMEngine has a line for each weight that it initialises
    device = resolve_device(args.device)
    terms = gradients.term_gradients(
        Config.fromfile(args.config),
        batch_size=args.batch_size,
        at_steps=args.steps,
        data=args.data,
        device=device,
    )
    columns = ('step', 'term', 'value', 'silence', 'norm')
    rows = [[f'{one:.4g}' if isinstance(one, float) else str(one) for one in asdict(term).values()]
            for term in terms]  # fmt: skip
    print(markdown.render_table(columns, rows), '\n')
    return dict(
        config=args.config,
        batch_size=args.batch_size,
        device=device,
        **results.describe_host(),
        terms=[asdict(term) for term in terms],
    )


def benchmark_decode(args: argparse.Namespace) -> dict:
    from mmengine.config import Config

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research import benchmark, results

    device = resolve_device(args.device)
    cost = benchmark.decode_cost(
        Config.fromfile(args.config),
        map_size=args.map_size,
        batch_size=args.batch_size,
        rounds=args.rounds,
        device=device,
    )
    host = results.describe_host()
    return dict(
        config=args.config,
        map_size=args.map_size,
        batch_size=args.batch_size,
        device=device,
        machine=host['machine'] + ('; one thread' if device == 'cpu' else ''),
        versions=host['versions'],
        **cost,
    )


def benchmark_predict(args: argparse.Namespace) -> dict:
    from unsct_mmpose.export import export_onnx
    from unsct_mmpose.research import onnx_study, results

    files = sorted(path for path in args.folder.iterdir() if path.is_file())
    with tempfile.TemporaryDirectory() as folder:
        path = args.onnx or Path(folder) / 'model.onnx'
        if not args.onnx:
            request = export_onnx.ExportRequest(args.config, args.checkpoint, path)
            export_onnx.export_onnx(request)
        cost = onnx_study.predict_cost(
            args.config,
            args.checkpoint,
            path,
            files,
            rounds=args.rounds,
            images=args.images,
            threads=args.threads,
        )
    return dict(
        config=str(args.config),
        threads=args.threads,
        **results.describe_host(),
        **cost,
    )


def benchmark_exports(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research import onnx_study, results

    models = onnx_study.compare_exports(
        args.config, args.checkpoint, args.files, data=args.data, ann_file=args.ann_file
    )
    return dict(
        config=str(args.config),
        **results.describe_host(),
        models=models,
    )


def write_onnx_page(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.pages import write_page

    return dict(page=str(write_page(args.folder, 'onnx')))


def main() -> int:
    args = parse_args()
    commands = {
        'step': benchmark_step,
        'gradients': benchmark_gradients,
        'decode': benchmark_decode,
        'predict': benchmark_predict,
        'exports': benchmark_exports,
        'onnx-page': write_onnx_page,
    }
    try:
        figures = commands[args.command](args)
    except (ValueError, OSError) as error:
        print(f'benchmark: {error}', file=sys.stderr)
        return 1
    text = json.dumps(figures, indent=1)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
