"""Study uncertainty: read a model's maps (`collect`), `judge`, `ablate`, compare `fusion`s.

`promise` compares what is promised for new patients with what is held.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    collect = commands.add_parser('collect', help='run a model over images, keep its evidence')
    collect.add_argument('config', type=Path)
    collect.add_argument('checkpoint', type=Path)
    collect.add_argument('--data', type=Path, required=True, help='folder of the data')
    collect.add_argument('--ann-file', required=True, help='annotation file in it')
    collect.add_argument('--out', type=Path, required=True, help='npz file to write')
    collect.add_argument('--refinement', help='sub-pixel method')
    collect.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda or cuda:1; auto is CUDA where there is any (default: %(default)s)',
    )  # fmt: skip
    for name, words in (
        ('judge', 'decisions beside their baselines, with confidence intervals by patient'),
        ('ablate', 'entropy modes, aggregations, relation sets and features'),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument('table', type=Path, help='npz file of the images to judge on')
        command.add_argument(
            '--calibrate-on', type=Path, metavar='NPZ',
            help='images that thresholds come from (default: the same); patients in both are '
            'judged by thresholds from all others',
        )  # fmt: skip
        command.add_argument('--relations', default='full', help="the model's relation set")
        command.add_argument('--name', required=True, help='short name of the result')
        command.add_argument('--model', required=True, help='what the model was trained on')
        command.add_argument('--describe', required=True, help='what it is judged on, in words')
        command.add_argument('--calibrated-on', required=True, help='where thresholds come from')
        command.add_argument('--seed', type=int, default=0, help='seed of the training')
        command.add_argument('--kind', default=name.replace('judge', 'main'),
                             choices=['main', 'shift', 'ablation', 'ablate'])  # fmt: skip
        command.add_argument('--out', type=Path, required=True, help='json file to write')
    _add_fusion(commands.add_parser('fusion', help='how far the fusion is drawn to the peak'))
    _add_grown(commands.add_parser('grown', help='regions grown from heatmaps beside ellipses'))
    _add_promise(commands.add_parser('promise', help='coverage of new patients, by their number'))
    commands.choices['judge'].add_argument('--bootstrap', type=int, default=1000)
    commands.choices['judge'].add_argument(
        '--evidence-relations', default='core', help='those that speak (default: %(default)s)'
    )
    return parser.parse_args()


def _add_fusion(command: argparse.ArgumentParser) -> None:
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument('--pool', type=Path, nargs='+', help='npz files whose patients calibrate')
    source.add_argument(
        '--misleading', type=float, help='draw patients; a share of them has misleading fields'
    )
    command.add_argument(
        '--judge', type=Path, nargs='*', default=[], metavar='NPZ',
        help="more images to judge on, beside the pool's other patients",
    )  # fmt: skip
    command.add_argument('--sizes', type=int, nargs='+', default=[1, 2, 3, 5, 10, 30])
    command.add_argument('--draws', type=int, default=30, help='of each size')
    command.add_argument('--seed', type=int, default=0, help='of the drawing')
    command.add_argument('--name', required=True, help='short name of the result')
    command.add_argument('--model', required=True, help='what the model was trained on')
    command.add_argument('--describe', required=True, help='what it is judged on, in words')
    command.add_argument('--part', required=True, choices=['design', 'confirmation'],
                         help='whether the rule was designed on it')  # fmt: skip
    command.add_argument('--out', type=Path, required=True, help='json file to write')


def _add_promise(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        '--pool', type=Path, nargs='+', required=True,
        help='npz files; drawn patients calibrate, the others are judged',
    )  # fmt: skip
    command.add_argument(
        '--shifted', type=Path, nargs='*', default=[], metavar='NPZ',
        help='more images to judge on, without the patients that calibrate',
    )  # fmt: skip
    command.add_argument('--first-images', type=int, metavar='N',
                         help='take N images of each patient (default: all)')  # fmt: skip
    command.add_argument('--judged', type=int, metavar='N',
                         help='judge on N drawn patients of the pool (default: all)')  # fmt: skip
    command.add_argument('--sizes', type=int, nargs='+', default=[3, 5, 10, 14])
    command.add_argument('--draws', type=int, default=20, help='of each size')
    command.add_argument('--seed', type=int, default=0, help='of the drawing')
    command.add_argument('--name', required=True, help='short name of the result')
    command.add_argument('--model', required=True, help='what the model was trained on')
    command.add_argument('--describe', required=True, help='what it is judged on, in words')
    command.add_argument('--out', type=Path, required=True, help='json file to write')


def _add_grown(command: argparse.ArgumentParser) -> None:
    command.add_argument('config', type=Path)
    command.add_argument('checkpoint', type=Path)
    command.add_argument('--data', type=Path, required=True, help='folder of the data')
    command.add_argument('--ann-file', required=True, help='annotation file in it')
    command.add_argument('--images', type=int, help='the first ones only (default: all)')
    command.add_argument('--patients', type=int, default=53, help='that calibrate')
    command.add_argument('--draws', type=int, default=20)
    command.add_argument('--seed', type=int, default=0, help='of the drawing')
    command.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:1')
    command.add_argument('--name', required=True, help='short name of the result')
    command.add_argument('--model', required=True, help='what the model was trained on')
    command.add_argument('--describe', required=True, help='what it is judged on, in words')
    command.add_argument('--out', type=Path, required=True, help='json file to write')


def run_promise(args: argparse.Namespace) -> None:
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import concatenate, load_table
    from unsct_mmpose.research import promise_study, study

    full, core = relation_set('full'), relation_set('core')

    def load(path: Path):
        return study.restrict_relations(load_table(path), full, 'core')[0]

    pool = concatenate([load(path) for path in args.pool])
    if args.first_images:
        pool = promise_study.first_images(pool, args.first_images)
    shifted = {path.stem: load(path) for path in args.shifted}
    figures = promise_study.compare(
        pool, shifted, core, args.sizes, draws=args.draws, seed=args.seed,
        judged_patients=args.judged,
    )  # fmt: skip
    words = f'{args.draws} draws of patients out of {len(set(pool.patients.tolist()))}'
    record(args, 'promise', words, figures)


def run_grown(args: argparse.Namespace) -> None:
    from unsct_mmpose.calibrate.evidence_table import build_dataset, load_model
    from unsct_mmpose.research import grown_study

    model, config = load_model(args.config, args.checkpoint, args.device)
    model.head.decoder.use_all_relations()
    dataset = build_dataset(config, 'test', args.data, args.ann_file)
    found = grown_study.collect(model, dataset, args.images)
    figures = grown_study.compare(found, args.patients, args.draws, args.seed)
    words = f'{args.draws} draws of {args.patients} patients that calibrate'
    record(args, 'grown', words, figures)


def run_fusion(args: argparse.Namespace) -> None:
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import concatenate, load_table
    from unsct_mmpose.research import fusion_study, study

    full, core = relation_set('full'), relation_set('core')

    def load(path: Path):
        return study.restrict_relations(load_table(path), full, 'core')[0]

    if args.pool is None:
        pool, other = (
            fusion_study.simulated_table(count, core, misleading=args.misleading, seed=seed)
            for count, seed in ((60, 2 * args.seed + 1), (30, 2 * args.seed + 2))
        )
        judged = {'other drawn patients': other}
    else:
        pool = concatenate([load(path) for path in args.pool])
        judged = {'the other patients': pool}
    judged |= {path.stem: load(path) for path in args.judge}
    figures = fusion_study.compare(pool, judged, core, args.sizes, draws=args.draws, seed=args.seed)
    record(args, 'fusion', f'{args.part}: {args.draws} draws of patients', figures)


def run_collect(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from unsct_mmpose.calibrate.evidence_table import (
        build_dataset,
        collect_evidence,
        load_model,
        save_table,
    )

    model, config = load_model(args.config, args.checkpoint, args.device)
    if args.refinement is not None:
        model.head.decoder.reading = replace(model.head.decoder.reading, refinement=args.refinement)
    model.head.decoder.use_all_relations()
    dataset = build_dataset(config, 'test', args.data, args.ann_file)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_table(args.out, collect_evidence(model, dataset))
    print(args.out)


def run_judgement(args: argparse.Namespace) -> None:
    from unsct_mmpose.anatomy import relation_set
    from unsct_mmpose.calibrate.evidence_table import load_table
    from unsct_mmpose.maps.assessment import DecisionOptions
    from unsct_mmpose.maps.calibration_fit import FitOptions
    from unsct_mmpose.research import study

    relations = relation_set(args.relations)
    table = load_table(args.table)
    base = load_table(args.calibrate_on) if args.calibrate_on else table
    if args.command == 'judge':
        wanted = args.evidence_relations
        base, _ = study.restrict_relations(base, relations, wanted)
        table, relations = study.restrict_relations(table, relations, wanted)
    common = dict(calibration_table=base, fit=FitOptions())
    if args.command == 'judge':
        figures = study.judge(
            table, relations, DecisionOptions(), bootstrap=args.bootstrap, **common
        )
    else:
        figures = dict(rows=study.ablate(table, relations, **common))
    kind = 'ablation' if args.kind == 'ablate' else args.kind
    record(args, kind, args.calibrated_on, figures)


def record(args: argparse.Namespace, kind: str, calibrated_on: str, figures: dict) -> None:
    from unsct_mmpose.research import results, study

    result = study.StudyResult(
        name=args.name,
        kind=kind,
        model=args.model,
        data=args.describe,
        calibrated_on=calibrated_on,
        seed=args.seed,
        figures=figures,
        commands=[shlex.join(['python', *sys.argv])],
        machine=results.describe_machine(),
        versions=results.installed_versions(),
    )
    study.write_study(args.out, result)
    print(args.out)


def main() -> int:
    args = parse_args()
    try:
        runs = dict(collect=run_collect, fusion=run_fusion, grown=run_grown, promise=run_promise)
        runs.get(args.command, run_judgement)(args)
    except (ValueError, OSError) as error:
        print(f'study: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
