"""The short form of `make torture`, and that each of its parts sees a fault when there is one."""

import json
import os
import random
import time
from dataclasses import astuple, replace
from functools import cache
from itertools import islice, starmap
from pathlib import Path
from signal import SIGINT
from types import SimpleNamespace

import numpy as np
import pytest

from unsct_mmpose.dicom import read
from unsct_mmpose.research.torture import corpus, display_oracle, doors, mutants
from unsct_mmpose.research.torture.arena import Bounds, run_tries
from unsct_mmpose.research.torture.documents import (
    BATCH,
    Reader,
    readers,
    try_documents,
    try_places,
)
from unsct_mmpose.research.torture.jpeg_encoder import encode_lossless
from unsct_mmpose.research.torture.kills import END, stop_rounds
from unsct_mmpose.research.torture.ledger import Entry, Ledger, summarise
from unsct_mmpose.research.torture.mutants import pictures
from unsct_mmpose.research.torture.page import render_reliability_page
from unsct_mmpose.research.torture.stages import judge_case
from unsct_mmpose.research.torture.workshop import Job, half_written

ROOT = Path(__file__).resolve().parents[2]


def thin(cases, step):
    return list(islice(cases, 0, None, step))


@pytest.mark.parametrize(
    ('cases', 'step'),
    [
        (corpus.native_cases, 211),
        (corpus.compressed_cases, 101),
        (corpus.frame_cases, 5),
        (corpus.colour_cases, 4),
        (corpus.palette_cases, 6),
        (corpus.odd_cases, 2),
        (corpus.refused_cases, 7),
    ],
)
def test_some_of_the_corpus_reads_right(cases, step):
    for case in thin(cases(), step):
        outcome, words = judge_case(case)
        assert outcome == ('refused' if case.expected is None else 'survived'), words


def test_a_wrong_display_is_seen(monkeypatch):
    case = next(corpus.native_cases())
    assert judge_case(case)[0] == 'survived'
    assert judge_case(replace(case, expected=None))[0] == 'wrong'
    real = read.apply_voi
    monkeypatch.setattr(read, 'apply_voi', lambda *args: (np.clip(real(*args)[0] + 1e-3, 0, 1), ''))
    assert judge_case(case)[0] == 'wrong'


def test_the_oracle_by_hand():
    # PS3.3, C.11.2.1.2.1: c = 2048, w = 4096
    display = display_oracle.Display(window=(2048, 4096))
    shown = display.show([0, 2047, 2048, 4095])
    assert shown == pytest.approx([0, 2047 / 4095, 2048 / 4095, 1])
    table = display_oracle.Table(10, (5, 7, 9), 8)
    assert table.look_up([0, 10, 11, 99]).tolist() == [5, 5, 7, 9]
    assert display_oracle.expand_segments([(0, 2, 0, 8), (1, 4, 0)]) == [0, 8, 6, 4, 2, 0]


def test_another_decoder_reads_what_the_jpeg_encoder_writes():
    gdcm = pytest.importorskip('pydicom.pixels.decoders.gdcm')
    assert gdcm
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLossless

    values = np.random.default_rng(0).integers(0, 4096, (9, 11)).astype(np.uint16)
    for predictor in range(1, 8):
        stream = encode_lossless(values, 12, predictor)
        array, _ = get_decoder(JPEGLossless).as_array(
            encapsulate([stream]), index=0, decoding_plugin='gdcm', rows=9, columns=11,
            samples_per_pixel=1, bits_allocated=16, bits_stored=12, pixel_representation=0,
            photometric_interpretation='MONOCHROME2', number_of_frames=1, pixel_keyword='PixelData',
        )  # fmt: skip
        np.testing.assert_array_equal(array, values)


@cache
def some_seeds():
    return [case.file() for case in thin(corpus.native_cases(), 401)] + pictures()


def test_some_mutants_survive_or_are_refused(tmp_path):
    seeds = some_seeds()
    for number in range(40):
        _, content = mutants.mutant(number, seeds)
        outcome, words = doors.read_file(content, number, tmp_path / 'mutant')
        assert outcome in ('survived', 'refused'), (number, words)


def test_a_mutant_is_its_number():
    seeds = some_seeds()
    assert mutants.mutant(5, seeds) == mutants.mutant(5, seeds)
    assert len({mutants.mutant(k, seeds)[1] for k in range(30)}) > 25
    rng, content = random.Random(0), seeds[0]
    for name, change in mutants.CHANGES.items():
        if name != 'bomb':
            assert any(change(rng, content, seeds) != content for _ in range(10)), name


def test_a_bomb_is_what_it_says():
    content = mutants._deflated_bomb(random.Random(0), 2000, 1000)
    assert len(content) < 30_000
    assert doors.read_image(content) == ('survived', '')


def misbehave(number):
    if number == 1:
        raise KeyError('of a library')
    if number == 2:
        os._exit(7)
    if number == 3:
        until = time.process_time() + 60
        while time.process_time() < until:
            pass
    if number == 4:
        bytearray(3 * 2**30)
    if number == 5:
        np.ones(2**27, np.uint8)
    return 'kind', 'survived', ''


def fight():
    """Print what comes of each number; in a process without threads, which may fork."""
    bounds = Bounds(seconds=1.0, memory_mb=100)
    print(json.dumps([astuple(entry) for entry in run_tries(range(7), misbehave, 2, bounds)]))


def test_the_arena_tells_faults_apart(run_python):
    here = Path(__file__)
    code = f'from {here.stem} import fight; fight()'
    done = run_python('-c', code, path=[here.parent, ROOT])
    entries = {entry.number: entry for entry in starmap(Entry, json.loads(done.stdout))}
    outcomes = {number: entry.outcome for number, entry in entries.items()}
    assert outcomes == {
        0: 'survived', 1: 'foreign', 2: 'ended', 3: 'hang', 4: 'memory', 5: 'memory', 6: 'survived',
    }  # fmt: skip
    assert 'KeyError' in entries[1].words and 'status 7' in entries[2].words


def test_a_ledger_goes_on_after_a_line_was_cut_off(tmp_path):
    path = tmp_path / 'x.jsonl'
    ledger = Ledger(path)
    for number in range(3):
        ledger.add(Entry(number, 'a', 'survived'))
    ledger.close()
    path.write_bytes(path.read_bytes()[:-9])
    again = Ledger(path)
    assert set(again.entries) == {0, 1}
    again.add(Entry(2, 'a', 'refused', 'words'))
    again.close()
    assert [Ledger(path).entries[k].outcome for k in range(3)] == ['survived'] * 2 + ['refused']


@pytest.mark.parametrize('name', ['prediction', 'calibration', 'landmarks', 'annotations'])
def test_some_damaged_documents_are_read_or_refused(tmp_path, name):
    (reader,) = (reader for reader in readers(ROOT, tmp_path) if reader.name == name)
    assert reader.read(write(tmp_path, reader.document)) is not None
    outcome, words, counts = try_documents(reader, 0, tmp_path)
    assert outcome == 'survived', words
    assert sum(counts.values()) == BATCH and counts['refused'] > 0


@pytest.mark.parametrize('name', ['annotations', 'calibration', 'landmark set', 'result'])
def test_every_place_of_a_document_may_hold_anything(tmp_path, name):
    (reader,) = (reader for reader in readers(ROOT, tmp_path) if reader.name == name)
    outcome, words, counts = try_places(reader, tmp_path)
    assert outcome == 'survived', words
    assert counts['refused'] > 20 and sum(counts.values()) % 9 == 0


def test_every_place_is_one_of_each_kind(tmp_path):
    document = dict(a=[1, 2, 3], b=dict(c=4, d=[dict(e=5), dict(e=6), dict(e=7)]))
    read = []
    reader = Reader('any', document, lambda path: read.append(path.read_text()))
    try_places(reader, tmp_path)
    assert len(read) == 9 * 10 and document['b']['d'][1]['e'] == 6


def write(folder, document):
    path = folder / 'sound.json'
    path.write_text(json.dumps(document))
    return path


def test_a_reader_that_takes_anything_is_seen(tmp_path):
    careless = Reader('x', {'a': [1, 2]}, lambda path: json.loads(path.read_text())['a'][0] + 1)
    outcome, words, counts = try_documents(careless, 0, tmp_path)
    assert outcome == 'foreign' and counts['faults'] and 'Error' in words


def test_half_written_files_are_seen(tmp_path):
    (tmp_path / 'whole.json').write_text('{}')
    (tmp_path / 'half.json').write_text('{"a": ')
    (tmp_path / 'half.png').write_bytes(pictures()[0][:-20])
    (tmp_path / 'whole.png').write_bytes(pictures()[0])
    (tmp_path / '.hidden.json.1.tmp').write_text('{')
    assert half_written(tmp_path) == ['half.json', 'half.png']


class Stoppable:
    """A command that is at its work until it is stopped, or done the next time it is waited for."""

    pid, words, log = 0, ('command',), None

    def __init__(self, status, said):
        self.status, self._status, self._said, self.seconds = None, status, said, 1.0

    def wait(self, seconds):
        self.status = 0 if seconds > 1 else None
        return self.status == 0

    def stop(self, how):
        assert how == SIGINT
        self.status = self._status

    def said(self):
        return self._said

    def left(self):
        return []


@pytest.mark.parametrize(
    ('status', 'said', 'outcome'),
    [
        (130, 'interrupted', 'survived'),
        (0, 'done', 'survived'),
        (1, 'failed', 'lost'),
        (-6, 'terminate called without an active exception', 'lost'),
        (None, 'goes on', 'lost'),
        (130, 'Traceback (most recent call last): of a process of its own', 'lost'),
    ],
)
def test_a_command_that_ends_as_none_should_is_seen(tmp_path, status, said, outcome):
    job = Job('job', lambda out: [], lambda out: {})
    shop = SimpleNamespace(
        jobs=lambda: [job], start=lambda *given, program=False: Stoppable(status, said)
    )
    (entry,) = stop_rounds(shop, END, 1, frozenset(), tmp_path / 'scratch')
    assert entry.outcome == outcome and (outcome == 'survived' or said in entry.words)


def test_the_page_counts_what_the_json_does(tmp_path):
    entries = [Entry(0, 'cut', 'survived'), Entry(1, 'cut', 'refused', seconds=2.0, peak_mb=9.0),
               Entry(2, 'flip', 'hang', 'late')]  # fmt: skip
    stages = dict(
        mutants=summarise(entries) | dict(code='abc'),
        disk=summarise([]) | dict(code='abc', skipped='skipped: no mounts'),
    )
    summary = dict(bounds=dict(seconds=20, memory_mb=1024), stages=stages,
                   host=dict(machine='m', versions={}))  # fmt: skip
    (tmp_path / 'reliability').mkdir()
    (tmp_path / 'reliability/torture.json').write_text(json.dumps(summary))
    page = render_reliability_page(tmp_path)
    assert '| Mutants of files | 3 | 1 | 1 | 0 | 0 | 1 | 0 | 0 | 0 | 2.0 | 9 |' in page
    assert '| A full disk | skipped: no mounts |' in page
    assert '| cut | 2 | 1 | 1 | 0 |' in page and '2, flip: hang: late' in page
