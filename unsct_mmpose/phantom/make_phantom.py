"""Write a data set of simulated radiographs: DICOM files and COCO keypoint annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from unsct_mmpose.annotations import AnnotatedRadiograph, LandmarkStates, write_annotations
from unsct_mmpose.cores import allowed_cores
from unsct_mmpose.dicom.read_ahead import work_ahead
from unsct_mmpose.dicom.spacing import PLAUSIBLE_SPACING_MM
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.files import (
    claim_folder,
    is_finished,
    read_record,
    replace_file,
    write_record,
)

from .generate import FIELD_MM, PhantomRadiograph, child, make_case, sample_patient

SPLITS = ('train', 'val', 'test')
UNSTRUCTURED_SHARE = {'train': 32 / 257, 'val': 18 / 53, 'test': 18 / 53}
"""Share of images with absent landmarks, as in the paper's data; test is like val."""

FORMAT_VERSION = 1
"""Changes whenever the same seed gives other images."""

LEAST_FIELD_MM = 400.0
"""Side of the smallest detector that shows all landmarks of the largest person."""

COORDINATE = 'pixel centres at integers; keypoints: all left 1..12, then all right 1..12'
MANIFEST = 'phantom.json'
RECORDS = '.records'
_PATIENT_KEY = 10

_README = """# Simulated AP pelvic radiographs

Every image here is computed from a parametric 3-D phantom (unsct_mmpose, tools/make_phantom.py):
**no patient, no clinical image, no claim about clinical accuracy.**

- `images/*.dcm`: DX for presentation; `ImagerPixelSpacing` and the magnification of the plane of
  the head centres always, `PixelSpacing` in some.
- `train.json`, `val.json`, `test.json`: COCO keypoints, all left 1..12, then all right 1..12 (the
  patient's left). `pixel_spacing` [x, y] is in mm at the detector: lengths at the bone are pixels
  times spacing over `magnification`. A landmark that the image does not show is 0, 0, 0 and named
  in `absent`; why, stands in `absent_reason`. No patient is in two splits.
- `phantom.json`: the parameters. The same parameters give the same files.
"""


@dataclass(frozen=True)
class PhantomOptions:
    """What decides the content of a data set.

    Attributes:
        train: images for training.
        val: images for validation.
        test: images for testing.
        seed: decides everything random.
        size: rows and columns, pixels.
        spacing_mm: detector pixel; None makes the side 430 mm.
        bits: stored bits, 12 to 16.
        images_per_patient: of every patient; None draws 1 to 3.
    """

    train: int = 257
    val: int = 53
    test: int = 53
    seed: int = 0
    size: int = 512
    spacing_mm: float | None = None
    bits: int = 12
    images_per_patient: int | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.images_per_patient is not None and self.images_per_patient < 1:
            raise ValueError(
                f'images_per_patient must be at least 1, not {self.images_per_patient}'
            )
        if min(self.train, self.val, self.test) < 0:
            raise ValueError('numbers of images must not be negative')
        if self.size < 1:
            raise ValueError(f'size must be at least 1 pixel, not {self.size}')
        if self.seed < 0:
            raise ValueError(f'seed must not be negative, not {self.seed}')
        if self.spacing_mm is not None and not self.spacing_mm > 0:
            raise ValueError(f'spacing must be positive, not {self.spacing_mm}')
        if self.spacing_mm is None and FIELD_MM / self.size > PLAUSIBLE_SPACING_MM[1]:
            raise ValueError(
                f'size {self.size} makes pixels of {FIELD_MM / self.size:.3g} mm, which no reader '
                f'takes for a radiograph: choose {FIELD_MM / PLAUSIBLE_SPACING_MM[1]:.0f} or more'
            )
        if self.spacing_mm is not None and self.spacing_mm * self.size < LEAST_FIELD_MM:
            raise ValueError(
                f'{self.size} pixels of {self.spacing_mm} mm are too small a field: all landmarks '
                f'need {LEAST_FIELD_MM:.0f} mm; use more or larger pixels'
            )
        if not 12 <= self.bits <= 16:
            raise ValueError(f'bits must be 12 to 16, not {self.bits}')


@dataclass(frozen=True)
class CasePlan:
    """Which image to make: its number and that of its patient within the split, from 0."""

    split: str
    index: int
    patient: int
    subset: str

    @property
    def name(self) -> str:
        """File name without suffix."""
        return f'{self.split}_{self.index:04d}'

    @property
    def patient_id(self) -> str:
        """Pseudonym that contains the split, so that patients cannot cross."""
        return f'phantom-{self.split}-{self.patient:04d}'


def plan_split(options: PhantomOptions, split: str) -> list[CasePlan]:
    """Distribute images over patients and subsets: neighbours may show the same patient.

    Example:
        >>> plans = plan_split(PhantomOptions(), 'train')
        >>> len(plans), sum(p.subset == 'unstructured' for p in plans)
        (257, 32)
    """
    count = int(getattr(options, split))
    key = SPLITS.index(split)
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(20 + key,)))
    patients: list[int] = []
    while len(patients) < count:
        number = patients[-1] + 1 if patients else 0
        drawn = int(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.10]))
        patients += [number] * (options.images_per_patient or drawn)
    hidden = round(count * UNSTRUCTURED_SHARE[split])
    chosen = set(rng.choice(count, hidden, replace=False).tolist()) if hidden else set()
    return [
        CasePlan(split, index, patient, 'unstructured' if index in chosen else 'structured')
        for index, patient in enumerate(patients[:count])
    ]


def make_phantom(
    out: str | os.PathLike[str],
    options: PhantomOptions | None = None,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> dict[str, Path]:
    """Write the whole data set; finished files of an interrupted run are kept.

    Args:
        out: folder; created when missing.
        options: what to make.
        jobs: processes; None is one for each core that is free. The files do not depend on it.
        progress: whether to show a progress bar.

    Returns:
        Split to its annotation file, for the splits that have images.

    Raises:
        ValueError: the folder holds a data set with other options, or foreign files.
    """
    options = PhantomOptions() if options is None else options
    folder = Path(out)
    manifest = {'simulated': True, 'format_version': FORMAT_VERSION, **asdict(options)}
    claim_folder(
        folder,
        MANIFEST,
        json.dumps(manifest, indent=2) + '\n',
        'a phantom data set',
        'holds a phantom data set with other options ({}); choose another folder, or remove it',
    )
    for sub in ('images', RECORDS):
        (folder / sub).mkdir(exist_ok=True)
    plans = [plan for split in SPLITS for plan in plan_split(options, split)]
    todo = [plan for plan in plans if not _is_finished(folder, plan)]
    bar = tqdm(total=len(plans), initial=len(plans) - len(todo), unit='image', disable=not progress)
    workers = min(jobs or allowed_cores(), len(todo))
    make = partial(_make_case, folder=folder, options=options)
    with bar, one_thread():
        for _ in work_ahead(todo, make, _killed, workers if workers > 1 else 0):
            bar.update()
    paths = {}
    for split in SPLITS:
        own = [plan for plan in plans if plan.split == split]
        if own:
            paths[split] = folder / f'{split}.json'
            write_annotations(paths[split], _cases(folder, own), info=_info(options, split))
    replace_file(folder / 'README.md', _README.encode())
    return paths


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV from starting threads beside the processes."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def case_paths(folder: Path, name: str, suffix: str) -> tuple[Path, Path]:
    """Return where an image lies, and what is known of it once it is finished."""
    return folder / 'images' / f'{name}{suffix}', folder / RECORDS / f'{name}.json'


def _is_finished(folder: Path, plan: CasePlan) -> bool:
    image, record = case_paths(folder, plan.name, '.dcm')
    return is_finished(read_record(record), image)


def _make_case(plan: CasePlan, folder: Path, options: PhantomOptions) -> None:
    """Make one image and then its record, each whole or not at all."""
    split = SPLITS.index(plan.split)
    person = sample_patient(
        np.random.SeedSequence(options.seed, spawn_key=(_PATIENT_KEY + split, plan.patient)),
        plan.patient_id,
    )
    seed = np.random.SeedSequence(options.seed, spawn_key=(split, plan.index))
    case = make_case(
        seed,
        size_hw=(options.size, options.size),
        spacing_mm=options.spacing_mm,
        subset=plan.subset,
        patient=person,
        bits=options.bits,
    )
    image, record = case_paths(folder, plan.name, '.dcm')
    header = _header(seed)
    repeated = '' if options.images_per_patient is None else f' x{options.images_per_patient}'
    write_radiograph(
        image,
        case.pixels,
        spacing_xy_mm=case.spacing_xy_mm,
        magnification=case.magnification,
        source_detector_mm=case.source_detector_mm,
        patient_id=plan.patient_id,
        patient_sex=person.dimensions.sex,
        uid_seed=f'phantom {FORMAT_VERSION} {options} {plan.name}{repeated}',
        bits_stored=case.bits_stored,
        description='simulated from a parametric phantom by unsct_mmpose',
        **header,
    )
    write_record(record, _record(case, header), image)


def _killed(plan: CasePlan) -> None:
    raise RuntimeError(f'making {plan.name} ends the process: is there enough memory?')


def _header(seed: np.random.SeedSequence) -> dict[str, Any]:
    """Draw how the file stores the image, as real files differ."""
    rng = child(seed, 90)
    return {
        'photometric': 'MONOCHROME1' if rng.random() < 0.15 else 'MONOCHROME2',
        'pixel_spacing': (None, None, 'detector', 'patient')[int(rng.integers(4))],
    }


def _record(case: PhantomRadiograph, header: dict[str, Any]) -> dict[str, Any]:
    return {
        'points': np.round(case.landmarks_px, 3).tolist(),
        'present': case.present.tolist(),
        'size_wh': [case.pixels.shape[1], case.pixels.shape[0]],
        'subset': case.subset,
        'spacing_xy_mm': list(case.spacing_xy_mm),
        'magnification': case.magnification,
        'extra': {
            'source_detector_mm': round(case.source_detector_mm, 3),
            'cause': case.cause,
            'absent_reason': case.absent_reason,
            'pose': case.pose,
            'pathologies': list(case.pathologies),
            'photometric': header['photometric'],
            'dicom_pixel_spacing': header['pixel_spacing'],
            'simulated': True,
        },
    }


def _cases(folder: Path, plans: Sequence[CasePlan]) -> list[AnnotatedRadiograph]:
    cases = []
    for number, plan in enumerate(plans, 1):
        record = json.loads(case_paths(folder, plan.name, '.dcm')[1].read_text(encoding='utf-8'))
        present = np.asarray(record['present'], dtype=bool)
        points = np.where(present[:, None], np.asarray(record['points']), 0.0)
        cases.append(
            AnnotatedRadiograph(
                image_id=number,
                file_name=f'{plan.name}.dcm',
                size_wh=tuple(record['size_wh']),
                states=LandmarkStates(points, present, ~present),
                subset=record['subset'],
                spacing_xy_mm=tuple(record['spacing_xy_mm']),
                magnification=record['magnification'],
                patient_id=plan.patient_id,
                extra=record['extra'],
            )
        )
    return cases


def _info(options: PhantomOptions, split: str) -> dict[str, Any]:
    return {
        'description': f'Simulated AP pelvic radiographs of a parametric phantom, {split}',
        'simulated': True,
        'format_version': FORMAT_VERSION,
        'seed': options.seed,
        'licence': 'Apache-2.0',
        'coordinate': COORDINATE,
    }
