"""Measure a training `step`, `decode`, `predict`, the `phantom`, growth (`scale`), or `all`."""

import argparse
import json
from pathlib import Path

from .options import ROOT, add_actions, add_device

DEMO = 'configs/demo/unsct_hrnet_tha_cpu.py'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser, (
        ('step', _benchmark_step, 'time and memory of a training step'),
        ('all', _benchmark_all,
         'all that the performance page needs on this machine, and the page (12 min)'),
        ('scale', _benchmark_scale, 'cost as images, pixels and landmarks grow'),
        ('time', _benchmark_time, 'run a command: its minutes are a figure of the page'),
        ('decode', _benchmark_decode,
         'time of decoding and uncertainty estimation beside the forward pass'),
        ('gradients', _benchmark_gradients,
         'value and gradient on the backbone of each loss term, while training'),
        ('predict', _benchmark_predict,
         'time from DICOM to json: stock MMPose, PyTorch, compiled, exported'),
        ('phantom', _benchmark_phantom, 'simulated radiographs a second'),
        ('exports', _benchmark_exports,
         'what exporting and quantizing changes, on annotated images'),
        ('onnx-page', _write_onnx_page, 'write onnx.md from the json files of both'),
    ))  # fmt: skip
    add = actions['step'].add_argument
    add('config', nargs='?', default=DEMO, help='config with an HRNet')
    add('--batch-size', type=int, help="images in a batch (default: the config's)")
    add('--rounds', type=int, default=15, help='alternating pairs to time')
    add('--precision', default='config', choices=['config', 'float32'],
        help="the config's optimiser wrapper, or plain float32")  # fmt: skip
    add(
        '--as-stock',
        action='store_true',
        help="the other has MMPose's optimiser, not ours with its precision (always on CUDA)",
    )
    add = actions['all'].add_argument
    add('folder', type=Path, nargs='?', default=ROOT / 'docs/results', help='folder of results')
    add(
        '--only',
        nargs='+',
        metavar='STAGE',
        help='some of transfers, steps, pipeline, scale, predict, phantom, decode',
    )
    add('--short', action='store_true', help='in seconds; its figures mean nothing')
    add = actions['scale'].add_argument
    add('config', nargs='?', default=DEMO, help='config of the network')
    add('--short', action='store_true', help='in seconds; says nothing')
    add = actions['time'].add_argument
    add('target', help='demo_minutes, test_minutes or check_minutes')
    add('command', nargs='+', help='after --')
    add = actions['decode'].add_argument
    add('config', nargs='?', default=DEMO, help='config of the model')
    add('--map-size', type=int, default=128, help='side of the maps, cells')
    add('--batch-size', type=int, default=16, help='images in a batch')
    add('--rounds', type=int, default=10, help='alternating pairs to time')
    add = actions['gradients'].add_argument
    add('config', help='config of the model')
    add('--steps', type=int, nargs='+', default=[0, 50], metavar='N',
        help='steps after which to look (default: 0 50)')  # fmt: skip
    add('--batch-size', type=int, default=2, help='images in the batch')
    add('--data', type=Path, help='data set of the batch (default: random landmarks on noise)')
    add = actions['predict'].add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights')
    add('folder', type=Path, help='folder of radiographs, taken in turn')
    add('--onnx', type=Path, help='the exported model (default: export it)')
    add('--rounds', type=int, default=15, help='alternating rounds to time')
    add('--images', type=int, default=100, help='reads to watch the memory over')
    add('--threads', type=int, help='processor cores to use (default: those that are free)')
    add('--no-compile', action='store_true', help='leave torch.compile out')
    add = actions['phantom'].add_argument
    add('--images', type=int, default=72, help='in each data set')
    add('--rounds', type=int, default=5, help='data sets')
    add('--jobs', type=int, help='processes (default: one for each core that is free)')
    add = actions['exports'].add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights')
    add('files', type=Path, nargs='+', help='the same, exported in several ways')
    add('--devices', nargs='+', default=['cpu'],
        help='what each is run on: cpu, openvino:f32, openvino:bf16')  # fmt: skip
    add('--data', type=Path, help="folder of images (default: the config's)")
    add('--ann-file', help='annotation file in it')
    for name in ('step', 'decode', 'gradients', 'predict'):
        add_device(actions[name])
    for name, action in actions.items():
        if name in ('all', 'onnx-page'):
            action.set_defaults(out=None)
        else:
            action.add_argument('--out', type=Path, help='json file of the figures')
    actions['onnx-page'].add_argument('folder', type=Path, help='docs/results')


def run(args: argparse.Namespace) -> int:
    if args.work in (_benchmark_all, _benchmark_time):
        return args.work(args)
    from unsct_mmpose.research.results import describe_host

    if 'device' in args:
        from unsct_mmpose.engine.device import resolve_device

        args.device = resolve_device(args.device)
    args.host = describe_host()
    text = json.dumps(args.work(args), indent=1)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + '\n')
    return 0


def _benchmark_all(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.pages import write_page
    from unsct_mmpose.research.performance import measure_all

    for name, seconds in measure_all(ROOT, args.folder, args.only or (), args.short):
        print(f'{name}: {seconds:.0f} s', flush=True)
    print(write_page(args.folder, 'performance'))
    return 0


def _benchmark_scale(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.scale import scale_cost

    return {**args.host, **scale_cost(_settings(args), args.short)}


def _benchmark_time(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.performance import time_command

    out = args.out or ROOT / 'docs/results/performance/commands.json'
    return time_command(args.target, args.command, out)


def _benchmark_step(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research import benchmark

    config = _settings(args)
    if args.precision == 'float32':
        config.optim_wrapper.type = 'OptimWrapper'
    batch_size = args.batch_size or config.train_dataloader.batch_size
    shape = dict(batch_size=batch_size, device=args.device)
    cost = benchmark.step_cost(config, rounds=args.rounds, as_stock=args.as_stock, **shape)
    plain = benchmark.plain_config(config)
    if args.as_stock or args.device.startswith('cuda'):
        plain = benchmark.with_stock_optimiser(plain, args.device)
    memory = {
        name: benchmark.peak_memory_mb(model, **shape)
        for name, model in (('ours', config), ('plain', plain))
    }
    return dict(
        config=args.config,
        precision=config.optim_wrapper.type.replace('OptimWrapper', '') or 'float32',
        **shape,
        **args.host,
        **cost,
        peak_memory_mb=round(memory['ours']),
        plain_peak_memory_mb=round(memory['plain']),
    )


def _benchmark_gradients(args: argparse.Namespace) -> dict:
    import logging
    from dataclasses import asdict

    from unsct_mmpose.research.gradients import term_gradients
    from unsct_mmpose.research.markdown import render_table

    logging.disable(logging.INFO)  # MMEngine has a line for each weight that it initialises
    shape = dict(batch_size=args.batch_size, device=args.device)
    terms = term_gradients(_settings(args), at_steps=args.steps, data=args.data, **shape)
    columns = ('step', 'term', 'value', 'silence', 'norm')
    records = [asdict(term) for term in terms]
    rows = [
        [f'{v:.4g}' if isinstance(v, float) else str(v) for v in record.values()]
        for record in records
    ]
    print(render_table(columns, rows), '\n')
    return dict(config=args.config, **shape, **args.host, terms=records)


def _benchmark_decode(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research import benchmark

    shape = dict(map_size=args.map_size, batch_size=args.batch_size, device=args.device)
    cost = benchmark.decode_cost(_settings(args), rounds=args.rounds, **shape)
    return dict(
        config=args.config,
        **shape,
        machine=args.host['machine'] + ('; one thread' if args.device == 'cpu' else ''),
        versions=args.host['versions'],
        **cost,
    )


def _benchmark_predict(args: argparse.Namespace) -> dict:
    import logging

    from unsct_mmpose.research import predict_cost

    logging.disable(logging.INFO)  # MMEngine has a line for each weight that it initialises
    files = sorted(path for path in args.folder.iterdir() if path.is_file())
    wanted = predict_cost.PredictRequest(
        args.config, args.checkpoint, files, args.onnx, rounds=args.rounds, threads=args.threads,
        device=args.device, compiled=not args.no_compile,
    )  # fmt: skip
    with predict_cost.exported(wanted) as request:
        cost = predict_cost.predict_cost(request)
        growth = predict_cost.onnx_memory_growth_mb(request, args.images)
        if args.device != 'cpu':
            row = predict_cost.device_throughput(request)
            cost['rows'].append(row)
            cost['targets']['predict_gpu_images_per_s'] = dict(value=row['images_per_s'])
    return dict(
        what=f'{args.config}: from DICOM to json, {len(files)} files in turn, alternating rounds',
        **args.host,
        memory=dict(images=args.images, growth_mb=growth),
        **cost,
    )


def _benchmark_phantom(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.predict_cost import phantom_cost

    return dict(**args.host, **phantom_cost(args.images, args.rounds, args.jobs))


def _benchmark_exports(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.onnx_study import compare_exports

    models = compare_exports(
        args.config, args.checkpoint, args.files, devices=args.devices, data=args.data,
        ann_file=args.ann_file,
    )  # fmt: skip
    return dict(config=str(args.config), **args.host, models=models)


def _write_onnx_page(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.pages import write_page

    return dict(page=str(write_page(args.folder, 'onnx')))


def _settings(args: argparse.Namespace):
    from mmengine.config import Config

    return Config.fromfile(args.config)
