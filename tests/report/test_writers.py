"""An output format is one file: its class there writes for each image and for the run."""

import sys

import numpy as np
import pytest

from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.inference.predict import PredictOptions, predict_files
from unsct_mmpose.report import writers
from unsct_mmpose.report.writers.base import all_formats

NOTES = """
from unsct_mmpose.report.writers.base import Writer

class NotesWriter(Writer):
    order = 40
    suffix = '.txt'
    from_record = {from_record}

    def open(self):
        self.file = self.run.open_text('notes.txt')
        {also}

    def write(self, item):
        self.path_of(item).write_text(item.prediction.image.file_name)

    def add(self, item):
        print(item.name, file=self.file)

    def close(self, counts, errors):
        print(dict(counts)['Predicted'], len(errors), file=self.file)
"""


@pytest.fixture
def add_notes(tmp_path, monkeypatch):
    """Return a function that puts a file with another format beside those that there are."""
    folder = tmp_path / 'formats'
    folder.mkdir()
    monkeypatch.setattr(writers, '__path__', [*writers.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f'{writers.__name__}.notes', raising=False)

    def add(from_record=False, also='pass'):
        (folder / 'notes.py').write_text(NOTES.format(from_record=from_record, also=also))

    yield add
    sys.modules.pop(f'{writers.__name__}.notes', None)


@pytest.fixture
def predict(tmp_path, make_backend):
    """Return a function that predicts two files, and returns what came of it."""
    (tmp_path / 'in').mkdir()
    for name in 'ab':
        pixels = np.random.default_rng(ord(name)).integers(0, 4095, (40, 43), dtype=np.uint16)
        write_radiograph(
            tmp_path / f'in/{name}.dcm', pixels, spacing_xy_mm=(2.0, 2.0), magnification=1.2,
            source_detector_mm=1150.0, patient_id='x', uid_seed=name,
        )  # fmt: skip

    def run():
        options = PredictOptions(jobs=0, report=False, progress=False)
        inputs = find_inputs([str(tmp_path / 'in')])
        return predict_files(make_backend(), inputs, tmp_path / 'out', options)

    return run


def test_each_format_has_a_turn_of_its_own():
    assert [kind.__name__ for kind in all_formats()] == [
        'TableWriter', 'OverlayWriter', 'PageWriter', 'StructuredReportWriter'
    ]  # fmt: skip
    assert len({kind.order for kind in all_formats()}) == len(all_formats())


def test_another_format_takes_one_file(add_notes, predict, tmp_path):
    add_notes()
    assert predict().exit_status == 0
    assert (tmp_path / 'out/a.txt').read_text() == 'a.dcm'
    assert (tmp_path / 'out/notes.txt').read_text() == 'a\nb\n2 0\n'
    assert predict().already_there == 2


@pytest.mark.parametrize('from_record', [False, True])
def test_what_an_earlier_run_lacks_is_made_of_its_json_or_predicted_again(
    add_notes, predict, tmp_path, from_record
):
    predict()
    add_notes(from_record)
    result = predict()
    assert (result.predicted, result.already_there) == ((0, 2) if from_record else (2, 0))
    assert (tmp_path / 'out/b.txt').read_text() == 'b.dcm'


def test_a_format_that_cannot_begin_leaves_nothing_half_written(add_notes, predict, tmp_path):
    add_notes(also="raise ImportError('no such library')")
    with pytest.raises(ImportError, match='no such library'):
        predict()
    assert not list((tmp_path / 'out').iterdir())
