"""The stages of torture: each tries so many things, goes on where it stopped, and is summarised."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from unsct_mmpose.dicom import RadiographError, radiograph_from_bytes
from unsct_mmpose.files import read_record, write_json
from unsct_mmpose.research.results import describe_host

from .arena import Bounds, Verdict, run_tries
from .corpus import Case, corpus
from .doors import read_file
from .ledger import GOOD, Entry, Ledger, summarise
from .mutants import mutant, seed_files
from .workshop import Main, Shop

MUTANTS, DOCUMENTS, STOPS = 20_000, 2_000, 20

ROOT = Path(__file__).resolve().parents[3]


def _no_commands(words: Sequence[str]) -> int:
    raise NotImplementedError('this run has no commands')


@dataclass(frozen=True)
class Request:
    """How much is tried, by how many processes, and where what came of it is kept.

    A stage without a limit tries all of it; ``seeds`` is a folder of more files to make mutants of;
    ``main`` runs a command line of this package, for the stages that need one.
    """

    folder: Path
    limits: Mapping[str, int | None] = field(default_factory=dict)
    jobs: int = 1
    seeds: Path | None = None
    bounds: Bounds = field(default_factory=Bounds)
    main: Main = field(default=_no_commands)


def run_stages(names: Sequence[str], request: Request, out: Path, root: Path) -> int:
    """Do what stages still lack, and write the one json after each; return how many tries failed.

    The json keeps what it says of other stages, and the commit of the checkout.
    """
    summary: dict[str, Any] = read_record(out) or {}
    stages: dict[str, Any] = summary.get('stages', {})
    for name in names:
        stages[name] = _run_stage(name, request, _code_in_use(root))
        bounds = dict(seconds=request.bounds.seconds, memory_mb=request.bounds.memory_mb)
        ordered = {stage: stages[stage] for stage in STAGES if stage in stages}
        write_json(out, dict(bounds=bounds, host=describe_host(), stages=ordered))
    return sum(sum(stages[name]['faults'].values()) for name in names)


def _run_stage(name: str, request: Request, code: str) -> dict[str, Any]:
    """Do what a stage still lacks; return its summary, with every code that it was done with."""
    ledger, noted = Ledger(request.folder / f'{name}.jsonl'), request.folder / f'{name}.code'
    codes = noted.read_text('utf-8').split() if noted.is_file() else []
    try:
        for entry in STAGES[name](request, frozenset(ledger.entries)):
            ledger.add(entry)
            if code not in codes:
                codes.append(code)
                noted.write_text(' '.join(codes), 'utf-8')
    except SkippedError as reason:
        return {**summarise([]), 'skipped': str(reason), 'code': code}
    finally:
        ledger.close()
    tried = [ledger.entries[number] for number in sorted(ledger.entries)]
    return {**summarise(tried), 'code': ' '.join(codes) or code}


def _code_in_use(root: Path) -> str:
    """Return the commit of a checkout, with ``+`` where it was changed since; ``unknown`` else."""

    def git(*words: str) -> str:
        return subprocess.run(
            ['git', '-C', str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git('status', '--porcelain', '--untracked-files=no', 'unsct_mmpose')
        return git('rev-parse', '--short=10', 'HEAD') + '+' * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def _corpus(request: Request, done: frozenset[int]) -> Iterator[Entry]:
    cases = list(islice(corpus(), request.limits.get('corpus')))

    def work(number: int) -> Verdict:
        case = cases[number]
        return case.name.split('/')[0], *judge_case(case)

    yield from _progress('corpus', len(cases), done, partial(run_tries, work=work), request)


def judge_case(case: Case) -> tuple[str, str]:
    """Read a case of the corpus, and hold it against what it must give."""
    try:
        pixels = radiograph_from_bytes(case.file(), 'file', frame=case.frame).pixels
    except RadiographError as error:
        return ('refused', '') if case.expected is None else ('wrong', f'{case.name}: {error}')
    if case.expected is None:
        return 'wrong', f'{case.name}: it is shown'
    if pixels.shape != case.expected.shape:
        return 'wrong', f'{case.name}: shape {pixels.shape}'
    difference = float(np.abs(pixels - case.expected).max())
    if not difference <= case.tolerance:
        return 'wrong', f'{case.name}: off by {difference:.3g}'
    return 'survived', ''


def _mutants(request: Request, done: frozenset[int]) -> Iterator[Entry]:
    count = request.limits.get('mutants') or MUTANTS
    if len(done) >= count:
        return
    seeds = seed_files(request.seeds)
    work = partial(_try_mutant, seeds=seeds, folder=request.folder)
    yield from _progress('mutants', count, done, partial(run_tries, work=work), request)
    for path in request.folder.glob('mutant-*.bin'):
        path.unlink()


def _try_mutant(number: int, seeds: list[bytes], folder: Path) -> Verdict:
    kind, content = mutant(number, seeds)
    return kind, *read_file(content, number, folder / f'mutant-{os.getpid()}.bin')


def _progress(
    name: str,
    count: int,
    done: frozenset[int],
    run: Callable[..., Iterable[Entry]],
    request: Request,
) -> Iterator[Entry]:
    """Run what is not done yet, and show how far it is."""
    waiting = [number for number in range(count) if number not in done]
    entries = run(waiting, jobs=request.jobs, bounds=request.bounds)
    yield from _shown(name, count, entries, count - len(waiting))


def _shown(name: str, count: int, entries: Iterable[Entry], done: int) -> Iterator[Entry]:
    with tqdm(total=count, initial=done, desc=name, mininterval=5.0) as bar:
        for entry in entries:
            bar.update()
            if entry.outcome not in GOOD:
                bar.write(f'{name} {entry.number}: {entry.outcome}: {entry.words}')
            yield entry


def _documents(request: Request, done: frozenset[int]) -> Iterator[Entry]:
    from .documents import BATCH, readers, try_documents, try_places

    scratch = request.folder / 'json'
    scratch.mkdir(parents=True, exist_ok=True)
    all_readers = readers(ROOT, scratch)
    batches = -(-(request.limits.get('json') or DOCUMENTS) // BATCH) * len(all_readers)

    def work(number: int) -> Verdict:
        reader = all_readers[number % len(all_readers)]
        place = scratch / str(os.getpid())
        place.mkdir(exist_ok=True)
        if number >= batches:
            return reader.name, *try_places(reader, place)
        return reader.name, *try_documents(reader, number, place)

    yield from _progress(
        'json', batches + len(all_readers), done, partial(run_tries, work=work), request
    )
    shutil.rmtree(scratch)


def _stops(stage: str, request: Request, done: frozenset[int]) -> Iterator[Entry]:
    from .kills import END, KILL, STOPS_A_ROUND, stop_rounds

    shop = _shop(request)
    stops = request.limits.get(stage) or STOPS
    rounds = -(-stops // STOPS_A_ROUND) * len(shop.jobs())
    scratch = (request.folder / stage).absolute()
    signals = KILL if stage == 'kills' else END
    yield from _shown(stage, rounds, stop_rounds(shop, signals, stops, done, scratch), len(done))


def _full_disks(request: Request, done: frozenset[int]) -> Iterator[Entry]:
    from .kills import SHARES, can_mount, full_disks

    scratch = (request.folder / 'starved').absolute()
    if problem := can_mount(scratch):
        raise SkippedError(problem)
    shop = _shop(request)
    count = len(SHARES) * len(shop.jobs())
    limit = request.limits.get('disk') or count
    entries = islice(full_disks(shop, done, scratch), max(limit - len(done), 0))
    yield from _shown('disk', min(limit, count), entries, len(done))


def _shop(request: Request) -> Shop:
    shop = Shop((request.folder / 'shop').absolute(), ROOT, request.main)
    shop.build()
    return shop


class SkippedError(Exception):
    """A stage cannot be done here; the message says why, in words."""


STAGES: dict[str, Callable[[Request, frozenset[int]], Iterator[Entry]]] = {
    'corpus': _corpus,
    'mutants': _mutants,
    'json': _documents,
    'kills': partial(_stops, 'kills'),
    'signals': partial(_stops, 'signals'),
    'disk': _full_disks,
}
