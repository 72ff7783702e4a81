"""No patient shows through: in outputs, logs, warnings, errors, or names of temporary files.

Every element that could name a patient carries a mark, private ones and damaged ones too, and
everything that the commands write, print or answer is searched for it.
"""

import contextlib
import json
import logging
import re
import sys
import traceback
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.fake_backend import FakeBackend
from unsct_mmpose.cli.main import main
from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.dicom.writer import write_radiograph

MARK = 'ZQX7MARK'
LOOK_FOR = [MARK.encode(), MARK.lower().encode(), MARK.encode('utf-16-le'), b'19370401']

NAMES = dict(
    PatientName=f'{MARK}^Anna=\u5c71\u7530', PatientID=MARK, OtherPatientNames=f'{MARK}^Old',
    PatientBirthDate='19370401', PatientAddress=f'{MARK} street', PatientComments=f'called {MARK}',
    ReferringPhysicianName=f'{MARK}^Dr', OperatorsName=f'{MARK}^Op', InstitutionName=f'of {MARK}',
    AccessionNumber=MARK, StudyID=MARK, StudyDescription=f'hip of {MARK}', ImageComments=MARK,
    SeriesDescription=MARK, RequestingPhysician=MARK, StationName=MARK, DeviceSerialNumber=MARK,
)  # fmt: skip


def mark(dataset):
    """Put the mark wherever a patient may be named."""
    dataset.SpecificCharacterSet = 'ISO_IR 192'
    for keyword, value in NAMES.items():
        setattr(dataset, keyword, value)
    block = dataset.private_block(0x0011, f'{MARK} MAKER', create=True)
    block.add_new(0x10, 'LO', f'{MARK} private')
    inner = Dataset()
    inner.PatientID, inner.IssuerOfPatientID = MARK, MARK
    block.add_new(0x11, 'SQ', Sequence([inner]))
    dataset.OtherPatientIDsSequence = Sequence([inner])
    dataset.RequestAttributesSequence = Sequence([inner])


def broken_values(dataset):
    """Identity that its elements do not allow, which a library warns of."""
    dataset.add_new('PatientBirthDate', 'DA', MARK)
    dataset.add_new('PatientAge', 'AS', MARK)
    dataset.add_new('PatientSex', 'CS', MARK.lower())
    dataset.add_new('PatientID', 'LO', MARK * 20)
    dataset.add_new('StudyDate', 'DA', MARK)
    dataset.add_new('AccessionNumber', 'SH', MARK * 9)


def unknown_characters(dataset):
    dataset.SpecificCharacterSet = 'ISO_IR 999'
    dataset.add_new('PatientName', 'PN', f'{MARK}^\u00e4'.encode('latin-1'))


def wrong_numbers(dataset):
    """Identity where a number is expected."""
    dataset.add_new('PatientWeight', 'LO', MARK)
    dataset.add_new('PatientSize', 'LO', MARK)


def no_rows(dataset):
    del dataset.Rows


def cut_pixels(dataset):
    dataset.PixelData = dataset.PixelData[:40]


def odd_spacing(dataset):
    dataset.ImagerPixelSpacing = [900.0, 900.0]


def foreign_class(dataset):
    dataset.file_meta.SourceApplicationEntityTitle = MARK
    dataset.add_new('SOPClassUID', 'UI', '1.2.840.10008.5.1.4.1.1.88.11')
    del dataset.PixelData


FILES = dict(
    whole=None, values=broken_values, characters=unknown_characters, weight=wrong_numbers,
    rows=no_rows, pixels=cut_pixels, spacing=odd_spacing, report=foreign_class,
)  # fmt: skip


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """A folder of marked files: one whole, others damaged in a way each."""
    folder = tmp_path_factory.mktemp('study')
    pixels = np.random.default_rng(0).integers(0, 4095, (40, 43), dtype=np.uint16)
    for name, damage in FILES.items():
        path = folder / f'{name}.dcm'
        write_radiograph(
            path, pixels, uid_seed=name, spacing_xy_mm=(2.0, 2.0), magnification=1.2,
            source_detector_mm=1150.0, patient_id='x',
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            dataset = pydicom.dcmread(path)
            mark(dataset)
            if damage is not None:
                damage(dataset)
            dataset.save_as(path)
        assert MARK.encode() in path.read_bytes()
    return folder


class Opened:
    """Names of everything that is opened or made, while it listens."""

    names: list[str] | None = None

    def __call__(self, event, arguments):
        if self.names is not None and event in (
            'open',
            'os.mkdir',
            'os.rename',
            'tempfile.mkstemp',
        ):
            self.names += [str(part) for part in arguments[:2] if isinstance(part, (str, bytes))]


OPENED = Opened()
sys.addaudithook(OPENED)


@pytest.fixture
def watched(tmp_path, monkeypatch, capfd, caplog):
    """Watch what happens; return a function that returns all that was said and written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setenv('UNSCT_TRACEBACK', '0')
    caplog.set_level(logging.DEBUG)
    heard = warnings.catch_warnings(record=True)
    said = heard.__enter__()
    warnings.simplefilter('always')
    OPENED.names = []

    def everything() -> dict[str, bytes]:
        out, err = capfd.readouterr()
        found = {'stdout': out, 'stderr': err, 'log': caplog.text,
                 'warnings': '\n'.join(str(warning.message) for warning in said),
                 'names': '\n'.join(OPENED.names)}  # fmt: skip
        texts = {name: text.encode() for name, text in found.items()}
        files = [path for path in tmp_path.rglob('*') if path.is_file()]
        return texts | {str(path): path.read_bytes() + str(path).encode() for path in files}

    yield everything
    OPENED.names = None
    heard.__exit__(None, None, None)


def leaks(texts) -> list[str]:
    """Name what holds the mark, with the words around it."""
    found = []
    for name, text in texts.items():
        for wanted in LOOK_FOR:
            place = text.find(wanted)
            if place >= 0:
                found.append(f'{name}: ...{text[max(place - 60, 0) : place + 30]!r}')
    return found


@pytest.mark.parametrize('jobs', [0, 1])
def test_predict(study, watched, monkeypatch, tmp_path, jobs):
    monkeypatch.setattr('unsct_mmpose.cli.predict.load_backend', lambda *_: FakeBackend())
    status = main(
        ['predict', 'model.onnx', str(study), '--out', 'out', '--sr', '--jobs', str(jobs)]
    )
    assert status == 1  # some could be predicted
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert {'whole.json', 'whole.png', 'predictions.csv', 'report.html', 'errors.json'} <= names
    assert json.loads((tmp_path / 'out/errors.json').read_text())
    assert any(path.suffix == '.dcm' for path in (tmp_path / 'out').rglob('*'))
    assert leaks(watched()) == []


def test_predict_shows_it_where_it_was_asked_for_and_nowhere_else(study, watched, monkeypatch):
    """The search would find something: with --keep-identity it is in the json and in the SR."""
    monkeypatch.setattr('unsct_mmpose.cli.predict.load_backend', lambda *_: FakeBackend())
    main(['predict', 'model.onnx', str(study / 'whole.dcm'), '--out', 'out', '--sr', '--jobs', '0',
          '--keep-identity'])  # fmt: skip
    found = leaks(watched())
    assert {re.search(r'\.\w+:', place)[0] for place in found} == {'.json:', '.dcm:'}


def test_convert(study, watched, tmp_path):
    try:
        main(['convert', str(study), '--out', 'out'])
    except SystemExit as end:
        assert end.code in (0, 1)
    assert list((tmp_path / 'out').rglob('*.png'))
    assert leaks(watched()) == []


@pytest.mark.parametrize('name', FILES)
def test_readers_and_their_tracebacks(name, study, watched):
    from unsct_mmpose.datasets.load_radiograph import LoadRadiograph

    said = ''
    for read in (
        lambda path: repr(read_radiograph(path)),
        lambda path: repr(LoadRadiograph()(dict(img_path=str(path))).keys()),
    ):
        try:
            said += read(study / f'{name}.dcm')
        except Exception as error:
            said += ''.join(traceback.format_exception(error))
    assert leaks({**watched(), 'said': said.encode()}) == []


def test_check(study, watched, tmp_path):
    from unsct_mmpose.anatomy import LANDMARK_NAMES

    images = [dict(id=k, file_name=f'{name}.dcm', width=43, height=40, patient_id='p')
              for k, name in enumerate(FILES)]  # fmt: skip
    shapes = [dict(id=k, image_id=k, category_id=1, bbox=[0, 0, 43, 40], num_keypoints=24,
                   keypoints=[5 + k, 7, 2] * 24) for k in range(len(FILES))]  # fmt: skip
    category = dict(id=1, name='hip', keypoints=list(LANDMARK_NAMES))
    content = dict(images=images, annotations=shapes, categories=[category])
    path = tmp_path / 'marked.json'
    path.write_text(json.dumps(content))
    with contextlib.suppress(SystemExit):
        main(['check', str(path), '--images', str(study)])
    assert leaks(watched()) == []


def test_serve(study, watched):
    pytest.importorskip('fastapi')
    pytest.importorskip('httpx')
    from fastapi.testclient import TestClient

    from unsct_mmpose.serve.app import ServeOptions, create_app
    from unsct_mmpose.serve.reader import decode

    class DirectReader:
        read = staticmethod(decode)

        def close(self):
            pass

    app = create_app(FakeBackend(), ServeOptions(), DirectReader())
    answers = {}
    with TestClient(app, base_url='http://127.0.0.1:8000') as client:
        for name in FILES:
            content = (study / f'{name}.dcm').read_bytes()
            for path in ('/api/predict', '/'):
                answer = client.post(path, files={'file': (f'{name}.dcm', content)})
                answers[f'{path} {name} {answer.status_code}'] = (
                    answer.content + repr(answer.headers).encode()
                )
    for path in ('/api/predict', '/'):
        assert f'{path} whole 200' in answers
    app.state.desk.close()
    assert leaks({**watched(), **answers}) == []
