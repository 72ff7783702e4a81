"""Measure a training `step`, `decode`, `predict`, the `phantom`, growth (`scale`), or `all`."""

import argparse
import json
from pathlib import Path

from .options import ROOT, add_device

DEMO = 'configs/demo/unsct_hrnet_tha_cpu.py'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest='action', required=True)
    step = actions.add_parser('step', help='time and memory of a training step')
    step.set_defaults(measure=_benchmark_step)
    add = step.add_argument
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
    everything = actions.add_parser(
        'all', help='all that the performance page needs on this machine, and the page (12 min)'
    )
    everything.set_defaults(measure=_benchmark_all, out=None)
    add = everything.add_argument
    add('folder', type=Path, nargs='?', default=ROOT / 'docs/results', help='folder of results')
    add(
        '--only',
        nargs='+',
        metavar='STAGE',
        help='some of transfers, steps, pipeline, scale, predict, phantom, decode',
    )
    add('--short', action='store_true', help='in seconds; its figures mean nothing')
    scale = actions.add_parser('scale', help='cost as images, pixels and landmarks grow')
    scale.set_defaults(measure=_benchmark_scale)
    scale.add_argument('config', nargs='?', default=DEMO, help='config of the network')
    scale.add_argument('--short', action='store_true', help='in seconds; says nothing')
    timed = actions.add_parser('time', help='run a command: its minutes are a figure of the page')
    timed.set_defaults(measure=_benchmark_time)
    add = timed.add_argument
    add('target', help='demo_minutes, test_minutes or check_minutes')
    add('command', nargs='+', help='after --')
    decode = actions.add_parser(
        'decode', help='time of decoding and uncertainty estimation beside the forward pass'
    )
    decode.set_defaults(measure=_benchmark_decode)
    add = decode.add_argument
    add('config', nargs='?', default=DEMO, help='config of the model')
    add('--map-size', type=int, default=128, help='side of the maps, cells')
    add('--batch-size', type=int, default=16, help='images in a batch')
    add('--rounds', type=int, default=10, help='alternating pairs to time')
    gradients = actions.add_parser(
        'gradients', help='value and gradient on the backbone of each loss term, while training'
    )
    gradients.set_defaults(measure=_benchmark_gradients)
    add = gradients.add_argument
    add('config', help='config of the model')
    add('--steps', type=int, nargs='+', default=[0, 50], metavar='N',
        help='steps after which to look (default: 0 50)')  # fmt: skip
    add('--batch-size', type=int, default=2, help='images in the batch')
    add('--data', type=Path, help='data set of the batch (default: random landmarks on noise)')
    predict = actions.add_parser(
        'predict', help='time from DICOM to json: stock MMPose, PyTorch, compiled, exported'
    )
    predict.set_defaults(measure=_benchmark_predict)
    add = predict.add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights')
    add('folder', type=Path, help='folder of radiographs, taken in turn')
    add('--onnx', type=Path, help='the exported model (default: export it)')
    add('--rounds', type=int, default=15, help='alternating rounds to time')
    add('--images', type=int, default=100, help='reads to watch the memory over')
    add('--threads', type=int, help='processor cores to use (default: those that are free)')
    add('--no-compile', action='store_true', help='leave torch.compile out')
    phantom = actions.add_parser('phantom', help='simulated radiographs a second')
    phantom.set_defaults(measure=_benchmark_phantom)
    add = phantom.add_argument
    add('--images', type=int, default=72, help='in each data set')
    add('--rounds', type=int, default=5, help='data sets')
    add('--jobs', type=int, help='processes (default: one for each core that is free)')
    exports = actions.add_parser(
        'exports', help='what exporting and quantizing changes, on annotated images'
    )
    exports.set_defaults(measure=_benchmark_exports)
    add = exports.add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights')
    add('files', type=Path, nargs='+', help='the same, exported in several ways')
    add('--devices', nargs='+', default=['cpu'],
        help='what each is run on: cpu, openvino:f32, openvino:bf16')  # fmt: skip
    add('--data', type=Path, help="folder of images (default: the config's)")
    add('--ann-file', help='annotation file in it')
    for action in (step, decode, gradients, predict):
        add_device(action)
    for action in (step, decode, gradients, predict, phantom, exports, scale, timed):
        action.add_argument('--out', type=Path, help='json file of the figures')
    page = actions.add_parser('onnx-page', help='write onnx.md from the json files of both')
    page.add_argument('folder', type=Path, help='docs/results')
    page.set_defaults(out=None, measure=_write_onnx_page)


def run(args: argparse.Namespace) -> int:
    if args.measure in (_benchmark_all, _benchmark_time):
        return args.measure(args)
    text = json.dumps(args.measure(args), indent=1)
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
    from mmengine.config import Config

    from unsct_mmpose.research.results import describe_host
    from unsct_mmpose.research.scale import scale_cost

    return {**describe_host(), **scale_cost(Config.fromfile(args.config), args.short)}


def _benchmark_time(args: argparse.Namespace) -> int:
    from unsct_mmpose.research.performance import time_command

    out = args.out or ROOT / 'docs/results/performance/commands.json'
    return time_command(args.target, args.command, out)


def _benchmark_step(args: argparse.Namespace) -> dict:
    from mmengine.config import Config

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research import benchmark
    from unsct_mmpose.research.results import describe_host

    device = resolve_device(args.device)
    config = Config.fromfile(args.config)
    if args.precision == 'float32':
        config.optim_wrapper.type = 'OptimWrapper'
    batch_size = args.batch_size or config.train_dataloader.batch_size
    cost = benchmark.step_cost(
        config,
        batch_size=batch_size,
        rounds=args.rounds,
        device=device,
        as_stock=args.as_stock,
    )
    plain = benchmark.plain_config(config)
    if args.as_stock or device.startswith('cuda'):
        plain = benchmark.with_stock_optimiser(plain, device)
    memory = {
        name: benchmark.peak_memory_mb(model, batch_size=batch_size, device=device)
        for name, model in (('ours', config), ('plain', plain))
    }
    return dict(
        config=args.config,
        precision=config.optim_wrapper.type.replace('OptimWrapper', '') or 'float32',
        batch_size=batch_size,
        device=device,
        **describe_host(),
        **cost,
        peak_memory_mb=round(memory['ours']),
        plain_peak_memory_mb=round(memory['plain']),
    )


def _benchmark_gradients(args: argparse.Namespace) -> dict:
    import logging
    from dataclasses import asdict

    from mmengine.config import Config

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research.gradients import term_gradients
    from unsct_mmpose.research.markdown import render_table
    from unsct_mmpose.research.results import describe_host

    logging.disable(logging.INFO)  # MMEngine has a line for each weight that it initialises
    device = resolve_device(args.device)
    terms = term_gradients(
        Config.fromfile(args.config),
        batch_size=args.batch_size,
        at_steps=args.steps,
        data=args.data,
        device=device,
    )
    columns = ('step', 'term', 'value', 'silence', 'norm')
    rows = [
        [
            f'{value:.4g}' if isinstance(value, float) else str(value)
            for value in asdict(term).values()
        ]
        for term in terms
    ]
    print(render_table(columns, rows), '\n')
    return dict(
        config=args.config,
        batch_size=args.batch_size,
        device=device,
        **describe_host(),
        terms=[asdict(term) for term in terms],
    )


def _benchmark_decode(args: argparse.Namespace) -> dict:
    from mmengine.config import Config

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research import benchmark
    from unsct_mmpose.research.results import describe_host

    device, host = resolve_device(args.device), describe_host()
    cost = benchmark.decode_cost(
        Config.fromfile(args.config),
        map_size=args.map_size,
        batch_size=args.batch_size,
        rounds=args.rounds,
        device=device,
    )
    return dict(
        config=args.config,
        map_size=args.map_size,
        batch_size=args.batch_size,
        device=device,
        machine=host['machine'] + ('; one thread' if device == 'cpu' else ''),
        versions=host['versions'],
        **cost,
    )


def _benchmark_predict(args: argparse.Namespace) -> dict:
    import logging

    from unsct_mmpose.engine.device import resolve_device
    from unsct_mmpose.research.predict_cost import (
        PredictRequest,
        device_throughput,
        exported,
        onnx_memory_growth_mb,
        predict_cost,
    )
    from unsct_mmpose.research.results import describe_host

    logging.disable(logging.INFO)  # MMEngine has a line for each weight that it initialises
    files = sorted(path for path in args.folder.iterdir() if path.is_file())
    device = resolve_device(args.device)
    wanted = PredictRequest(
        args.config, args.checkpoint, files, args.onnx, rounds=args.rounds, threads=args.threads,
        device=device, compiled=not args.no_compile,
    )  # fmt: skip
    with exported(wanted) as request:
        cost = predict_cost(request)
        growth = onnx_memory_growth_mb(request, args.images)
        if device != 'cpu':
            row = device_throughput(request)
            cost['rows'].append(row)
            cost['targets']['predict_gpu_images_per_s'] = dict(value=row['images_per_s'])
    return dict(
        what=f'{args.config}: from DICOM to json, {len(files)} files in turn, alternating rounds',
        **describe_host(),
        memory=dict(images=args.images, growth_mb=growth),
        **cost,
    )


def _benchmark_phantom(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.predict_cost import phantom_cost
    from unsct_mmpose.research.results import describe_host

    return dict(**describe_host(), **phantom_cost(args.images, args.rounds, args.jobs))


def _benchmark_exports(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.onnx_study import compare_exports
    from unsct_mmpose.research.results import describe_host

    models = compare_exports(
        args.config, args.checkpoint, args.files, devices=args.devices, data=args.data,
        ann_file=args.ann_file,
    )  # fmt: skip
    return dict(config=str(args.config), **describe_host(), models=models)


def _write_onnx_page(args: argparse.Namespace) -> dict:
    from unsct_mmpose.research.pages import write_page

    return dict(page=str(write_page(args.folder, 'onnx')))
