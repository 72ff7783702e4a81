import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS, VISUALIZERS
from mmpose.structures import PoseDataSample

from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.drawing import measurements
from unsct_mmpose.drawing.overlay import TRUTH_RGB
from unsct_mmpose.drawing.strokes import UNKNOWN


class Runner:
    """The part of a runner that the hook looks at."""

    iter = 10
    timestamp = 'now'

    def __init__(self, work_dir):
        self.work_dir = str(work_dir)


@pytest.fixture
def sample(tiny_set):
    points = np.random.default_rng(0).uniform(10, 70, (24, 2))
    sample = PoseDataSample(
        metainfo=dict(
            img_path=str(tiny_set / 'images' / 'val-0.dcm'),
            raw_ann_info=dict(points=points, present=np.ones(24, bool), subset='structured'),
        )
    )
    sample.pred_instances = InstanceData(
        keypoints=points[None] + 1, keypoint_scores=np.ones((1, 24)),
        keypoints_visible=np.ones((1, 24)),
    )  # fmt: skip
    return sample


@pytest.fixture
def build():
    Visualizer.get_instance('test_hook')
    return lambda **kwargs: HOOKS.build(dict(type='THAVisualizationHook', **kwargs))


def test_every_tested_dicom_becomes_a_png(build, sample, tmp_path):
    hook = build(enable=True, out_dir='drawn')
    hook.after_test_iter(Runner(tmp_path), 0, {}, [sample])
    hook.after_test_iter(Runner(tmp_path), 1, {}, [sample])
    saved = cv2.imread(str(tmp_path / 'now' / 'drawn' / 'val-0.png'))
    np.testing.assert_array_equal(saved[..., ::-1], hook.picture_of(sample))  # OpenCV reads BGR


def test_a_limit_ends_the_pictures_and_not_the_test(build, sample, tmp_path):
    hook = build(enable=True, out_dir='drawn', limit=3)
    drawn = []
    hook.picture_of = lambda sample: drawn.append(sample) or np.zeros((4, 4, 3), np.uint8)
    for batch in range(3):
        hook.after_test_iter(Runner(tmp_path), batch, {}, [sample, sample])
    assert len(drawn) == 3


def test_an_absolute_folder_is_taken_as_it_is(build, sample, tmp_path):
    hook = build(enable=True, out_dir=str(tmp_path / 'here'))
    hook.after_test_iter(Runner(tmp_path), 0, {}, [sample])
    assert (tmp_path / 'here' / 'val-0.png').is_file()


def test_a_disabled_hook_draws_nothing(build, sample, tmp_path):
    hook = build(enable=False, out_dir=str(tmp_path / 'here'))
    hook.after_test_iter(Runner(tmp_path), 0, {}, [sample])
    hook.after_val_iter(Runner(tmp_path), 0, {}, [sample])
    assert not (tmp_path / 'here').exists()


def test_validation_pictures_go_to_the_visualizer_at_the_interval(build, sample, tmp_path):
    hook = build(enable=True, interval=5)
    added = []
    hook._visualizer = type('Spy', (), {'add_image': lambda self, *a, **k: added.append(k)})()
    hook.picture_of = lambda sample: sample
    for index in range(10):
        hook.after_val_iter(Runner(tmp_path), index, {}, [sample])
    assert [picture['step'] for picture in added] == [10, 15]


def test_prediction_and_truth_are_both_drawn(build, sample):
    picture = build().picture_of(sample)
    for color in (UNKNOWN.rgb, TRUTH_RGB):
        assert (picture == color).all(axis=-1).any()


def test_a_sample_without_truth_is_drawn_without_it(build, sample):
    sample.set_metainfo(dict(raw_ann_info=None))
    assert not (build().picture_of(sample) == TRUTH_RGB).all(axis=-1).any()


def test_without_annotation_the_file_tells_the_spacing(build, sample, monkeypatch, tmp_path):
    path = tmp_path / 'half.dcm'
    pixels = np.random.default_rng(0).integers(0, 4095, (80, 96), dtype=np.uint16)
    write_radiograph(
        path,
        pixels,
        spacing_xy_mm=(0.5, 0.5),
        magnification=1.15,
        source_detector_mm=1150.0,
        patient_id='p',
        uid_seed='half',
    )
    asked = []
    measure = measurements.measure
    monkeypatch.setattr(
        measurements,
        'measure',
        lambda *args, **kw: (asked.append((args, kw)), measure(*args, **kw))[1],
    )
    sample.set_metainfo(dict(raw_ann_info=None, img_path=str(path)))
    build().picture_of(sample)
    (_, _, spacing), options = asked[0]
    assert spacing.tolist() == [0.5, 0.5]
    assert options['magnification'] == pytest.approx(1.15)


def test_the_visualizer_of_the_config_draws(build, sample):
    hook = build()
    hook._visualizer = VISUALIZERS.build(
        dict(type='THAVisualizer', name='narrow', width_px=300, panels=['landmarks'])
    )
    assert hook.picture_of(sample).shape[1] == 300


def test_one_name_in_two_folders_makes_two_pictures_in_every_process(
    build, sample, tiny_set, tmp_path
):
    paths = []
    for folder in 'ab':
        paths.append(tiny_set / folder / 'hip.dcm')
        paths[-1].parent.mkdir()
        paths[-1].write_bytes((tiny_set / 'images' / 'val-0.dcm').read_bytes())

    class Dataset(list):
        def get_data_info(self, index):
            return dict(img_path=str(self[index]))

    runner = Runner(tmp_path)
    runner.test_dataloader = type('Loader', (), dict(dataset=Dataset(paths)))
    for path in reversed(paths):  # each in a process of its own
        sample.set_metainfo(dict(img_path=str(path)))
        build(enable=True, out_dir='drawn').after_test_iter(runner, 0, {}, [sample])
    found = sorted(path.name for path in (tmp_path / 'now' / 'drawn').iterdir())
    assert found == ['b_hip.png', 'hip.png']


def test_pictures_of_a_training_are_also_where_they_were_asked_for(build, sample, tmp_path):
    hook = build(enable=True, interval=1, out_dir='drawn')
    hook._visualizer = type('Spy', (), {'add_image': lambda self, *a, **k: None})()
    hook.after_val_iter(Runner(tmp_path), 0, {}, [sample])
    assert (tmp_path / 'now' / 'drawn' / 'val_img_10.png').is_file()
