"""A peer from outside MMPose, with a stand-in for its package: nothing of it is installed here."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from unsct_mmpose.calibrate.evidence_table import build_dataset
from unsct_mmpose.research.paper_outside import (
    INTERPRETER,
    OutsideModel,
    outside_versions,
    train_outside,
    training_arrays,
)
from unsct_mmpose.research.paper_page import render_paper_page
from unsct_mmpose.research.paper_plan import PEERS, plan
from unsct_mmpose.research.paper_run import run_one
from unsct_mmpose.research.results import read_result

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/hrnet/ori-hrnet.py'
STEM = 'scn_landmarker'


@pytest.fixture(autouse=True)
def _small(monkeypatch, tiny_set):
    """A data set of five images, in the folder that the configs expect, and the small budget."""
    for path in tiny_set.glob('*.json'):  # the configs' prefix is images/ already
        path.write_text(path.read_text().replace('"images/', '"'))
    monkeypatch.setenv('UNSCT_BUDGET', 'cpu')
    monkeypatch.setenv('UNSCT_DATA', str(tiny_set))
    init_default_scope('mmpose')


@pytest.fixture
def settings():
    config = Config.fromfile(CONFIG)
    config.train_cfg.max_epochs = 2
    return config


@pytest.fixture
def run(tiny_set):
    (run,) = plan('cpu', tiny_set, [STEM], seeds=1)
    return run


@pytest.fixture
def environment(monkeypatch, landmarker_stand_in):
    """An environment for the peer: this interpreter, with a stand-in for its package."""
    monkeypatch.setenv(INTERPRETER, sys.executable)
    monkeypatch.setenv('PYTHONPATH', str(landmarker_stand_in))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


# What the peer sees


def test_a_seed_packs_every_image_once_an_epoch_and_always_alike(run, settings):
    once, again = training_arrays(run, settings), training_arrays(run, settings)
    assert once['images'].shape == (6, 192, 192) and once['images'].dtype == np.uint8
    assert once['points'].shape == (6, 24, 2)
    assert once['weights'].shape == (6, 24)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert not np.array_equal(once['images'][:3], once['images'][3:])


def test_what_the_stock_models_ignore_weighs_nothing(run, settings):
    arrays = training_arrays(run, settings)
    outside = ((arrays['points'] < -1) | (arrays['points'] > 192)).any(axis=-1)
    assert not arrays['weights'][outside].any()
    assert set(np.unique(arrays['weights'])) <= {0.0, 1.0}


# What it found


def test_points_come_back_in_the_pixels_of_their_image(settings, tiny_set):
    """The square input shows a wide image whole; a point half-way down stays half-way down."""
    dataset = build_dataset(settings, 'test', tiny_set, 'val.json')
    samples = [dataset[row]['data_samples'] for row in (1, 0)]
    points, peaks = np.full((2, 24, 2), 96.0), np.ones((2, 24))
    points[0], peaks[0] = 0.0, 0.5
    model = OutsideModel(points, peaks, [sample.metainfo['img_id'] for sample in reversed(samples)])
    predictions = model.test_step(dict(data_samples=samples))
    centre = predictions[0].metainfo['input_center']
    assert predictions[0].pred_instances.keypoints.shape == (1, 24, 2)
    assert predictions[0].pred_instances.keypoints[0, 0] == pytest.approx(centre)
    start = centre - 0.5 * np.asarray(predictions[1].metainfo['input_scale'])
    assert predictions[1].pred_instances.keypoints[0, 5] == pytest.approx(start)
    assert predictions[1].pred_instances.keypoint_scores[0, 0] == 0.5


# The run


def test_without_an_environment_a_run_says_where_to_read_how_to_make_one(
    run, monkeypatch, tmp_path
):
    monkeypatch.delenv(INTERPRETER, raising=False)
    with pytest.raises(RuntimeError, match=rf'{INTERPRETER} names no Python; docs/results/notes/'):
        train_outside(run, CONFIG, tmp_path / 'work', ROOT / 'tools')
    assert (ROOT / 'docs/results/notes/peers.md').is_file()
    assert not (tmp_path / 'work').exists()


def test_a_failed_training_names_its_command(run, monkeypatch, tmp_path):
    monkeypatch.setenv(INTERPRETER, shutil.which('false'))
    with pytest.raises(
        RuntimeError, match=rf'exit status 1 from: "\${INTERPRETER}" tools/peers/{STEM}'
    ):
        train_outside(run, CONFIG, tmp_path / 'work', ROOT / 'tools')


def test_an_outside_peer_goes_from_images_to_its_place_among_the_peers(
    run, environment, monkeypatch, hide_landmarks, tmp_path_factory
):
    hide_landmarks(run.data, [3, 14, 20])
    out = tmp_path_factory.mktemp('out')
    path = run_one(run, out / 'work', out / 'paper', 'noise', ROOT / 'tools')
    result = read_result(path)
    assert result.config == f'tools/peers/{STEM}.py' and result.stem == STEM
    assert result.stem in PEERS
    assert result.curve['epoch'] == [4, 8, 12, 16, 20]
    assert result.curve['all/MRE'][-1] == pytest.approx(
        result.figures['keep_all']['landmark/all/MRE'], rel=1e-3
    )
    assert list(result.figures) == ['keep_all', 'peak', 'oracle']
    assert result.versions['peer landmarker'] == '9.9'
    assert f'"${INTERPRETER}" tools/peers/{STEM}.py' in result.commands[0]
    assert result.seconds > 0
    assert f'| {run.row.label} | peak | 1 |' in render_paper_page(out / 'paper')
    monkeypatch.delenv(INTERPRETER)  # what is trained needs no environment any more
    before = path.read_bytes()
    assert run_one(run, out / 'work', out / 'paper', 'noise', ROOT / 'tools') == path
    assert path.read_bytes() == before


def test_a_training_of_mmpose_has_no_versions_from_outside(tmp_path):
    assert outside_versions(tmp_path) == {}
