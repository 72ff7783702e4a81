"""Json documents that are damaged, and everything that reads json: hypothesis draws the damage."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from unsct_mmpose.anatomy import HIP, landmark_set
from unsct_mmpose.annotations.check import check_data
from unsct_mmpose.annotations.coco import (
    AnnotatedRadiograph,
    LandmarkStates,
    read_annotations,
    write_annotations,
)
from unsct_mmpose.dicom import radiograph_from_array
from unsct_mmpose.files import claim_folder, read_json
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.inference.interpret import interpret
from unsct_mmpose.maps.calibration import Calibration
from unsct_mmpose.report.measure import FORMS, measure_file, render
from unsct_mmpose.report.prediction import Prediction
from unsct_mmpose.report.run_files import read_result as read_prediction
from unsct_mmpose.report.view import view_of
from unsct_mmpose.report.writers.table import table_rows
from unsct_mmpose.research.results import read_result
from unsct_mmpose.research.training_log import read_run

from .arena import describe

BATCH = 50
"""Documents of a try."""

_SIZE = (400, 430)


@dataclass(frozen=True)
class Reader:
    """Something that reads json: a sound document, and what does with it what a command does."""

    name: str
    document: Any
    read: Callable[[Path], object]


def readers(root: Path, scratch: Path) -> list[Reader]:
    """Return everything that reads json, each with a sound document."""
    results = root / 'docs' / 'results'
    calibration = root / 'configs' / 'demo' / 'unsct_hrnet_tha_cpu.calibration.json'
    prediction = sound_prediction()
    coco = _coco(scratch)
    return [
        Reader('annotations', coco, lambda path: read_annotations(path).cases),
        Reader('annotations, checked', coco, _check),
        Reader('landmarks', _landmarks(prediction), _measure),
        Reader('landmarks of COCO', coco, _measure),
        Reader('landmark set', HIP.to_dict(), lambda path: landmark_set(path).to_dict()),
        Reader('prediction', prediction.to_dict(), _report),
        Reader('prediction of an earlier run', prediction.to_dict(), _go_on),
        Reader('calibration', json.loads(calibration.read_text()), _calibrate),
        Reader('result', json.loads(_first(results / 'runs')), lambda p: read_result(p, 'metrics')),
        Reader('training', json.loads(_first(results / 'full_size', 'unsct_*')), read_run),
        Reader('manifest', dict(seed=1, images=[1, 2], size=512), _claim),
    ]


def _first(folder: Path, pattern: str = '*') -> str:
    return sorted(folder.glob(f'{pattern}.json'))[0].read_text('utf-8')


def _check(path: Path) -> str:
    result = check_data(path, decode=False)
    return result.to_json() + result.to_text()


def _measure(path: Path) -> list[str]:
    measured = measure_file(path)
    return [render(measured, form) for form in FORMS]


def _report(path: Path) -> object:
    return _pages(Prediction.from_dict(read_json(path), str(path)))


def _go_on(path: Path) -> object:
    """Do what a run does with the results that it finds."""
    prediction = read_prediction(path)
    return None if prediction is None else _pages(prediction)


def _pages(prediction: Prediction) -> object:
    return prediction.to_json(), view_of(prediction), list(table_rows(prediction, 'name'))


def _calibrate(path: Path) -> object:
    return json.dumps(Calibration.from_dict(read_json(path), str(path)).to_dict(), allow_nan=False)


def _claim(path: Path) -> None:
    folder = path.parent / 'claimed'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(path, folder / path.name)
    try:
        claim_folder(folder, path.name, '{"seed": 1}', 'things', 'differs: {}')
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def sound_prediction() -> Prediction:
    """Return a prediction of a blank image."""
    rng = np.random.default_rng(0)
    count = len(HIP)
    fields = dict(
        keypoints=rng.uniform(20, 380, (count, 2)),
        keypoint_scores=np.full(count, 0.9),
        keypoint_uncertainties=np.full(count, 0.1),
        keypoints_visible=np.arange(count) % 5 != 0,
        keypoint_presence=np.full(count, 0.9),
        keypoint_covariances=np.tile([[4.0, 1.0], [1.0, 2.0]], (count, 1, 1)),
        keypoint_evidences=np.full((count, 3), 0.1),
        keypoint_decisions=np.ones((count, 3), bool),
        keypoint_support=np.full(count, 3),
        interval_scales=np.full(len(MEASUREMENT_NAMES), 2.0),
        interval_offsets=np.zeros(len(MEASUREMENT_NAMES)),
        error_correlation=np.eye(2 * count),
        image_state=0,
        calibrated=True,
    )
    identity = dict(backend='fake', name='fake', weights_sha256='0' * 64, region_level=0.95,
                    interval_level=0.95, calibration=dict(images=3, patients=2))  # fmt: skip
    radiograph = radiograph_from_array(
        np.full(_SIZE, 0.5, np.float32), spacing_xy_mm=(1.0, 1.0), magnification=1.2
    )
    return interpret(radiograph, fields, identity, 'x.dcm')


def _landmarks(prediction: Prediction) -> list[dict[str, Any]]:
    places = {
        landmark.name: dict(
            x=landmark.x,
            y=landmark.y,
            present=landmark.reported,
            covariance=[[4.0, 0.5], [0.5, 6.0]],
        )
        for landmark in prediction.landmarks
    }
    record = dict(pixel_spacing=[0.9, 0.9], magnification=1.2, simulated=False, landmarks=places)
    return [dict(image='a.dcm', **record), dict(image='b.dcm', **record)]


def _coco(scratch: Path) -> Any:
    rng = np.random.default_rng(1)
    sides = np.array([300 if HIP.side_of(k) == 'left' else 100 for k in range(len(HIP))])
    cases = []
    for number in (1, 2):
        points = np.c_[sides + rng.uniform(-40, 40, len(HIP)), rng.uniform(40, 360, len(HIP))]
        present = rng.random(len(HIP)) > 0.2
        states = LandmarkStates(points * present[:, None], present, ~present)
        cases.append(
            AnnotatedRadiograph(
                number,
                f'{number}.dcm',
                (430, 400),
                states,
                'unstructured',
                (0.9, 0.9),
                1.2,
                f'p{number}',
            )
        )
    write_annotations(scratch / 'sound.json', cases)
    return json.loads((scratch / 'sound.json').read_text())


def try_documents(reader: Reader, number: int, scratch: Path) -> tuple[str, str, dict[str, int]]:
    """Read a batch of damaged documents; return what came of it, words, and counts.

    The same number and hypothesis give the same documents.
    """
    counts = dict(survived=0, refused=0, faults=0)
    faults: list[tuple[int, str]] = []
    path = scratch / 'document.json'

    @seed(number)
    @settings(max_examples=BATCH, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(_texts(reader.document))
    def read(content: bytes) -> None:
        path.unlink(missing_ok=True)  # a file that is cut goes to the disk at once, a new one later
        path.write_bytes(content)
        outcome, words = judge(reader.read, path)
        counts[outcome if outcome != 'foreign' else 'faults'] += 1
        if outcome == 'foreign':
            faults.append((len(content), words))

    read()
    words = min(faults)[1] if faults else ''
    return 'foreign' if faults else 'survived', words, counts


def try_places(reader: Reader, scratch: Path) -> tuple[str, str, dict[str, int]]:
    """Read a document with each of its places, alike ones once, holding what it should not."""
    counts = dict(survived=0, refused=0, faults=0)
    faults: list[str] = []
    path = scratch / 'document.json'
    document = copy.deepcopy(reader.document)
    for holder, key in _places(document):
        before = holder[key]
        for value in (10**400, -1, 1e308, float('nan'), None, True, {}, [], '\x1b[31m'):
            holder[key] = value
            path.unlink(missing_ok=True)
            path.write_text(json.dumps(document))
            outcome, words = judge(reader.read, path)
            counts[outcome if outcome != 'foreign' else 'faults'] += 1
            if outcome == 'foreign':
                faults.append(f'{key}: {words}')
        holder[key] = before
    return 'foreign' if faults else 'survived', '; '.join(faults[:3]), counts


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Return where a document holds something; of a list and a long object the first two alike."""
    found: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def walk(holder: Any, shape: tuple[Any, ...]) -> None:
        entries = dict(enumerate(holder)) if isinstance(holder, list) else holder
        if not isinstance(entries, dict):
            return
        alike = isinstance(holder, list) or len(entries) > 40
        for number, (key, value) in enumerate(entries.items()):
            named = (*shape, min(number, 1) if alike else key)
            found.setdefault(named, (holder, key))
            walk(value, named)

    walk(document, ())
    return list(found.values())


def judge(read: Callable[[Path], object], path: Path) -> tuple[str, str]:
    """Read a document; a refusal is a ValueError or OSError that names the file, in words."""
    try:
        read(path)
    except (ValueError, OSError) as error:
        text = str(error)
        shown = all(line.isprintable() for line in text.splitlines())
        if str(path) in text and shown:
            return 'refused', text
        return 'foreign', describe(error)
    except Exception as error:
        return 'foreign', describe(error)
    return 'survived', ''


_NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, -(2**63), 10**30, 1e308, -1e308, float('nan'),
    float('inf'), 0.5, '', ' ', 'x', '\x1b[31m', '\ud800', 'left_fovea', [], {}, [[]], [None],
    [1, 2], [0, 0], {'x': 1}, 'NaN', '1', 10**400,
)  # fmt: skip

_VALUES = st.recursive(
    st.sampled_from(_NASTY) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=6,
)


@st.composite
def _damaged(draw: Callable[[Any], Any], document: Any) -> Any:
    """Draw a document of which some places hold something else, or nothing."""
    damaged = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        place = _place(draw, damaged)
        if place is None:
            return draw(_VALUES)
        holder, key = place
        action = draw(st.sampled_from(('value', 'value', 'value', 'delete', 'twice', 'rename')))
        if action == 'value':
            holder[key] = copy.deepcopy(draw(_VALUES))  # what follows may change it
        elif action == 'delete':
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif action == 'rename':
            holder[draw(st.sampled_from((f'{key}s', key.upper(), '', 'id')))] = holder.pop(key)
    return damaged


def _place(draw: Callable[[Any], Any], document: Any) -> tuple[Any, Any] | None:
    """Draw a place in a document; None for the whole of it."""
    holder, place = document, None
    while isinstance(holder, (dict, list)) and holder:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(st.sampled_from(keys))
        place = (holder, key)
        if draw(st.integers(0, 3)) == 0:
            break
        holder = holder[key]
    return place


def _texts(document: Any) -> st.SearchStrategy[bytes]:
    """Return a strategy of texts: damaged documents, and texts that are damaged themselves."""
    sound = json.dumps(document).encode()
    whole = _damaged(document).map(lambda value: json.dumps(value).encode())
    broken = st.sampled_from(
        [
            b'', b'\xef\xbb\xbf' + sound, sound[:-1], sound * 2, b'[' * 200_000, b'{"a":' * 50_000,
            b'9' * 6000, b'[' + b'9' * 6000 + b']', b'\xff\xfe', sound.decode().encode('utf-16'),
            b'NaN', b'null', b'"\\ud800"', b'\0' * 100, sound.replace(b'"', b"'"),
            sound.replace(b': ', b': 1'), b'"' + b'a' * 10**6 + b'"',
        ]
    )  # fmt: skip

    @st.composite
    def flipped(draw: Callable[[Any], Any]) -> bytes:
        changed = bytearray(sound)
        for _ in range(draw(st.integers(1, 4))):
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
        return bytes(changed)

    return st.one_of(whole, whole, whole, whole, flipped(), broken)
