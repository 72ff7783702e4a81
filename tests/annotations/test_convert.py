"""DICOM files become a data set that stock MMPose reads, and that names no patient."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.apis import inference_topdown, init_model
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import DATASETS
from pydicom import dcmread
from pydicom.data import get_testdata_file

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    LandmarkStates,
    check_patient_splits,
    infer_subset,
    read_annotations,
    write_annotations,
)
from unsct_mmpose.annotations import convert_one as one_module
from unsct_mmpose.annotations.convert import ConvertOptions, RunOptions, convert, find_sources
from unsct_mmpose.annotations.convert_check import check_conversion
from unsct_mmpose.datasets import LoadRadiograph
from unsct_mmpose.dicom import read_radiograph
from unsct_mmpose.dicom.pseudonyms import read_key
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.engine import find_model
from unsct_mmpose.functional.crop import grey_levels

ROOT = Path(__file__).resolve().parents[2]
KEY = b'k' * 32
SIZE = (96, 80)
IDENTITY = ('Mustermann', 'Erika', 'HOSP-4711', '19570812', 'Klinik')
FORMS = ('png', 'png16', 'jpeg')


def write_dicom(path, seed, patient, **options):
    """Write a smooth radiograph with everything in its header that tells who it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(300, 3900, (10, 12)).astype(np.float32)
    pixels = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC).clip(0, 4095).astype(np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = dict(spacing_xy_mm=(0.4, 0.5), magnification=1.15, source_detector_mm=1150.0)
    fields |= dict(patient_id=patient, uid_seed=f'{path}')
    write_radiograph(path, pixels, **{**fields, **options})
    header = dcmread(path)
    header.PatientName = 'Mustermann^Erika'
    header.PatientBirthDate, header.InstitutionName = '19570812', 'Klinik'
    header.save_as(path)
    return path


def case(number, name, patient, hidden=()):
    present, absent = np.ones(24, bool), np.zeros(24, bool)
    present[[*hidden, 23]], absent[list(hidden)] = False, True
    points = np.random.default_rng(number).uniform((2, 2), (90, 75), (24, 2))
    states = LandmarkStates(np.where(present[:, None], points, 0), present, absent)
    return AnnotatedRadiograph(
        image_id=number,
        file_name=name,
        size_wh=SIZE,
        states=states,
        subset=infer_subset(states),
        spacing_xy_mm=(0.41, 0.51),
        magnification=1.2,
        patient_id=patient,
        extra={'study_uid': '1.2.3.4711', 'operator': 'Klinik'},
    )


@pytest.fixture
def files(tmp_path):
    """Six files of four patients in two folders, two of them of one base name; one is no image."""
    source = tmp_path / 'Mustermann'
    for number in range(6):
        folder = 'a' if number % 2 else 'b'
        name = f'Erika_{number // 2}.dcm'
        how = dict(photometric='MONOCHROME1') if number == 3 else {}
        write_dicom(source / folder / name, number, f'HOSP-4711{number // 2}', **how)
    write_dicom(source / 'c.dcm', 9, 'HOSP-47119')
    (source / 'broken.dcm').write_bytes((source / 'c.dcm').read_bytes()[:900])
    (source / 'notes.txt').write_text('no image')
    return source


@pytest.fixture
def annotated(tmp_path):
    """A folder of six files and one annotation file that names them."""
    source = tmp_path / 'source'
    cases = []
    for number in range(6):
        name = f'{"a" if number % 2 else "b"}/Erika_{number // 2}.dcm'
        write_dicom(source / name, number, 'ANONYMOUS')
        cases.append(case(number + 1, name, f'HOSP-4711{number // 2}', (3, 5) * (number == 4)))
    info = dict(description='simulated', licence='CC0', contact='Klinik')
    write_annotations(source / 'labels.json', cases, info=info)
    return source


def run(source, out, *, annotations=(), key=KEY, lines=None, **options):
    picture = options.pop('picture', ConvertOptions())
    sources = find_sources([str(source)], annotations, leave_out=out)
    settings = RunOptions(picture=picture, progress=False, **options)
    tell = (lines if lines is not None else []).append
    return convert(sources, out, key, settings, tell=tell), sources


def all_cases(out):
    paths = [path for path in out.glob('*.json') if path.name != 'conversion.json']
    return {record.file_name: record for path in paths for record in read_annotations(path).cases}


def shown(source):
    return {
        grey_levels(read_radiograph(path).pixels).tobytes()
        for path in source.rglob('*.dcm')
        if path.name != 'broken.dcm'
    }


@pytest.mark.parametrize('form', FORMS)
def test_stock_load_image_shows_what_the_reader_of_dicom_shows(files, tmp_path, form):
    out = tmp_path / 'out'
    _, sources = run(files, out, picture=ConvertOptions(form=form))
    pictures = [path for path in (out / 'images').iterdir()]
    assert len(pictures) == 7
    stock = [LoadImage().transform(dict(img_path=str(path)))['img'] for path in pictures]
    assert all(image.shape == (80, 96, 3) and image.dtype == np.uint8 for image in stock)
    assert all((image == image[..., :1]).all() for image in stock)
    if form != 'jpeg':
        assert {image[..., 0].tobytes() for image in stock} == shown(files)
    if form != 'png16':  # which our own reader takes for raw values
        for path, image in zip(pictures, stock, strict=True):
            ours = LoadRadiograph().transform(dict(img_path=str(path)))['img']
            np.testing.assert_array_equal(ours, image)
    checked = check_conversion(sources, out, KEY, progress=False)
    assert checked.images == 7 and checked.landmarks_px == 0
    assert (checked.largest > 0) == (form == 'jpeg') and checked.largest <= 14
    assert checked.problems == ('file 1: it was not converted, or with another key',)


def test_one_bad_file_costs_one_line_that_names_neither_it_nor_a_patient(files, tmp_path, capfd):
    lines = []
    result, _ = run(files, tmp_path / 'out', lines=lines)
    assert result.exit_status == 1 and len(result.errors) == len(lines) == 1
    assert re.match(r'file 1: .*(cut off|pixel data)', lines[0])
    told = lines[0] + ''.join(capfd.readouterr())
    assert not any(word.lower() in told.lower() for word in (*IDENTITY, 'broken'))


def test_nothing_of_the_patient_is_in_what_is_written(annotated, files, tmp_path):
    for name, source, labels in (('x', files, ()), ('y', annotated, [annotated / 'labels.json'])):
        out = tmp_path / name
        result, _ = run(source, out, annotations=labels)
        paths = [path for path in source.rglob('*.dcm') if path.name != 'broken.dcm']
        uids = [dcmread(path, stop_before_pixels=True) for path in paths]
        secret = {*IDENTITY, 'ANONYMOUS', '1.2.3.4711'}
        secret |= {str(u.SOPInstanceUID) for u in uids} | {str(u.StudyInstanceUID) for u in uids}
        for path in [out, *out.rglob('*')]:
            content = (path.read_bytes() if path.is_file() else b'').lower()
            for word in secret:
                assert word.lower().encode() not in content, (path, word)
                assert word.lower() not in str(path.relative_to(tmp_path)).lower()
        assert sum(map(len, result.written.values())) == len(list((out / 'images').iterdir()))


def test_what_a_picture_cannot_hold_is_in_the_json(files, tmp_path):
    out = tmp_path / 'out'
    run(files, out, split='none')
    cases = list(all_cases(out).values())
    for record in cases:
        assert record.size_wh == SIZE
        assert record.spacing_xy_mm == pytest.approx((0.4, 0.5))
        assert record.magnification == pytest.approx(1.15)
        assert record.extra['spacing_source'] == 'ImagerPixelSpacing'
        assert record.extra['magnification_source'] == 'EstimatedRadiographicMagnificationFactor'
        assert record.extra['orientation'] == 'as stored (PatientOrientation L\\F)'
        assert record.extra['laterality'] == 'B'
        assert 'window of the file: centre 2048' in record.extra['window']
        assert record.extra['simulated'] == 'SyntheticData' and record.extra['bits_stored'] == 12
        assert not record.states.labelled.any()
    inverted = [record.extra['photometric'] for record in cases]
    assert sorted(inverted) == ['MONOCHROME1'] + ['MONOCHROME2'] * 6
    assert read_annotations(out / 'all.json').info['description'] == 'simulated radiographs'


def test_annotations_win_over_headers_and_landmarks_stay_to_the_last_bit(annotated, tmp_path):
    out = tmp_path / 'out'
    result, sources = run(annotated, out, annotations=[annotated / 'labels.json'])
    assert result.exit_status == 0
    before = sorted(read_annotations(annotated / 'labels.json').cases, key=_points)
    after = sorted(all_cases(out).values(), key=_points)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new.states.points, old.states.points)
        np.testing.assert_array_equal(new.states.absent, old.states.absent)
        assert (new.spacing_xy_mm, new.magnification) == ((0.41, 0.51), 1.2)
        assert new.extra['spacing_source'] == new.extra['magnification_source'] == 'annotation'
        assert new.subset == old.subset
    # the annotator's patients, not the one ANONYMOUS of the headers
    pairs = {(old.patient_id, new.patient_id) for old, new in zip(before, after, strict=True)}
    assert len(pairs) == 3
    assert sorted(record.image_id for record in after) == [1, 2, 3, 4, 5, 6]
    info = read_annotations(out / 'train.json').info
    assert (info['description'], info['licence']) == ('simulated', 'CC0') and 'contact' not in info
    assert check_conversion(sources, out, KEY, progress=False).problems == ()


def marked(folder, directions, mirrored=None, order=None, **options):
    """Write a data set of one image: the n-th landmark is one pixel, the brighter the larger n."""
    rows, columns = np.mgrid[5:75:18, 6:90:16]
    places = np.stack([columns.ravel(), rows.ravel()], axis=1)[:24]
    places = places[order or np.random.default_rng(1).permutation(24)]
    pixels = np.random.default_rng(0).integers(0, 900, SIZE[::-1], dtype=np.uint16)
    pixels[places[:, 1], places[:, 0]] = 1000 + 100 * np.arange(24)
    path = folder / 'one.dcm'
    folder.mkdir()
    fields = dict(spacing_xy_mm=(0.4, 0.5), magnification=1.15, source_detector_mm=1150.0)
    write_radiograph(path, pixels, **fields, patient_id='x', uid_seed='x')
    header = dcmread(path)
    header.PatientOrientation = directions
    for keyword, value in options.items():
        setattr(header, keyword, value)
    if 'PixelAspectRatio' in options:
        del header.ImagerPixelSpacing
    header.save_as(path)
    spacing = None if 'PixelAspectRatio' in options else (0.4, 0.5)
    states = LandmarkStates(places.astype(float), np.ones(24, bool), np.zeros(24, bool))
    record = replace(case(1, 'one.dcm', 'p'), states=states, mirrored=mirrored,
                     spacing_xy_mm=spacing, subset='structured')  # fmt: skip
    write_annotations(folder / 'labels.json', [record])
    return folder


TURNS = [
    (['L', 'F'], None, (96, 80)),
    (['R', 'F'], None, (96, 80)),
    (['R', 'H'], None, (96, 80)),
    (['F', 'L'], None, (80, 96)),
    (['H', 'R'], None, (80, 96)),
    (['L', 'F'], True, (96, 80)),
    (['R', 'F'], 'kept', (96, 80)),
]


@pytest.mark.parametrize(('directions', 'mirrored', 'size'), TURNS)
def test_landmarks_stay_on_their_pixels_when_an_image_is_turned(
    tmp_path, directions, mirrored, size
):
    source, out = marked(tmp_path / 'x', directions, mirrored), tmp_path / 'out'
    labels = [source / 'labels.json']
    for _ in range(2):  # the second run takes what the first has left
        _, sources = run(source, out, annotations=labels, split='none')
        (one,) = all_cases(out).values()
        grey = cv2.imread(str(out / 'images' / one.file_name), cv2.IMREAD_GRAYSCALE)
        assert grey.shape[::-1] == one.size_wh == size
        x, y = one.states.points.T.astype(int)
        np.testing.assert_array_equal(grey[y, x], np.sort(grey, axis=None)[-24:])
        assert one.spacing_xy_mm == ((0.4, 0.5) if size == SIZE else (0.5, 0.4))
        assert one.mirrored == ('kept' if mirrored == 'kept' else None)
    assert check_conversion(sources, out, KEY, progress=False).problems == ()
    content = json.loads((out / 'all.json').read_text())
    content['annotations'][0]['keypoints'][0] += 1
    (out / 'all.json').write_text(json.dumps(content))
    (problem,) = check_conversion(sources, out, KEY, progress=False).problems
    assert 'landmarks are off by up to 1 px' in problem


def test_a_header_that_contradicts_the_names_of_landmarks_costs_its_image_only(tmp_path):
    left = [name.startswith('left') for name in LANDMARK_NAMES]
    by_x = iter([n for n in range(24) if n % 6 < 3]), iter([n for n in range(24) if n % 6 >= 3])
    source = marked(tmp_path / 'x', ['R', 'F'], order=[next(by_x[place]) for place in left])
    result, _ = run(source, tmp_path / 'out', annotations=[source / 'labels.json'], split='none')
    ((number, cause),) = result.errors
    assert number == 1 and 'mirrored left to right (PatientOrientation R\\F), and then' in cause
    content = json.loads((source / 'labels.json').read_text())
    content['images'][0]['mirrored'] = False
    (source / 'labels.json').write_text(json.dumps(content))
    result, _ = run(source, tmp_path / 'out', annotations=[source / 'labels.json'], split='none')
    assert not result.errors


def test_pictures_without_spacing_have_square_pixels(tmp_path):
    source, out = (
        marked(tmp_path / 'x', ['L', 'F'], PixelAspectRatio=[2, 1]),
        tmp_path / 'out',
    )
    _, sources = run(source, out, annotations=[source / 'labels.json'], split='none')
    (one,) = all_cases(out).values()
    assert one.size_wh == (96, 160) and one.spacing_xy_mm is None
    before = read_annotations(source / 'labels.json').cases[0].states.points
    np.testing.assert_allclose(one.states.points, before * (1, 2) + (0, 0.5))
    assert check_conversion(sources, out, KEY, progress=False).problems == ()


def test_sides_that_are_in_doubt_are_counted_and_noted(files, tmp_path):
    header = dcmread(files / 'c.dcm')
    header.ViewPosition, header.PatientOrientation = 'PA', None
    header.save_as(files / 'c.dcm')
    assert run(files, tmp_path / 'out')[0].notes['sides'] == 1
    assert (
        sum(
            'view PA' in record.extra.get('sides', '')
            for record in all_cases(tmp_path / 'out').values()
        )
        == 1
    )


def _points(one):
    return one.states.points.tolist()


def test_splits_are_by_patient_and_equal_base_names_get_names_of_their_own(files, tmp_path):
    out = tmp_path / 'out'
    result, _ = run(files, out, validation=0.3)
    names = [path.stem for path in result.written]
    assert names == ['train', 'val', 'test']
    check_patient_splits({path.stem: path for path in result.written})
    assert len(all_cases(out)) == 7
    assert len({record.patient_id for record in all_cases(out).values()}) == 4


def test_the_same_file_twice_is_one_image(files, tmp_path):
    shutil.copy(files / 'c.dcm', files / 'd.dcm')
    result, _ = run(files, tmp_path / 'out')
    assert len(result.duplicates) == 1 and len(all_cases(tmp_path / 'out')) == 7


def test_the_key_decides_the_names_and_a_patient_keeps_his(files, tmp_path):
    for name, key in (('one', KEY), ('two', KEY), ('three', b'z' * 32)):
        run(files, tmp_path / name, key=key)
    one, two, three = (set(all_cases(tmp_path / name)) for name in ('one', 'two', 'three'))
    assert one == two and not one & three
    with pytest.raises(ValueError, match='converted with another key'):
        run(files, tmp_path / 'one', key=b'z' * 32)


def test_an_interrupted_run_goes_on_where_it_stopped(files, tmp_path, monkeypatch):
    out, written = tmp_path / 'out', []
    stop_at = 6

    def noted(write):
        def note(path, *args):
            written.append(path.name)
            if len(written) == stop_at:
                raise KeyboardInterrupt
            write(path, *args)

        return note

    for name in ('replace_file', 'write_record'):  # the picture, and then its record
        monkeypatch.setattr(one_module, name, noted(getattr(one_module, name)))
    with pytest.raises(KeyboardInterrupt):
        run(files, out)
    assert not (out / 'train.json').exists()
    (out / 'images' / '.left.png.99999999.tmp').write_bytes(b'half')
    stop_at = None
    del written[:]
    run(files, out)
    assert len(written) == 2 * 7 - 4  # two pictures were there with their records
    assert not list(out.rglob('.*.tmp'))
    del written[:]
    run(files, out)
    assert not written
    one = next((out / 'images').iterdir())
    one.write_bytes(one.read_bytes()[:-50])
    run(files, out)
    assert written == [one.name, f'{one.stem}.json']


def test_another_format_takes_the_place_of_the_first(files, tmp_path):
    out = tmp_path / 'out'
    run(files, out)
    _, sources = run(files, out, picture=ConvertOptions(form='jpeg'), split='none')
    assert {path.suffix for path in (out / 'images').iterdir()} == {'.jpg'}
    assert {path.name for path in out.glob('*.json')} == {'all.json', 'conversion.json'}
    assert len(check_conversion(sources, out, KEY, progress=False).problems) == 1  # broken.dcm


def test_several_processes_give_the_same_files(files, tmp_path):
    for jobs in (0, 2):
        run(files, tmp_path / f'{jobs}', jobs=jobs)
    first, second = (
        {
            p.relative_to(tmp_path / name): p.read_bytes()
            for p in (tmp_path / name).rglob('*')
            if p.is_file()
        }
        for name in ('0', '2')
    )
    assert first == second


def test_a_foreign_folder_is_never_written_to(files, annotated, tmp_path):
    with pytest.raises(ValueError, match='choose another folder'):
        run(files, files)
    with pytest.raises(ValueError, match='is a folder of the source'):
        run(annotated, annotated / 'a', annotations=[annotated / 'labels.json'])
    (tmp_path / 'own').mkdir()
    (tmp_path / 'own' / 'thesis.txt').write_text('mine')
    with pytest.raises(ValueError, match=r'not empty and holds no conversion\.json'):
        run(files, tmp_path / 'own')


def test_too_few_patients_for_the_splits_are_an_error_with_a_cure(files, tmp_path):
    with pytest.raises(ValueError, match=r'1 patients cannot fill 2 splits\. .*--split none'):
        run(files / 'c.dcm', tmp_path / 'out')
    result, _ = run(files / 'c.dcm', tmp_path / 'out', split='none')
    assert list(result.written) == [tmp_path / 'out' / 'all.json']


def test_files_that_name_no_patient_are_counted(files, tmp_path):
    cv2.imwrite(str(files / 'picture.png'), np.full((60, 60), 99, np.uint8))
    result, _ = run(files, tmp_path / 'out')
    assert (result.notes['no_patient'], result.notes['no_spacing']) == (1, 1)


def test_text_that_is_said_to_be_burned_in_is_told(files, tmp_path):
    header = dcmread(files / 'c.dcm')
    header.BurnedInAnnotation = 'YES'
    header.save_as(files / 'c.dcm')
    assert run(files, tmp_path / 'out')[0].notes['burned_in'] == 1


def test_the_data_set_of_ours_reads_what_was_converted(annotated, tmp_path):
    out = tmp_path / 'out'
    run(annotated, out, annotations=[annotated / 'labels.json'])
    pipeline = [dict(type='LoadImage'), dict(type='PackPoseInputs')]
    init_default_scope('mmpose')
    found = DATASETS.build(
        dict(type='THADataset', data_root=str(out), ann_file='train.json', pipeline=pipeline,
             data_prefix=dict(img='images/'), require_spacing=True, disjoint_from=['test.json'])
    )  # fmt: skip
    assert found[0]['inputs'].shape == (3, 80, 96)


@pytest.mark.parametrize(('form', 'px'), [('png', 0.0), ('jpeg', 0.5)])
def test_the_ready_model_finds_in_pictures_what_it_finds_in_dicom(tmp_path, form, px):
    example = ROOT / 'configs/demo/phantom_example.dcm'
    picture = ConvertOptions(form=form)
    run(example, tmp_path / 'out', picture=picture, split='none')
    (path,) = (tmp_path / 'out' / 'images').iterdir()
    found = find_model('unsct-hrnet-tha')
    model = init_model(found.config, found.checkpoint, device='cpu')
    images = (
        LoadRadiograph().transform(dict(img_path=str(example)))['img'],
        LoadImage().transform(dict(img_path=str(path)))['img'],
    )
    one, other = (inference_topdown(model, image)[0].pred_instances for image in images)
    away = np.linalg.norm(one.keypoints - other.keypoints, axis=-1)[one.keypoints_visible > 0]
    assert len(away) > 15 and away.max() <= px
    np.testing.assert_array_equal(one.keypoints_visible, other.keypoints_visible)


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        ('pixel', 'its picture is off by up to'),
        ('landmark', 'landmarks are off by up to 1 px'),
        ('absent', 'other landmarks are absent'),
        ('spacing', 'the pixel spacing is not that of its record'),
        ('identity', 'its record holds words of the header'),
        ('patient', 'is in train and test'),
        ('orphan', '1 pictures are named in no annotation file'),
        ('lost', 'its picture cannot be read'),
        ('metadata', 'its picture holds words of the header'),
    ],
)
def test_the_check_finds_what_is_wrong(annotated, tmp_path, spoil, words):
    out = tmp_path / 'out'
    _, sources = run(annotated, out, annotations=[annotated / 'labels.json'])
    path = out / 'train.json'
    content = json.loads(path.read_text())
    image, keypoints = content['images'][0], content['annotations'][0]['keypoints']
    picture = out / 'images' / image['file_name']
    if spoil == 'pixel':
        grey = cv2.imread(str(picture), 0)
        grey[3, 4] ^= 1
        cv2.imwrite(str(picture), grey)
    elif spoil == 'landmark':
        keypoints[0] += 1
    elif spoil == 'absent':
        image['absent'] = ['right_femoral_shaft_distal_midpoint']
        image['subset'] = 'unstructured'
    elif spoil == 'spacing':
        image['pixel_spacing'][0] *= 1.001
    elif spoil == 'identity':
        image['remark'] = 'seen by Mustermann'
    elif spoil == 'patient':
        other = json.loads((out / 'test.json').read_text())
        image['patient_id'] = other['images'][0]['patient_id']
    elif spoil == 'orphan':
        shutil.copy(picture, picture.with_name('x.png'))
    elif spoil == 'lost':
        picture.unlink()
    else:
        picture.write_bytes(picture.read_bytes() + b'Mustermann')
    path.write_text(json.dumps(content))
    problems = check_conversion(sources, out, KEY, progress=False).problems
    assert any(words in problem for problem in problems), problems


def test_the_check_sees_a_16_bit_level_that_is_off_by_one(files, tmp_path):
    out = tmp_path / 'out'
    (files / 'broken.dcm').unlink()
    _, sources = run(files, out, picture=ConvertOptions(form='png16'))
    path = next((out / 'images').iterdir())
    levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert levels.dtype == np.uint16 and len(np.unique(levels & 255)) > 100
    levels[5, 5] ^= 1
    cv2.imwrite(str(path), levels)
    (problem,) = check_conversion(sources, out, KEY, progress=False).problems
    assert '16-bit levels' in problem


def test_real_dicom_converts_and_checks(shared_dir, tmp_path):
    out = tmp_path / 'out'
    lines = []
    result, sources = run(shared_dir / 'data' / 'dicom', out, lines=lines)
    assert len(lines) == 1 and 'damaged' in lines[0]  # 966.dcm
    assert sum(map(len, result.written.values())) == len(sources.files) - 1 > 20
    (problem,) = check_conversion(sources, out, KEY, progress=False).problems
    assert 'was not converted' in problem


def test_a_frame_is_chosen_and_remembered(tmp_path):
    source = Path(get_testdata_file('SC_rgb_rle_2frame.dcm'))
    out, lines = tmp_path / 'out', []
    result, _ = run(source, out, lines=lines, split='none')
    assert not result.written and '2 frames' in lines[0]
    result, sources = run(source, out, split='none', picture=ConvertOptions(frame=1))
    assert len(all_cases(out)) == 1
    assert not check_conversion(sources, out, KEY, progress=False).problems
    with_other, _ = run(source, out, split='none', picture=ConvertOptions(frame=0))
    assert len(with_other.written) == 1
    assert ConvertOptions(frame=0).to_dict()['frame'] == 0
    assert 'frame' not in ConvertOptions().to_dict()


def test_the_command_converts_checks_and_hides_names_unless_asked(files, tmp_path, unsct):
    def tool(*arguments):
        return unsct('convert', files, '--quiet', *arguments, cwd=tmp_path)

    done = tool('--out', 'hips')
    assert done.returncode == 1
    assert re.search(r'hips/train\.json: \d images \(0 unstructured\) of \d patients', done.stdout)
    assert '1 files could not be converted' in done.stdout and 'hips.key' in done.stdout
    assert 'convert: file 1: ' in done.stderr and 'broken' not in done.stderr
    assert oct((tmp_path / 'hips.key').stat().st_mode)[-3:] == '600'
    assert len(read_key(tmp_path / 'hips.key')) == 32
    done = tool('--out', 'hips', '--name-files', '--check')
    assert 'broken.dcm: it was not converted' in done.stderr and done.returncode == 1
    assert '7 images: grey levels off by up to 0, 0.000 on average' in done.stdout
    (files / 'broken.dcm').unlink()
    assert tool('--out', 'hips', '--check').returncode == 0
    done = tool('--out', 'hips', '--key', 'hips/inside.key')
    assert 'keep the key out of the data set' in done.stderr and done.returncode == 1
