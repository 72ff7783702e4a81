import json

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample


class Runner:
    """The part of a runner that the hook looks at."""

    timestamp = 'now'
    test_evaluator = type('Evaluator', (), dict(dataset_meta={}))

    def __init__(self, work_dir):
        self.work_dir = str(work_dir)


@pytest.fixture
def sample(tiny_set):
    """Return a function: a test image with all landmarks so many pixels, of 1 mm, off."""

    def sample(off_px, name='val-0', present=True, kept=True):
        points = np.random.default_rng(0).uniform(10, 70, (24, 2))
        shown = np.full(24, present)
        data_sample = PoseDataSample(
            metainfo=dict(
                img_path=str(tiny_set / 'images' / f'{name}.dcm'),
                raw_ann_info=dict(
                    points=points, present=shown, labelled=np.ones(24, bool), file_name=name,
                    subset='structured', pixel_spacing=(1.0, 1.0), magnification=1.0,
                ),
            )
        )  # fmt: skip
        data_sample.pred_instances = InstanceData(
            keypoints=points[None] + (off_px, 0), keypoint_scores=np.ones((1, 24)),
            keypoint_uncertainties=np.zeros((1, 24)),
            keypoints_visible=np.full((1, 24), float(kept)),
        )  # fmt: skip
        return data_sample

    return sample


@pytest.fixture
def run(tmp_path):
    """Return a function that hands samples to a hook; it returns the list and the pictures."""
    Visualizer.get_instance('test_bad_cases')

    def run(samples, **kwargs):
        hook = HOOKS.build(dict(type='THABadCaseHook', **kwargs))
        runner = Runner(tmp_path)
        hook.before_test_epoch(runner)
        hook.after_test_iter(runner, 0, {}, samples)
        hook.after_test_epoch(runner)
        folder = tmp_path / 'now' / 'badcase'
        if not folder.exists():
            return None, []
        listed = json.loads((folder / 'results.json').read_text())
        return listed, sorted(path.name for path in folder.glob('*.png'))

    return run


def test_bad_images_are_drawn_and_listed_from_the_worst_on(run, sample):
    samples = [sample(1), sample(12, 'train-0'), sample(15, 'val-1')]
    listed, pictures = run(samples, enable=True)
    assert [(case['img'], round(case['all/E_20'])) for case in listed] == [
        ('val-1', 15), ('train-0', 12),
    ]  # fmt: skip
    assert pictures == ['train-0.png', 'val-1.png']


def test_a_switched_off_hook_does_nothing(run, sample):
    assert run([sample(12)]) == (None, [])


def test_an_accuracy_is_bad_when_it_is_small(run, sample):
    samples = [sample(1), sample(12, 'val-1')]
    listed, _ = run(
        samples, enable=True, metric_type='accuracy', metric_key='all/SDR@4mm',
        metric=dict(type='THALandmarkMetric'), badcase_thr=0.5,
    )  # fmt: skip
    assert [(case['img'], case['all/SDR@4mm']) for case in listed] == [('val-1', 0.0)]


def test_an_image_without_a_figure_is_not_bad(run, sample):
    listed, _ = run([sample(12, present=False, kept=False)], enable=True)
    assert listed == []


def test_a_figure_that_the_metric_lacks_is_named_beside_those_it_has(run, sample):
    with pytest.raises(ValueError, match=r"no figure 'PCK'.*all/E_20"):
        run([sample(12)], enable=True, metric_key='PCK')


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match='choose one of'):
        HOOKS.build(dict(type='THABadCaseHook', metric_type='EPE'))
