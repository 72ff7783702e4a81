import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import LandmarkSet
from unsct_mmpose.datasets.tha_dataset import metainfo_of
from unsct_mmpose.drawing.overlay import TRUTH_RGB
from unsct_mmpose.drawing.strokes import FAIR, REJECTED, SURE
from unsct_mmpose.visualization.tha_visualizer import PANELS


@pytest.fixture
def build(request):
    def make(**kwargs):
        name = f'{request.node.name}-{len(kwargs)}'
        return VISUALIZERS.build(dict(type='THAVisualizer', name=name, width_px=360, **kwargs))

    return make


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 70, (1, 24, 2))
    visible = np.ones((1, 24))
    visible[0, 5] = 0
    notes = dict(points=points[0], present=np.ones(24, bool), pixel_spacing=(1.0, 1.0),
                 magnification=1.1)  # fmt: skip
    sample = PoseDataSample(metainfo=dict(raw_ann_info=notes))
    sample.pred_instances = InstanceData(
        keypoints=points + 2,
        keypoint_scores=np.full((1, 24), 0.8),
        keypoints_visible=visible,
        keypoint_covariances=np.tile(np.eye(2), (1, 24, 1, 1)),
    )
    return sample


@pytest.fixture
def with_maps(sample):
    rng = np.random.default_rng(1)
    sample.pred_fields = PixelData(
        heatmaps=rng.uniform(0, 1, (24, 16, 16)), pafs=rng.uniform(-0.7, 0.7, (104, 16, 16))
    )
    return sample


@pytest.fixture
def image():
    return np.random.default_rng(2).uniform(0, 1, (80, 96))


def has(picture, color):
    return bool((picture == color).all(axis=-1).any())


def test_rejected_and_true_landmarks_are_both_marked(build, image, sample):
    drawer = build()
    picture = drawer.draw(image, sample)
    assert has(picture, REJECTED.rgb) and has(picture, TRUTH_RGB)
    assert not has(drawer.draw(image, sample, draw_gt=False), TRUTH_RGB)
    only_truth = drawer.draw(image, sample, draw_pred=False)
    assert has(only_truth, TRUTH_RGB) and not has(only_truth, REJECTED.rgb)


def test_images_of_every_depth_give_the_same_sheet(build, image, sample):
    drawer = build(panels=['landmarks'])
    eight = np.rint(image * 255).astype(np.uint8)
    expected = drawer.draw(eight, sample)
    np.testing.assert_array_equal(drawer.draw(image.astype(np.float32), sample), expected)
    np.testing.assert_array_equal(drawer.draw(cv2.merge([eight] * 3), sample), expected)
    sixteen = drawer.draw(np.rint(image * 4095).astype(np.uint16), sample)
    assert np.abs(sixteen.astype(int) - expected).mean() < 3


def test_maps_add_a_row_and_only_when_they_are_there(build, image, with_maps):
    drawer = build()
    full = drawer.draw(image, with_maps)
    without = drawer.draw(image, with_maps, draw_heatmap=False)
    assert len(full) > len(without) + 80
    np.testing.assert_array_equal(full[: len(without)], without)
    del with_maps.pred_fields
    np.testing.assert_array_equal(drawer.draw(image, with_maps), without)


def test_every_panel_can_be_drawn_by_itself(build, image, with_maps):
    for row in PANELS:
        for name in row:
            drawer = VISUALIZERS.build(
                dict(type='THAVisualizer', name=f'one-{name}', width_px=360, panels=[name])
            )
            assert abs(drawer.draw(image, with_maps).shape[1] - 360) <= 1


def test_unknown_panels_are_refused(build):
    for panels in (['landmark'], []):
        with pytest.raises(ValueError, match='choose some of'):
            build(panels=panels)


def test_a_sample_is_written_whole_and_else_goes_to_the_backends(build, image, sample, tmp_path):
    drawer = build(panels=['landmarks'])
    added = []
    drawer.add_image = lambda *args: added.append(args)
    picture = drawer.add_datasample('x', image, sample, out_file=str(tmp_path / 'a' / 'x.png'))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'a' / 'x.png'))[..., ::-1], picture)
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['x.png']
    assert not added
    drawer.add_datasample('x', image, sample, step=3)
    assert added[0][0] == 'x' and added[0][2] == 3
    np.testing.assert_array_equal(drawer.get_image(), picture)


@pytest.mark.parametrize('draw_pred', [True, False])
def test_the_name_of_a_dicom_file_becomes_that_of_a_picture(
    build, image, sample, tmp_path, draw_pred
):
    if not draw_pred:  # what browse_dataset shows: no prediction, and visibility with weights
        points = sample.pred_instances.keypoints
        sample.gt_instances = InstanceData(keypoints=points, keypoints_visible=np.ones((1, 24, 2)))
        del sample.pred_instances
    drawer = build(panels=['landmarks'])
    for _ in range(2):  # of two folders
        drawer.add_datasample('x', image, sample, out_file=str(tmp_path / 'hip.dcm'))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['hip.dcm(1).png', 'hip.dcm.png']
    for _ in range(2):
        drawer.add_datasample('x', image, sample, out_file=str(tmp_path / 'mine.png'))
    assert len(list(tmp_path.iterdir())) == 3


def test_people_are_drawn_as_mmpose_draws_them(build, image):
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        keypoints=np.full((1, 17, 2), 30.0), keypoint_scores=np.ones((1, 17)),
        keypoints_visible=np.ones((1, 17)),
    )  # fmt: skip
    drawer = build()
    drawer.add_image = lambda *args: None
    picture = drawer.add_datasample('x', image, sample, draw_gt=False)
    assert picture.shape == (80, 96, 3) and picture[30, 30].tolist() != picture[60, 60].tolist()


def test_the_configs_use_it():
    config = Config.fromfile('configs/unsct_hrnet_tha.py')
    assert config.visualizer.type == 'THAVisualizer'


def test_other_landmarks_are_drawn_without_measurements(build, image):
    face = LandmarkSet.from_dict(
        dict(name='face', names=['sella', 'nasion'], relations=dict(full=[['sella', 'nasion']]))
    )
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        keypoints=np.array([[[20.0, 30.0], [60.0, 50.0]]]), keypoint_scores=np.ones((1, 2)),
        keypoint_presence=np.array([[0.999, 0.95]]),
    )  # fmt: skip
    maps = dict(heatmaps=np.zeros((2, 16, 16)), pafs=np.zeros((2, 16, 16)))
    sample.pred_fields = PixelData(**maps)
    drawer = build(panels=['landmarks', 'measurements', 'heatmap_grid', 'field_grid'])
    drawer.set_dataset_meta(metainfo_of(face))
    picture = drawer.draw(image, sample)
    assert has(picture, SURE.rgb) and has(picture, FAIR.rgb)
    del sample.pred_fields
    assert drawer.draw(image, sample).shape[1] == 360  # one panel alone: the measurements are out
