import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmpose.apis import init_model

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.calibrate.evidence_table import (
    build_dataset,
    collect_evidence,
    load_table,
    save_table,
)
from unsct_mmpose.calibrate.fit import (
    META_KEY,
    CalibrationRequest,
    calibrate,
    calibration_path,
    predicted_samples,
    promise_lines,
    too_few_patients,
    weights_hash,
)
from unsct_mmpose.maps.calibration import SystematicOffset
from unsct_mmpose.maps.calibration_fit import FitOptions, fit_calibration
from unsct_mmpose.maps.deciders import DecisionOptions
from unsct_mmpose.research.study import restrict_relations


def test_a_calibrated_checkpoint_decides_and_keeps_its_weights(trained):
    config, checkpoint = trained
    before = checkpoint.read_bytes()
    out = checkpoint.with_name('calibrated.pth')
    calibration, figures, written = calibrate(CalibrationRequest(config, checkpoint, out))
    assert written == out
    assert checkpoint.read_bytes() == before
    content = torch.load(out, weights_only=True)
    assert content['meta'][META_KEY] == json.loads(calibration_path(out).read_text())
    assert content['meta']['epoch'] == 1
    assert content['meta'][META_KEY]['provenance']['absent_landmarks'] == 6
    plain, calibrated = (
        init_model(str(config), str(path), device='cpu') for path in (checkpoint, out)
    )
    assert plain.head.decoder.calibration is None
    assert calibrated.head.decoder.calibration == calibration
    assert weights_hash(plain.state_dict()) == weights_hash(calibrated.state_dict())
    assert calibration.provenance['weights_sha256'] == weights_hash(plain.state_dict())
    assert figures['set_error/all/reject_all/E_20'] == pytest.approx(20)


def test_a_failed_write_leaves_the_checkpoint_as_it_was(trained, monkeypatch):
    config, checkpoint = trained
    before = checkpoint.read_bytes()

    def full(*_, **__):
        raise OSError('no space left on device')

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='no space'):
        calibrate(CalibrationRequest(config, checkpoint))
    assert checkpoint.read_bytes() == before


def test_images_without_absent_landmarks_are_refused_with_the_cure(trained):
    config, checkpoint = trained
    path = checkpoint.parent / 'val.json'
    content = json.loads(path.read_text())
    for image in content['images']:
        image.update(absent=[], subset='structured')
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='calibrate on images that lack some landmarks'):
        calibrate(CalibrationRequest(config, checkpoint))


def test_a_table_is_read_back_as_it_was_written(trained, tmp_path):
    config, checkpoint = trained
    model = init_model(str(config), str(checkpoint), device='cpu')
    dataset = build_dataset(model.cfg, 'val', None, None)
    table = collect_evidence(model, dataset, batch_size=1, progress=False)
    save_table(tmp_path / 'table.npz', table)
    again = load_table(tmp_path / 'table.npz')
    assert again.files.tolist() == table.files.tolist()
    np.testing.assert_array_equal(again.points_px, table.points_px)
    torch.testing.assert_close(again.evidence.peak, table.evidence.peak)


def test_the_table_agrees_with_what_the_model_itself_predicts(trained):
    config, checkpoint = trained
    model = init_model(str(config), str(checkpoint), device='cpu')
    dataset = build_dataset(model.cfg, 'val', None, None)
    table = collect_evidence(model, dataset, progress=False)
    batch = dict(
        inputs=[image['inputs'] for image in dataset],
        data_samples=[image['data_samples'] for image in dataset],
    )
    with torch.no_grad():
        predicted = model.test_step(batch)
    for row, sample in enumerate(predicted):
        found = sample.pred_instances
        np.testing.assert_allclose(found.keypoints[0], table.points_px[row], atol=1e-3)
        np.testing.assert_allclose(
            found.keypoint_covariances[0], table.covariances_px[row], rtol=1e-4
        )


def test_options_of_the_config_are_what_is_calibrated(trained):
    config, checkpoint = trained
    options = {'model.head.decoder.mode': 'paper'}
    first, _, _ = calibrate(CalibrationRequest(config, checkpoint))
    again, _, _ = calibrate(CalibrationRequest(config, checkpoint, cfg_options=options))
    assert (first.entropy, first.aggregation, first.relations) == ('mirror', 'peel', 'core')
    assert (again.entropy, again.aggregation, again.relations) == ('paper', 'paper', 'full')
    model = init_model(str(config), str(checkpoint), device='cpu', cfg_options=options)
    assert model.head.decoder.notice() is None
    assert model.head.decoder.deciding() == (model.head.decoder.decision, again)


def test_what_a_calibration_does_not_apply_to_is_not_called_calibrated(table):
    full, core = relation_set('full'), relation_set('core')
    smaller, _ = restrict_relations(table, full, 'core')
    calibration = fit_calibration(smaller, core, FitOptions())
    decision = DecisionOptions(evidence='paf', entropy='paper', aggregation='paper', threshold=0.3)

    def calibrated(relations, table, decision):
        samples = predicted_samples(table, relations, calibration, decision)
        return {bool(sample['pred_instances']['calibrated'][0]) for sample in samples}

    assert calibrated(core, smaller, DecisionOptions()) == {True}
    assert calibrated(full, table, decision) == {False}
    with pytest.raises(ValueError, match='is for 34 relations and the model has 52'):
        calibrated(full, table, DecisionOptions())


def test_too_few_patients_are_warned_of_and_the_promise_is_said(trained):
    config, checkpoint = trained
    found, _, _ = calibrate(CalibrationRequest(config, checkpoint))
    assert found.patients == found.provenance['patients'] < 20
    warning = too_few_patients(found)
    assert f'{found.patients} patients' in warning and '20 patients or more' in warning
    lines = promise_lines(found)
    assert any(line.startswith('intervals: 95 % (by a model of') for line in lines)
    assert 'conformal rule reports' in lines[3] and 'everything is reported' in lines[3]
    offset = SystematicOffset(-2.0, -3.0, -1.0, 25, True)
    many = replace(found, patients=25, offsets=dict(skinner_height_mm=offset))
    assert too_few_patients(many) is None
    assert '-2.00 mm [-3.00, -1.00] over 25 patients' in promise_lines(many)[-1]
