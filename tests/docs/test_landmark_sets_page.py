"""The sets of docs/how-to/landmark-sets.md go all the way: data, training, calibration, report.

Nothing of the package knows them: they are what the page says, and the radiographs are drawn here.
"""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from unsct_mmpose.anatomy import landmark_set
from unsct_mmpose.annotations.check import check_data
from unsct_mmpose.annotations.coco import AnnotatedRadiograph, LandmarkStates, write_annotations
from unsct_mmpose.calibrate.fit import META_KEY, CalibrationRequest, calibrate
from unsct_mmpose.dicom.find_inputs import find_inputs
from unsct_mmpose.inference.predict import PredictOptions, predict_files
from unsct_mmpose.inference.torch_model import TorchBackend
from unsct_mmpose.maps.calibration_fit import FitOptions
from unsct_mmpose.research.tiny import NARROW_HRNET

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'docs/how-to/landmark-sets.md').read_text()
(JSON,) = re.findall(r'```json\n(.*?)```', TEXT, re.DOTALL)
CONFIGS = {
    re.match(r'# (\w+)\.py', block)[1]: block
    for block in re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL)
}
COUNTS = {'cephalometric': 19, 'post_operative': 16}
SIZE, SPACING, PEOPLE = (96, 80), 2.0, 6
HIDDEN = 5


@pytest.fixture(scope='module', params=COUNTS)
def trained(request, tmp_path_factory):
    """The name of a config of the page, and a folder with it, its data and what it trained."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    (folder / 'cephalometric.json').write_text(JSON)
    block = CONFIGS[name].replace("'configs/", f"'{ROOT.as_posix()}/configs/")
    (folder / f'{name}.py').write_text(block)
    written = Config.fromfile(folder / f'{name}.py')
    landmarks = landmark_set(written.landmarks)
    for split in ('train', 'val', 'test'):
        draw_split(folder, split, landmarks)
    (folder / 'tiny.py').write_text(tiny(written, name, folder))
    init_default_scope('mmpose')
    runner = Runner.from_cfg(Config.fromfile(folder / 'tiny.py'))
    runner.train()
    figures = runner.test()
    return landmarks, folder, figures


def tiny(written, name, folder):
    """Return a config that makes the page's small enough for a test."""
    sizes = dict(input_size=(64, 64), heatmap_size=(16, 16))
    pipelines = {}
    for key in ('train_pipeline', 'val_pipeline'):
        pipelines[key] = [dict(step) for step in written[key]]
        for step in pipelines[key]:
            if step['type'] == 'RadiographAffine':
                step['input_size'] = (64, 64)
            if step['type'] == 'GenerateTarget':
                step['encoder'] = dict(step['encoder'].to_dict(), **sizes)
    one_process = dict(batch_size=3, num_workers=0, persistent_workers=False)
    loaders = {
        f'{split}_dataloader': dict(
            one_process,
            dataset=dict(
                data_root=folder.as_posix(),
                pipeline=pipelines['train_pipeline' if split == 'train' else 'val_pipeline'],
            ),
        )
        for split in ('train', 'val', 'test')
    }
    changes = dict(
        _base_=f'{name}.py',
        model=dict(
            backbone=dict(extra=NARROW_HRNET),
            neck=dict(in_channels=(4, 8, 16, 32), out_channels=8),
            head=dict(in_channels=8, decoder=sizes),
        ),
        **loaders,
        train_cfg=dict(max_epochs=2, val_interval=2),
        default_hooks=dict(checkpoint=dict(interval=2)),
        work_dir=(folder / 'run').as_posix(),
        experiment_name=name,
        visualizer=dict(name=name),
    )
    return '\n'.join(f'{key} = {json_free(value)!r}' for key, value in changes.items())


def json_free(value):
    return value.to_dict() if hasattr(value, 'to_dict') else value


def draw_split(folder, split, landmarks):
    """Write simulated radiographs: discs where the landmarks are, and each second lacks one."""
    (folder / 'images').mkdir(exist_ok=True)
    cases = []
    for index in range(PEOPLE):
        rng = np.random.default_rng((index, *split.encode()))
        points = spread(landmarks, rng)
        present = np.ones(len(landmarks), bool)
        present[HIDDEN] = index % 2 == 0
        image = rng.integers(0, 60, SIZE[::-1], np.uint8)
        for x, y in points[present]:
            cv2.circle(image, (round(x), round(y)), 2, 255, -1)
        name = f'{split}-{index}.png'
        cv2.imwrite(str(folder / 'images' / name), image)
        states = LandmarkStates(
            np.where(present[:, None], points, 0.0), present, ~present, landmarks
        )
        cases.append(
            AnnotatedRadiograph(
                image_id=index + 1, file_name=name, size_wh=SIZE, states=states,
                subset='structured' if present.all() else 'unstructured',
                spacing_xy_mm=(SPACING, SPACING), patient_id=f'{split}-{index}',
            )
        )  # fmt: skip
    write_annotations(folder / f'{split}.json', cases, info=dict(description='simulated'))


def spread(landmarks, rng):
    """Return places all over an image, those of the patient's left on the right of the image."""
    columns = 5
    grid = [(8 + 7 * (k % columns), 8 + 16 * (k // columns)) for k in range(len(landmarks))]
    points = np.array(grid, float) + rng.uniform(-2, 2, (len(grid), 2))
    for k, twin in enumerate(landmarks.flip_indices):
        if landmarks.side_of(k) == 'left' and twin != k:
            points[k] = SIZE[0] - points[twin, 0], points[twin, 1]
    return points


def test_the_page_shows_the_sets_that_it_names(trained):
    landmarks, folder, _ = trained
    assert len(landmarks) == COUNTS[folder.name.rstrip('0123456789')]
    assert not landmarks.clinical
    pairs = len(landmarks) - len(landmarks.classes)
    assert pairs == (7 if landmarks.name == 'post_operative_hip' else 0)


def test_the_data_are_checked_by_their_own_names(trained):
    landmarks, folder, _ = trained
    assert check_data(folder / 'test.json', landmarks=landmarks).errors == 0
    found = check_data(folder / 'test.json', decode=False).to_text()
    assert f'unknown landmark {landmarks.names[0]!r}' in found


def test_a_training_judges_every_landmark_by_its_name(trained):
    landmarks, _, figures = trained
    names = {key.split('/')[1] for key in figures if key.startswith('landmark/')}
    assert names == set(landmarks.names)
    assert np.isfinite(figures['all/MRE'])
    assert figures['all/NME_dropped_images'] == 0
    assert not any('clinical' in key for key in figures)


def test_the_checkpoint_says_which_landmarks_it_finds(trained):
    import torch

    landmarks, folder, _ = trained
    content = torch.load(folder / 'run/epoch_2.pth', weights_only=False)
    assert landmark_set(content['meta']['dataset_meta']['landmarks']) == landmarks
    assert content['meta']['dataset_meta']['flip_indices'] == list(landmarks.flip_indices)
    sizes = {len(value) for key, value in content['state_dict'].items() if 'heatmap.bias' in key}
    assert sizes == {len(landmarks)}
    relations = landmarks.relation_set('full')
    last = content['state_dict']['head.final_layer.bias']
    assert len(last) == len(landmarks) + 2 * len(relations)


@pytest.fixture(scope='module')
def calibrated(trained):
    landmarks, folder, _ = trained
    request = CalibrationRequest(
        config=folder / 'tiny.py',
        checkpoint=folder / 'run/epoch_2.pth',
        out=folder / 'calibrated.pth',
        device='cpu',
        fit=FitOptions(),
    )
    return landmarks, folder, calibrate(request)


def test_a_calibration_is_of_these_landmarks_and_promises_no_measurement(calibrated):
    import torch

    landmarks, _, (calibration, figures, out) = calibrated
    assert calibration.landmarks == landmarks
    assert set(calibration.region_scales) == set(landmarks.class_names)
    assert calibration.interval_scales == {} == calibration.offsets
    assert 'set_error/all/E_20' in figures
    assert not any(key.startswith('clinical') for key in figures)
    stored = torch.load(out, weights_only=False)['meta'][META_KEY]
    assert landmark_set(stored['landmarks']) == landmarks


def test_a_calibration_of_other_landmarks_is_refused(calibrated):
    landmarks, folder, (_, _, out) = calibrated
    content = json.dumps(landmarks.to_dict()).replace(f'"{landmarks.names[0]}"', '"elsewhere"')
    (folder / 'renamed.json').write_text(content)
    path = (folder / 'renamed.json').as_posix()
    renamed = (folder / 'tiny.py').read_text()
    renamed += f"\nmodel['head']['decoder']['landmarks'] = {path!r}\n"
    (folder / 'renamed.py').write_text(renamed)
    with pytest.raises(ValueError, match=r'calibration is of the landmarks .* calibrate anew'):
        TorchBackend(folder / 'renamed.py', out, 'cpu')


@pytest.fixture(scope='module')
def predicted(calibrated):
    landmarks, folder, (_, _, out) = calibrated
    backend = TorchBackend(folder / 'tiny.py', out, 'cpu')
    assert backend.landmarks == landmarks
    inputs = find_inputs([folder / 'images'])
    done = predict_files(backend, inputs, folder / 'out', PredictOptions(jobs=0, progress=False))
    assert not done.errors
    return landmarks, folder, backend


def test_predictions_and_reports_name_the_landmarks(predicted):
    landmarks, folder, _ = predicted
    content = json.loads((folder / 'out/test-0.json').read_text())
    assert [each['name'] for each in content['landmarks']] == list(landmarks.names)
    assert content['measurements'] == []
    assert landmark_set(content['model']['landmarks']) == landmarks
    with open(folder / 'out/predictions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert {row['kind'] for row in rows} == {'landmark'}
    own = [row for row in rows if row['image'] == 'test-0.png']
    assert [row['name'] for row in own] == list(landmarks.names)
    sides = [landmarks.side_of(k) or '' for k in range(len(landmarks))]
    assert [row['side'] for row in own] == sides
    page = (folder / 'out/test-0.html').read_text() if (folder / 'out/test-0.html').exists() else (
        folder / 'out/report.html').read_text()  # fmt: skip
    for label, description in zip(landmarks.labels, landmarks.descriptions, strict=True):
        assert f'>{label.replace(chr(39), "&#39;")}<' in page
        assert description in page
    assert f'The {len(landmarks)} landmarks' in page
    assert 'Table 1' not in page
    assert cv2.imread(str(folder / 'out/test-0.png')) is not None


def test_predictions_obey_the_schema(predicted):
    jsonschema = pytest.importorskip('jsonschema')
    from unsct_mmpose.report.prediction import Prediction, prediction_schema

    _, folder, _ = predicted
    content = json.loads((folder / 'out/test-1.json').read_text())
    jsonschema.validate(content, prediction_schema(predicted[0]))
    assert Prediction.from_dict(content).to_dict() == content


def test_the_exported_model_names_them_too_and_says_the_same(predicted):
    pytest.importorskip('onnx', reason='no onnx here: pip install onnx onnxruntime')
    pytest.importorskip('onnxruntime', reason='no onnxruntime here: pip install onnxruntime')
    from unsct_mmpose.export.export_onnx import ExportRequest, export_onnx
    from unsct_mmpose.inference.onnx_model import OnnxModel

    landmarks, folder, backend = predicted
    model = folder / 'model.onnx'
    export_onnx(ExportRequest(folder / 'tiny.py', folder / 'calibrated.pth', model))
    exported = OnnxModel(model, threads=1)
    assert exported.landmarks == landmarks
    assert exported.metadata['landmark_names'] == list(landmarks.names)
    assert exported.metadata['measurement_names'] == []
    assert exported.identity['landmarks'] == backend.identity['landmarks']
    image = cv2.imread(str(folder / 'images/test-0.png'), cv2.IMREAD_GRAYSCALE) / 255.0
    theirs, ours = (each.infer([image])[0] for each in (exported, backend))
    assert theirs['keypoints'].shape == (len(landmarks), 2)
    np.testing.assert_allclose(theirs['keypoint_scores'], ours['keypoint_scores'], atol=1e-3)
    np.testing.assert_array_equal(theirs['keypoints_visible'], ours['keypoints_visible'])
    assert theirs['error_correlation'].shape == (2 * len(landmarks),) * 2


def test_the_clinical_metric_refuses_such_a_data_set_with_the_cure(trained):
    from mmpose.registry import METRICS

    landmarks, _, _ = trained
    metric = METRICS.build(dict(type='THAClinicalMetric'))
    with pytest.raises(ValueError, match=r"defined on the landmarks 'hip', not on .*leave it out"):
        metric.dataset_meta = dict(landmarks=landmarks.to_dict())
