"""Study uncertainty: read a model's maps (`collect`), `judge`, `ablate`, compare `fusion`s.

`promise` compares what is promised for new patients with what is held.
"""

import argparse
import shlex
from pathlib import Path

from .options import add_actions, add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser, (
        ('collect', _run_collect, 'run a model over images, keep its evidence'),
        ('judge', _run_judgement,
         'decisions beside their baselines, with confidence intervals by patient'),
        ('ablate', _run_judgement, 'entropy modes, aggregations, relation sets and features'),
        ('fusion', _run_fusion, 'how far the fusion is drawn to the peak'),
        ('grown', _run_grown, 'regions grown from heatmaps beside ellipses'),
        ('promise', _run_promise, 'coverage of new patients, by their number'),
    ))  # fmt: skip
    collect = actions['collect']
    _add_model(collect)
    add = collect.add_argument
    add('--out', type=Path, required=True, help='npz file to write')
    add('--refinement', help='sub-pixel method')
    for name, kind in (('judge', 'main'), ('ablate', 'ablation')):
        action = actions[name]
        add = action.add_argument
        add('table', type=Path, help='npz file of the images to judge on')
        add('--calibrate-on', type=Path, metavar='NPZ',
            help='images that thresholds come from (default: the same); patients in both are '
            'judged by thresholds from all others')  # fmt: skip
        add('--relations', default='full', help="the model's relation set")
        add('--calibrated-on', required=True, help='where thresholds come from')
        add('--kind', default=kind, choices=['main', 'shift', 'ablation'], help='of the result')
        _add_result(action, 'of the training')
    add = actions['judge'].add_argument
    add('--bootstrap', type=int, default=1000, help='draws of the intervals')
    add('--evidence-relations', default='core', help='those that speak')

    fusion = actions['fusion']
    source = fusion.add_mutually_exclusive_group(required=True)
    source.add_argument('--pool', type=Path, nargs='+', help='npz files whose patients calibrate')
    source.add_argument(
        '--misleading', type=float, help='draw patients; a share of them has misleading fields'
    )
    add = fusion.add_argument
    add('--judge', type=Path, nargs='*', default=[], metavar='NPZ',
        help="more images to judge on, beside the pool's other patients")  # fmt: skip
    add('--part', required=True, choices=['design', 'confirmation'],
        help='whether the rule was designed on it')  # fmt: skip
    _add_draws(fusion, [1, 2, 3, 5, 10, 30], 30)
    _add_result(fusion)

    grown = actions['grown']
    _add_model(grown)
    add = grown.add_argument
    add('--images', type=int, help='the first ones only (default: all)')
    add('--patients', type=int, default=53, help='that calibrate')
    add('--draws', type=int, default=20, help='of the patients that calibrate')
    _add_result(grown)

    promise = actions['promise']
    add = promise.add_argument
    add('--pool', type=Path, nargs='+', required=True,
        help='npz files; drawn patients calibrate, the others are judged')  # fmt: skip
    add('--shifted', type=Path, nargs='*', default=[], metavar='NPZ',
        help='more images to judge on, without the patients that calibrate')  # fmt: skip
    add('--first-images', type=int, metavar='N',
        help='take N images of each patient (default: all)')  # fmt: skip
    add('--judged', type=int, metavar='N',
        help='judge on N drawn patients of the pool (default: all)')  # fmt: skip
    _add_draws(promise, [3, 5, 10, 14], 20)
    _add_result(promise)


def _add_model(parser: argparse.ArgumentParser) -> None:
    """Add a model and the images that it reads."""
    add = parser.add_argument
    add('config', type=Path, help='config of the model')
    add('checkpoint', type=Path, help='its weights')
    add('--data', type=Path, required=True, help='folder of the data')
    add('--ann-file', required=True, help='annotation file in it')
    add_device(parser)


def _add_draws(parser: argparse.ArgumentParser, sizes: list[int], draws: int) -> None:
    """Add how many patients are drawn, and how often."""
    shown = ' '.join(map(str, sizes))
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=sizes, metavar='N',
        help=f'patients to draw (default: {shown})',
    )  # fmt: skip
    parser.add_argument('--draws', type=int, default=draws, help='of each size')


def _add_result(parser: argparse.ArgumentParser, seed: str = 'of the drawing') -> None:
    """Add what a result file says of itself."""
    add = parser.add_argument
    add('--seed', type=int, default=0, help=seed)
    add('--name', required=True, help='short name of the result')
    add('--model', required=True, help='what the model was trained on')
    add('--describe', required=True, help='what it is judged on, in words')
    add('--out', type=Path, required=True, help='json file to write')


def run(args: argparse.Namespace) -> int:
    args.work(args)
    return 0


def _load_core(path: Path):
    """Load the evidence of the core relations from a table of all."""
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import load_table
    from unsct_mmpose.research import study

    return study.restrict_relations(load_table(path), relation_set('full'), 'core')[0]


def _run_promise(args: argparse.Namespace) -> None:
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import concatenate
    from unsct_mmpose.research import promise_study

    core = relation_set('core')
    pool = concatenate([_load_core(path) for path in args.pool])
    if args.first_images:
        pool = promise_study.first_images(pool, args.first_images)
    shifted = {path.stem: _load_core(path) for path in args.shifted}
    figures = promise_study.compare(
        pool, shifted, core, args.sizes, draws=args.draws, seed=args.seed,
        judged_patients=args.judged,
    )  # fmt: skip
    text = f'{args.draws} draws of patients out of {len(set(pool.patients.tolist()))}'
    record(args, 'promise', text, figures)


def _run_grown(args: argparse.Namespace) -> None:
    from unsct_mmpose.calibrate.evidence_table import build_dataset, load_model
    from unsct_mmpose.research import grown_study

    model, config = load_model(args.config, args.checkpoint, args.device)
    model.head.decoder.use_all_relations()
    dataset = build_dataset(config, 'test', args.data, args.ann_file)
    regions = grown_study.collect(model, dataset, args.images)
    figures = grown_study.compare(regions, args.patients, args.draws, args.seed)
    record(args, 'grown', f'{args.draws} draws of {args.patients} patients that calibrate', figures)


def _run_fusion(args: argparse.Namespace) -> None:
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import concatenate
    from unsct_mmpose.research import fusion_study

    core = relation_set('core')
    if args.pool is None:
        pool, other = (
            fusion_study.simulated_table(count, core, misleading=args.misleading, seed=seed)
            for count, seed in ((60, 2 * args.seed + 1), (30, 2 * args.seed + 2))
        )
        judged = {'other drawn patients': other}
    else:
        pool = concatenate([_load_core(path) for path in args.pool])
        judged = {'the other patients': pool}
    judged |= {path.stem: _load_core(path) for path in args.judge}
    figures = fusion_study.compare(pool, judged, core, args.sizes, draws=args.draws, seed=args.seed)
    record(args, 'fusion', f'{args.part}: {args.draws} draws of patients', figures)


def _run_collect(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from unsct_mmpose.calibrate import evidence_table

    model, config = evidence_table.load_model(args.config, args.checkpoint, args.device)
    if args.refinement is not None:
        model.head.decoder.reading = replace(model.head.decoder.reading, refinement=args.refinement)
    model.head.decoder.use_all_relations()
    dataset = evidence_table.build_dataset(config, 'test', args.data, args.ann_file)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    evidence_table.save_table(args.out, evidence_table.collect_evidence(model, dataset))
    print(args.out)


def _run_judgement(args: argparse.Namespace) -> None:
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import load_table
    from unsct_mmpose.research import study

    relations = relation_set(args.relations)
    table = load_table(args.table)
    base = load_table(args.calibrate_on) if args.calibrate_on else table
    if args.action == 'judge':
        wanted = args.evidence_relations
        base, _ = study.restrict_relations(base, relations, wanted)
        table, relations = study.restrict_relations(table, relations, wanted)
        figures = study.judge(table, base, relations, args.bootstrap)
    else:
        figures = dict(rows=study.ablate(table, base, relations))
    record(args, args.kind, args.calibrated_on, figures)


def record(args: argparse.Namespace, kind: str, calibrated_on: str, figures: dict) -> None:
    from unsct_mmpose.research.results import Result, describe_host, write_result

    result = Result(
        name=args.name,
        kind=kind,
        model=args.model,
        data=args.describe,
        calibrated_on=calibrated_on,
        seed=args.seed,
        figures=figures,
        commands=[shlex.join(['python', 'tools/study.py', *args.argv])],
        **describe_host(),
    )
    write_result(args.out, result)
    print(args.out)
