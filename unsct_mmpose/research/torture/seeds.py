"""Files that mutants start from: the corpus, pydicom's own test files, pictures, a folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pydicom.data

from unsct_mmpose.dicom.identity import looks_like_radiograph

from .corpus import Case, corpus

_LARGEST = 600_000
_EXIF = bytes.fromhex('4578696600004d4d002a0000000800010112000300000001000600000000')


def seed_files(folder: Path | None = None) -> list[bytes]:
    """Return the files, in an order that is the same each time.

    Args:
        folder: more files; those that look like radiographs and are not too large.
    """
    beside = Path(pydicom.data.__file__).parent / 'test_files'
    paths = sorted(path for path in beside.rglob('*') if path.is_file())
    if folder is not None:
        paths += sorted(path for path in folder.rglob('*') if path.is_file())
    files = [path.read_bytes() for path in paths
             if path.stat().st_size <= _LARGEST and looks_like_radiograph(path)]  # fmt: skip
    return [*_of_corpus(), *pictures(), *files]


def _of_corpus() -> list[bytes]:
    """Return a case of every format, and the ways to show one of each syntax in turn."""
    by_format: dict[str, list[Case]] = {}
    for case in corpus():
        by_format.setdefault(case.name.rpartition('/')[0], []).append(case)
    return [cases[k % len(cases)].file() for k, cases in enumerate(by_format.values())]


def pictures() -> list[bytes]:
    """Return PNG, JPEG and TIFF files of each kind, one with an orientation."""
    y, x = np.mgrid[:40, :52]
    grey = ((3 * x + 4 * y) % 256).astype(np.uint8)
    deep = (grey.astype(np.uint16) * 257).astype(np.uint16)
    colour = np.dstack([grey, grey.T[:40, :40].repeat(2, axis=1)[:, :52], grey])
    opaque = np.dstack([colour, np.where(x > 5, 255, 0).astype(np.uint8)])
    real = (grey / 255).astype(np.float32)
    made = [('.png', grey), ('.png', deep), ('.png', colour), ('.png', opaque), ('.jpg', grey),
            ('.jpg', colour), ('.tif', grey), ('.tif', deep), ('.tif', real),
            ('.tif', colour)]  # fmt: skip
    files = [cv2.imencode(suffix, array)[1].tobytes() for suffix, array in made]
    pages = cv2.imencodemulti('.tif', [grey, deep])[1].tobytes()
    segment = b'\xff\xe1' + (len(_EXIF) + 2).to_bytes(2, 'big') + _EXIF
    return [*files, pages, files[4][:2] + segment + files[4][2:]]
