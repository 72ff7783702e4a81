"""Landmark files in, parameters out: both kinds, three forms, and errors that tell the cure."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.golden_hip import GOLDEN_MM
from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import (
    AnnotatedRadiograph,
    AnnotationError,
    LandmarkStates,
    write_annotations,
)
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.report.measure import (
    FORMS,
    NOTICE,
    as_csv,
    as_json,
    as_table,
    form_of,
    measure_file,
    render,
    write_measurements,
)

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'measure.py'
SPACING = (0.5, 0.4)


def record(image='x.dcm', spacing=SPACING, **changes):
    points = GOLDEN_MM / spacing
    landmarks = {name: points[k].tolist() for k, name in enumerate(LANDMARK_NAMES)}
    landmarks |= changes.pop('landmarks', {})
    return {'image': image, 'pixel_spacing': list(spacing), 'landmarks': landmarks, **changes}


@pytest.fixture
def write(tmp_path):
    """Write a json document and return its path."""

    def write(document, name='landmarks.json'):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


@pytest.fixture
def coco(tmp_path):
    """A COCO file: one image that is magnified 1.25 times and lacks a point, one that is not."""
    cases = []
    for number, factor in ((1, 1.25), (2, 1.0)):
        present = np.ones(24, bool)
        present[4] = number == 2
        cases.append(
            AnnotatedRadiograph(
                image_id=number,
                file_name=f'{number}.dcm',
                size_wh=(1000, 1000),
                subset='structured' if number == 2 else 'unstructured',
                states=LandmarkStates(
                    np.where(present[:, None], GOLDEN_MM / SPACING, 0), present, ~present
                ),
                spacing_xy_mm=SPACING,
                magnification=factor,
                patient_id='Mustermann^Erika',
            )
        )
    path = tmp_path / 'coco.json'
    write_annotations(path, cases, info={'description': 'Simulated radiographs'})
    return path


def value(measured, name, image=0):
    return measured.images[image].measurements[name].value


# What is read


def test_a_plain_record_gives_the_golden_values(write):
    measured = measure_file(write(record(magnification=1.0)))
    assert measured.source == 'landmarks.json' and not measured.simulated
    assert measured.images[0].image == 'x.dcm'
    assert value(measured, 'left_center_edge_angle_deg') == pytest.approx(32.856, abs=1e-3)
    assert value(measured, 'right_femoral_offset_mm') == pytest.approx(41.467, abs=1e-3)


def test_a_list_of_records_keeps_its_order(write):
    measured = measure_file(write([record('b.dcm'), record('a.dcm', magnification=1.25)]))
    assert [image.image for image in measured.images] == ['b.dcm', 'a.dcm']
    assert [image.plane for image in measured.images] == ['detector', 'bone']
    assert value(measured, 'left_femoral_offset_mm', 1) == pytest.approx(41.467 / 1.25, abs=1e-3)


def test_a_coco_file_gives_the_golden_values(coco):
    measured = measure_file(coco)
    assert measured.simulated
    assert [image.image for image in measured.images] == ['1.dcm', '2.dcm']
    assert value(measured, 'right_sharp_angle_deg', 1) == pytest.approx(43.025, abs=1e-3)
    assert value(measured, 'left_femoral_offset_mm', 1) == pytest.approx(41.467, abs=1e-3)
    assert value(measured, 'left_femoral_offset_mm', 0) == pytest.approx(41.467 / 1.25, abs=1e-3)
    lost = measured.images[0].measurements['left_skinner_height_mm']
    assert lost.value is None and lost.reason == 'left_fovea is absent'


def test_a_magnification_of_one_is_unknown_in_a_coco_file_and_known_in_a_record(coco, write):
    assert [image.plane for image in measure_file(coco).images] == ['bone', 'detector']
    assert measure_file(coco).images[1].magnification is None
    assert measure_file(write(record(magnification=1.0))).images[0].plane == 'bone'


@pytest.mark.parametrize(
    'info, simulated',
    [
        ({'description': 'Simulated AP pelvic radiographs'}, True),
        ({'description': 'Radiographs'}, False),
        ({'description': 'Unsimulated'}, False),
        ({'description': 'Simulated', 'simulated': False}, False),
        ({'simulated': True}, True),
        ({}, False),
    ],
)
def test_simulated_data_are_marked(coco, info, simulated):
    document = json.loads(coco.read_text()) | {'info': info}
    coco.write_text(json.dumps(document))
    measured = measure_file(coco)
    assert measured.simulated is simulated
    words = 'marked as simulated' if simulated else 'not marked as simulated'
    assert f'2 images, {words}\n' in as_table(measured)
    assert json.loads(as_json(measured))['simulated'] is simulated
    assert (
        next(csv.DictReader(as_csv(measured).splitlines()))['simulated'] == str(simulated).lower()
    )


def test_a_record_may_say_that_it_is_simulated(write):
    assert measure_file(write([record('a'), record('b', simulated=True)])).simulated


@pytest.mark.parametrize('gone', [None, {'present': False}, {'x': 1, 'y': 2, 'present': False}])
def test_absence_is_said_in_three_ways(write, gone):
    measured = measure_file(write(record(landmarks={'left_fovea': gone})))
    reason = measured.images[0].measurements['left_skinner_distance_mm'].reason
    assert reason == 'left_fovea is absent'


def test_a_landmark_that_is_not_listed_is_absent(write):
    document = record()
    del document['landmarks']['left_fovea']
    assert value(measure_file(write(document)), 'left_skinner_height_mm') is None


def test_covariances_give_standard_errors_where_all_are_known(write):
    points = GOLDEN_MM / SPACING
    landmarks = {
        LANDMARK_NAMES[k]: {'x': x, 'y': y, 'covariance': [[4.0, 1.0], [1.0, 9.0]]}
        for k, (x, y) in enumerate(points.tolist())
    }
    measured = measure_file(write(record(landmarks=landmarks)))
    assert np.isfinite(measured.images[0].measurements.standard_errors).all()
    # x: 2 px of 0.5 mm on both ends of a level line.
    head = measured.images[0].measurements['left_acetabular_offset_mm']
    assert head.standard_error == pytest.approx(np.sqrt(2), rel=0.05)
    del landmarks['left_fovea']['covariance']
    found = measure_file(write(record(landmarks=landmarks))).images[0].measurements
    assert found['left_skinner_height_mm'].standard_error is None
    assert np.isfinite(found['left_femoral_offset_mm'].standard_error)


def test_without_covariances_there_are_none(write):
    measured = measure_file(write(record()))
    assert np.isnan(measured.images[0].measurements.standard_errors).all()


# What the caller decides


def test_the_plane_of_the_detector_does_not_divide(write):
    path = write(record(magnification=1.25))
    at_bone, at_detector = (measure_file(path, plane=plane) for plane in ('bone', 'detector'))
    for name in MEASUREMENT_NAMES:
        factor = 1.25 if name.endswith('_mm') else 1.0
        assert value(at_detector, name) == pytest.approx(factor * value(at_bone, name))
    assert 'lengths at the detector (magnification 1.25, not used)' in as_table(at_detector)
    assert 'lengths at the bone (magnification 1.25)' in as_table(at_bone)


def test_the_callers_magnification_and_spacing_win(coco):
    measured = measure_file(coco, magnification=2.0, spacing_xy_mm=(1.0, 0.8))
    assert {image.plane for image in measured.images} == {'bone'}
    for image in (0, 1):
        assert value(measured, 'left_femoral_offset_mm', image) == pytest.approx(41.467, abs=1e-3)


def test_the_caller_helps_a_record_without_spacing(write):
    document = record()
    del document['pixel_spacing']
    measured = measure_file(write(document), spacing_xy_mm=SPACING)
    assert value(measured, 'right_sharp_angle_deg') == pytest.approx(43.025, abs=1e-3)


@pytest.mark.parametrize(
    'options, words',
    [
        ({'plane': 'table'}, "detector or bone, not 'table'"),
        ({'magnification': 0.0}, 'magnification must be a positive number'),
        ({'spacing_xy_mm': (0.1, -0.1)}, 'two positive numbers'),
    ],
)
def test_options_without_sense_are_refused(write, options, words):
    with pytest.raises(ValueError, match=words):
        measure_file(write(record()), **options)


# Errors name file, field and cure


def bad(landmark=None, **changes):
    return record(landmarks={'left_fovea': landmark} if landmark is not None else {}, **changes)


@pytest.mark.parametrize(
    'document, words',
    [
        ('{"image": ', r'invalid JSON at line 1'),
        ([], 'give one JSON object or a list of them'),
        (['x.dcm'], 'give one JSON object or a list of them'),
        ({'points': []}, 'neither kind of landmark file; give images, annotations'),
        ({'images': []}, "'annotations' is missing"),
        (bad(image=7), "field 'image' must be a name"),
        ([record(), record()], "2 records have image 'x.dcm'; give each its own"),
        (bad(pixel_spacing=[0.1]), r"image 'x.dcm': field 'pixel_spacing' is \[0.1\]; give \[x, y"),
        (bad(pixel_spacing=[0.1, 0]), "field 'pixel_spacing'.*positive"),
        (bad(magnification='1.15'), "field 'magnification' is '1.15'; give a positive number"),
        (bad(magnification=True), "field 'magnification' is True"),
        (bad(magnificaton=1.15), "unknown field 'magnificaton'; did you mean 'magnification'?"),
        (bad(simulated='no'), "field 'simulated' must be true or false"),
        ({'image': 'x.dcm', 'landmarks': []}, "field 'landmarks' is missing or no object"),
        (record(landmarks={'left_foeva': [1, 2]}), "'left_foeva'; did you mean 'left_fovea'"),
        (bad([1, 2, 3]), r"landmark 'left_fovea': \[1, 2, 3\] is no place; give \[x, y\]"),
        (bad({'x': 1}), r'x, y are \[1, None\]; give two numbers of pixels, or "present": false'),
        (bad({'x': 1, 'y': 2, 'present': 1}), "field 'present' is 1; give true or false"),
        (bad({'x': 1, 'y': 2, 'covarianc': 1}), "did you mean 'covariance'"),
        (bad({'x': 1, 'y': 2, 'covariance': [1, 1]}), r'give \[\[xx, xy\], \[xy, yy\]\] in px'),
        (bad({'x': 1, 'y': 2, 'covariance': [[1, 2], [2, 1]]}), "'covariance' is"),
        (bad({'x': 1, 'y': 2, 'covariance': [[1, 0.5], [0, 1]]}), "'covariance' is"),
        (bad({'x': 1, 'y': 2, 'covariance': [[-1, 0], [0, 1]]}), "'covariance' is"),
        ('{"landmarks": {"left_fovea": [NaN, 1]}}', 'is no place'),
    ],
)
def test_a_wrong_file_is_refused_with_its_cure(write, document, words):
    path = write(document)
    with pytest.raises(AnnotationError, match=words) as caught:
        measure_file(path, spacing_xy_mm=SPACING)
    assert str(caught.value).startswith(str(path))


def test_all_problems_are_listed_at_once(write):
    path = write([bad([1], image='a'), bad(pixel_spacing=0, image='b')])
    with pytest.raises(AnnotationError, match=r'2 problems(.|\n)*landmark(.|\n)*pixel_spacing'):
        measure_file(path)


def test_a_spacing_and_a_magnification_that_are_needed_are_asked_for(write, coco):
    document = record()
    del document['pixel_spacing']
    with pytest.raises(AnnotationError, match=r"'x.dcm': field 'pixel_spacing' is.*--spacing"):
        measure_file(write(document))
    with pytest.raises(AnnotationError, match=r"'2.dcm': field 'magnification'.*--plane detector"):
        measure_file(coco, plane='bone')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r'none.json: the file cannot be read'):
        measure_file(tmp_path / 'none.json')


# What is written


def test_json_holds_every_value_and_null_where_there_is_none(coco):
    text = as_json(measure_file(coco))
    assert 'NaN' not in text
    document = json.loads(text)
    assert document['notice'] == NOTICE and document['source'] == 'coco.json'
    first, second = document['images']
    assert [row['name'] for row in first['measurements']] == list(MEASUREMENT_NAMES)
    assert (first['plane'], first['magnification'], first['pixel_spacing']) == (
        'bone', 1.25, [0.5, 0.4]
    )  # fmt: skip
    assert (second['plane'], second['magnification']) == ('detector', None)
    assert first['reference_line'] == '8L-8R'
    by_name = {row['name']: row for row in first['measurements']}
    assert by_name['left_skinner_height_mm'] == {
        'name': 'left_skinner_height_mm',
        'side': 'left',
        'unit': 'mm',
        'value': None,
        'standard_error': None,
        'reason': 'left_fovea is absent',
        'reference': 'no reference range',
    }
    edge = by_name['right_center_edge_angle_deg']
    assert edge['value'] == pytest.approx(32.8557, abs=1e-4) and edge['unit'] == 'deg'
    assert edge['reference'] == 'within usual range 25 to 39 deg (Toennis & Heinecke)'
    assert by_name['pelvic_obliquity_deg']['side'] is None


def test_csv_has_a_row_for_each_image_and_measurement_and_empty_cells(coco):
    rows = list(csv.DictReader(as_csv(measure_file(coco)).splitlines()))
    assert [(row['image'], row['measurement']) for row in rows] == [
        (f'{number}.dcm', name) for number in (1, 2) for name in MEASUREMENT_NAMES
    ]
    first = rows[0]
    assert (first['value'], first['standard_error'], first['unit']) == ('', '', 'mm')
    assert (first['side'], first['reason']) == ('left', 'left_fovea is absent')
    assert (first['plane'], first['magnification']) == ('bone', '1.25')
    assert (first['reference_line'], first['simulated']) == ('8L-8R', 'true')
    last = rows[-1]
    assert (last['side'], last['reason'], last['magnification']) == ('', '', '')
    assert float(last['value']) == 0 and not last['value'].startswith('-')
    assert all(row['notice'] == NOTICE for row in rows)
    assert not any('nan' in row['value'].lower() for row in rows)


def test_the_table_shows_sides_beside_each_other_and_why_something_is_missing(coco):
    lines = as_table(measure_file(coco)).splitlines()
    assert lines[0] == NOTICE
    sharp = next(line for line in lines if 'sharp_angle_deg' in line)
    assert sharp.split() == ['sharp_angle_deg', '43.0', '43.0', '33', 'to', '38', '(Sharp)']
    skinner = next(line for line in lines if line.startswith('  skinner_height'))
    assert skinner.split() == ['skinner_height_mm', '-', '-7.7']
    assert (
        '  left_fovea is absent; not measured: left_skinner_height_mm, left_skinner_distance_mm'
        in lines
    )
    assert 'image 2.dcm' in lines and not any(line != line.rstrip() for line in lines)
    assert '-0.0' not in '\n'.join(lines)
    # The leg-length difference never stands without the tilt of the shafts.
    text = '\n'.join(lines)
    assert text.count('gt_leg_length') == text.count('shaft_abduction') == 2


@pytest.mark.parametrize('form', FORMS)
def test_no_form_tells_who_the_patient_is_or_what_the_patient_has(coco, form):
    text = render(measure_file(coco), form)
    assert NOTICE in text
    for word in ('Mustermann', 'dysplasia', 'coxa', 'protrusio', 'borderline', 'steep', 'fracture'):
        assert word not in text


@pytest.mark.parametrize('name, form', [('a.json', 'json'), ('a.b.csv', 'csv'), ('A.TXT', 'table')])
def test_the_suffix_tells_the_form(coco, tmp_path, name, form):
    measured = measure_file(coco)
    assert form_of(name) == form
    write_measurements(measured, tmp_path / name)
    assert (tmp_path / name).read_text() == render(measured, form)
    assert not list(tmp_path.glob('.*'))


def test_an_unknown_form_is_refused(coco, tmp_path):
    measured = measure_file(coco)
    with pytest.raises(ValueError, match=r"suffix '\.xlsx' is none of \.json, \.csv, \.txt"):
        write_measurements(measured, tmp_path / 'a.xlsx')
    with pytest.raises(ValueError, match='table, json, csv'):
        render(measured, 'xml')
    write_measurements(measured, tmp_path / 'a.xlsx', 'csv')
    assert (tmp_path / 'a.xlsx').read_text() == as_csv(measured)


# The tool


def test_the_tool_prints_a_table_and_writes_files(coco, tmp_path, unsct):
    done = unsct('measure', coco, cwd=tmp_path)
    assert done.stdout == as_table(measure_file(coco)) and not done.stderr
    done = unsct('measure', '--spacing', 0.5, 0.4, '--magnification', 1.2, '--plane', 'bone', coco,
                 '--out', 'values.csv', cwd=tmp_path)  # fmt: skip
    assert done.stdout == 'values.csv: 2 images measured\n'
    expected = measure_file(coco, spacing_xy_mm=SPACING, magnification=1.2, plane='bone')
    assert (tmp_path / 'values.csv').read_text() == as_csv(expected)
    assert unsct('measure', coco, '--format', 'json').stdout == as_json(measure_file(coco))


def test_the_tool_needs_no_mmpose_and_no_torch(coco, run_python):
    program = (
        'import sys; from unsct_mmpose.cli.main import main\n'
        'assert not main(["measure", sys.argv[1]])\n'
        'print(sorted({"mmpose", "mmengine", "mmcv", "torch"} & set(sys.modules)))'
    )
    done = run_python('-c', program, coco)
    assert done.stdout.splitlines()[-1] == '[]'


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['none.json'], 'none.json: the file cannot be read'),
        (['coco.json', '--plane', 'bone'], "field 'magnification' is missing"),
        (['coco.json', '--out', 'values.xlsx'], 'name the format'),
        (['coco.json', '--out', 'coco.json'], 'would replace the landmarks'),
        (['coco.json', '--out', 'no/values.csv'], 'No such file or directory'),
        (['coco.json', '--magnification', '-1'], 'positive'),
    ],
)
def test_the_tool_says_what_is_wrong_in_one_line(coco, unsct, arguments, words):
    before = sorted(coco.parent.iterdir()), coco.read_bytes()
    done = unsct('measure', *arguments, cwd=coco.parent)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith('measure: ') and words in done.stderr
    assert 'Traceback' not in done.stderr
    assert (sorted(coco.parent.iterdir()), coco.read_bytes()) == before


def test_the_page_shows_what_the_tool_prints(tmp_path, unsct):
    page = (ROOT / 'docs' / 'how-to' / 'measure.md').read_text()
    example = re.search(r'```json\n(.*?)```', page, re.DOTALL).group(1)
    (tmp_path / 'landmarks.json').write_text(example)
    shown = re.search(r'```text\n(.*?)```', page, re.DOTALL).group(1)
    done = unsct('measure', 'landmarks.json', cwd=tmp_path)
    pieces = [piece.strip('\n') for piece in shown.split('...\n')]
    assert all(piece in done.stdout for piece in pieces) and len(pieces) > 1


# Real bones


def test_real_bones_have_plausible_values(shared_dir):
    measured = measure_file(shared_dir / 'data' / 'vsd_ap' / 'train.json')
    assert measured.simulated and len(measured.images) == 160
    assert {image.plane for image in measured.images} == {'bone'}
    table = np.stack([image.measurements.values for image in measured.images])
    # Means of the set's README, over all its splits; some of its lines of reference are others.
    for name, mean, tolerance in (
        ('femoral_offset_mm', 33.3, 2), ('neck_shaft_angle_deg', 130.8, 2),
        ('skinner_height_mm', -0.2, 2), ('acetabular_offset_mm', 31.5, 1),
        ('center_edge_angle_deg', 36.1, 4), ('sharp_angle_deg', 37.7, 3),
        ('acetabular_index_roof_deg', 4.5, 3),
    ):  # fmt: skip
        columns = [MEASUREMENT_NAMES.index(f'{side}_{name}') for side in ('left', 'right')]
        assert np.nanmean(table[:, columns]) == pytest.approx(mean, abs=tolerance), name


# Sides and spacing that are odd


def test_landmarks_of_a_mirrored_image_change_sides(write):
    usual = measure_file(write(record()))
    other = measure_file(write(record()), mirrored=True)
    points = {name: (GOLDEN_MM[k] / SPACING + np.array([30, 0]) * (k == 2)).tolist()
              for k, name in enumerate(LANDMARK_NAMES)}  # fmt: skip
    odd = write(record(landmarks=points))
    left = value(measure_file(odd), 'left_sharp_angle_deg')
    assert left != pytest.approx(value(usual, 'left_sharp_angle_deg'))
    assert value(measure_file(odd, mirrored=True), 'right_sharp_angle_deg') == pytest.approx(left)
    assert usual.images[0].warnings == ()
    assert 'exchanged, as the caller says' in other.images[0].warnings[0]
    for form in FORMS:
        assert 'exchanged, as the caller says' in render(other, form)


def test_exchanged_names_are_warned_of(write):
    swapped = {name: (GOLDEN_MM[(k + 12) % 24] / SPACING).tolist()
               for k, name in enumerate(LANDMARK_NAMES)}  # fmt: skip
    found = measure_file(write(record(landmarks=swapped)))
    assert 'left and right are exchanged' in found.images[0].warnings[0]


@pytest.mark.parametrize(
    'spacing, words', [((1.0, 1.0), 'do not know the spacing'), ((2.0, 0.4), '5 times as wide')]
)
def test_an_odd_spacing_is_questioned(write, spacing, words):
    warned = measure_file(write(record()), spacing_xy_mm=spacing).images[0].warnings
    assert any(words in words_of for words_of in warned)


@pytest.mark.parametrize('spacing', [(143, 143), (0.0143, 0.0143)])
def test_another_unit_is_refused_by_option_and_by_field(write, spacing):
    with pytest.raises(ValueError, match=r'it would be 0\.143'):
        measure_file(write(record()), spacing_xy_mm=spacing)
    with pytest.raises(AnnotationError, match=r'it would be 0\.143'):
        measure_file(write(record(pixel_spacing=list(spacing))))
