import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from unsct_mmpose.calibrate.fit import CalibrationRequest, calibrate
from unsct_mmpose.research import paper_figures
from unsct_mmpose.research.paper_figures import draw_convergence, draw_training, draw_uncertainty
from unsct_mmpose.research.paper_plan import plan
from unsct_mmpose.research.results import Result

CONFIG = Path(__file__).resolve().parents[2] / 'configs/hrnet/unsct-hrnet.py'


def captured(monkeypatch, name):
    """Return a list that gets what a figure is called with; the figure is drawn all the same."""
    calls, draw = [], getattr(paper_figures, name)

    def spy(*args, **kwargs):
        calls.append((args, kwargs))
        return draw(*args, **kwargs)

    monkeypatch.setattr(paper_figures, name, spy)
    return calls


def is_a_picture(path):
    picture = cv2.imread(str(path))
    return picture is not None and picture.std() > 1


# Figure 5


def write_run(folder, stem, seed, curve):
    run = plan('cpu', Path('set'), [stem], seeds=seed + 1)[seed]
    result = Result(
        name=run.name, config=f'configs/{run.row.config}', label=run.row.label, budget='cpu',
        data='simulated, validation split', calibrated_on='', seed=seed, figures={}, curve=curve,
    )  # fmt: skip
    path = run.result_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result)))


def test_each_loss_is_a_curve_of_all_its_seeds(tmp_path, monkeypatch):
    calls = captured(monkeypatch, 'figure_convergence')
    write_run(tmp_path, 'unsct-hrnet', 0, {'epoch': [4, 8, 12], 'all/MRE': [6.0, 4.0, 3.0]})
    write_run(tmp_path, 'unsct-hrnet', 1, {'epoch': [4, 12], 'all/MRE': [7.0, 3.5]})
    write_run(tmp_path, 'loss_mse', 0, {'epoch': [4], 'all/MRE': [9.0]})
    write_run(tmp_path, 'u_net', 0, {'epoch': [4], 'all/MRE': [1.0]})
    out = draw_convergence(tmp_path, 'cpu', 'set', tmp_path / 'new/figure_5.png')
    assert is_a_picture(out)
    ((curves,), options) = calls[0]
    assert curves == {
        'MSE': ([4], [[9.0]]),
        'masked AdaptiveWing': ([4, 12], [[6.0, 3.0], [7.0, 3.5]]),
    }
    assert options == dict(source='simulated, validation split')


def test_without_a_run_there_is_no_figure_5(tmp_path):
    write_run(tmp_path, 'u_net', 0, {'epoch': [4], 'all/MRE': [1.0]})
    with pytest.raises(ValueError, match=r'no run of loss_mse, .* with cpu, set yet'):
        draw_convergence(tmp_path, 'cpu', 'set', tmp_path / 'figure_5.png')
    assert not (tmp_path / 'figure_5.png').exists()


# Figures 8 and 9


@pytest.fixture
def trained(tiny_set, hide_landmarks, monkeypatch):
    """Return the folder of a data set and of random weights that stand for epochs 1, 9 and 10."""
    monkeypatch.setenv('UNSCT_BUDGET', 'cpu')
    monkeypatch.setenv('UNSCT_DATA', str(tiny_set))
    hide_landmarks(tiny_set, [3, 14])
    init_default_scope('mmpose')
    for epoch in (1, 9, 10):
        torch.manual_seed(epoch)
        model = MODELS.build(Config.fromfile(CONFIG).model)
        state = dict(state_dict=model.state_dict(), meta=dict(epoch=epoch))
        torch.save(state, tiny_set / f'epoch_{epoch}.pth')
    return tiny_set


def test_figure_8_shows_one_image_at_each_epoch_in_their_order(trained, monkeypatch, tmp_path):
    calls = captured(monkeypatch, 'figure_training')
    files = sorted(trained.glob('epoch_*.pth'))  # epoch_10 before epoch_9
    out = draw_training(CONFIG, files, trained, 1, 'noise', tmp_path / 'figure_8.png')
    assert is_a_picture(out)
    ((image, snapshots), options) = calls[0]
    assert image.shape == (80, 96)
    assert list(snapshots) == [1, 9, 10]
    for heatmaps, fields in snapshots.values():
        assert (heatmaps.shape, fields.shape) == ((24, 48, 48), (104, 48, 48))
    assert np.abs(snapshots[9][0] - snapshots[10][0]).max() > 1e-3
    assert options['source'] == 'noise'
    left, top, right, bottom = options['box']
    assert right - left == pytest.approx(bottom - top)  # the network's input is square
    assert left <= 0 < 95 <= right  # and shows the whole image
    assert top <= 0 < 79 <= bottom
    assert (left + right) / 2 == pytest.approx(47.5, abs=0.5)


def test_at_most_five_epochs_are_shown_the_first_and_the_last_among_them():
    files = [Path(f'epoch_{epoch}.pth') for epoch in range(1, 13)]
    chosen = paper_figures._spread(files)
    assert len(chosen) == 5
    assert (chosen[0], chosen[-1]) == (files[0], files[-1])
    assert paper_figures._spread(files[:2]) == files[:2]


def test_another_checkpoint_is_no_epoch(trained, tmp_path):
    with pytest.raises(ValueError, match=r'best\.pth: not a checkpoint of an epoch'):
        draw_training(CONFIG, [trained / 'best.pth'], trained, 0, 'noise', tmp_path / 'f.png')


def test_figure_9_shows_what_the_calibrated_model_reports(trained, monkeypatch, tmp_path):
    calls = captured(monkeypatch, 'figure_uncertainty')
    checkpoint = trained / 'calibrated.pth'
    calibrate(CalibrationRequest(CONFIG, trained / 'epoch_1.pth', checkpoint))
    out = draw_uncertainty(CONFIG, checkpoint, trained, 1, 'noise', tmp_path / 'figure_9.png')
    assert is_a_picture(out)
    ((image, certainty, points, reported), options) = calls[0]
    assert image.shape == (80, 96)
    assert certainty.shape == (48, 48)
    assert np.isfinite(certainty).all()
    assert points.shape == (24, 2)
    assert reported.shape == (24,)
    assert reported.dtype == bool
    assert options['source'] == 'noise'


def test_figure_9_needs_a_calibration(trained, tmp_path):
    checkpoint, out = trained / 'epoch_1.pth', tmp_path / 'figure_9.png'
    with pytest.raises(ValueError, match=r'epoch_1\.pth: .* no calibration.* unsct calibrate'):
        draw_uncertainty(CONFIG, checkpoint, trained, 0, 'noise', out)
    assert not out.exists()


def test_figure_9_tells_a_calibration_for_other_settings_from_the_right_one(
    trained, monkeypatch, tmp_path
):
    checkpoint, out = trained / 'calibrated.pth', tmp_path / 'figure_9.png'
    calibrate(CalibrationRequest(CONFIG, trained / 'epoch_1.pth', checkpoint))
    for settings in (
        dict(evidence='paf', entropy='linear'),  # its threshold is for another entropy
        dict(evidence_relations='full'),  # and for fewer relations
        dict(mode='paper'),  # decides by a limit that nothing was fitted to
    ):
        with pytest.raises(ValueError, match=r'calibrated\.pth: .*(other settings|is for)'):
            draw_uncertainty(
                other_config(tmp_path, **settings), checkpoint, trained, 0, 'noise', out
            )
    assert not out.exists()
    found, decide = [], paper_figures.predicted_samples
    monkeypatch.setattr(
        paper_figures, 'predicted_samples', lambda *args: found.extend(decide(*args)) or found
    )
    config = other_config(tmp_path, mode='paper', threshold=0.2)
    assert is_a_picture(draw_uncertainty(config, checkpoint, trained, 0, 'noise', out))
    pred = found[0]['pred_instances']
    assert not pred['calibrated'].any()
    assert ((pred['keypoint_uncertainties'] <= 0.2) == pred['keypoints_visible']).all()


def other_config(folder, **settings):
    """Write the config with other settings of its decoder."""
    config = Config.fromfile(CONFIG)
    config.model.head.decoder.update(settings)
    config.dump(folder / 'other.py')
    return folder / 'other.py'
