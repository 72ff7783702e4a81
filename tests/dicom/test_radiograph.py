import pickle
from pathlib import Path

import numpy as np
import pytest

from unsct_mmpose.dicom import Radiograph, RadiographError


def _radiograph(**changes):
    fields = dict(
        pixels=np.zeros((3, 5), dtype=np.float32),
        spacing_xy_mm=(0.2, 0.3),
        spacing_source='caller',
        spacing_problem=None,
        magnification=1.25,
        magnification_source='caller',
    )
    return Radiograph(**{**fields, **changes})


def test_size_is_width_then_height():
    assert _radiograph().size_wh == (5, 3)


def test_spacing_at_the_bone_is_the_detectors_over_the_magnification():
    assert _radiograph().bone_spacing_xy_mm == pytest.approx((0.16, 0.24))


def test_unknown_spacing_stays_unknown_at_the_bone():
    assert _radiograph(spacing_xy_mm=None).bone_spacing_xy_mm is None


def test_the_error_names_file_and_cause():
    error = RadiographError(Path('a') / 'b.dcm', 'it is empty')
    assert str(error) == f'{Path("a") / "b.dcm"}: it is empty'
    assert isinstance(error, ValueError)


def test_the_error_survives_the_way_out_of_a_worker_process():
    error = RadiographError('b.dcm', 'it is empty')
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.path, copy.cause, str(copy)) == (error.path, error.cause, str(error))
    # torch rebuilds an exception from one string that holds the traceback
    assert str(RadiographError('Caught in worker 0\nb.dcm: it is empty')).endswith('it is empty')
