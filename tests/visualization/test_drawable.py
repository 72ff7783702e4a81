import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.maps.grid import pixels_to_cells
from unsct_mmpose.visualization.drawable import holds, maps_box, unpack

META = dict(input_center=np.array([120.0, 90.0]), input_scale=np.array([300.0, 300.0]),
            input_size=(256, 256))  # fmt: skip


@pytest.fixture
def make():
    def build(meta=META, fields=None, **pred):
        sample = PoseDataSample(metainfo=dict(meta))
        points = np.random.default_rng(0).uniform(0, 200, (1, 24, 2))
        sample.pred_instances = InstanceData(
            **{'keypoints': points, 'keypoint_scores': np.full((1, 24), 0.7), **pred}
        )
        if fields is not None:
            sample.pred_fields = PixelData(**fields)
        return sample

    return build


def fields(relations='full'):
    count = 2 * len(relation_set(relations))
    return dict(heatmaps=torch.zeros(24, 64, 64), pafs=torch.zeros(count, 64, 64))


def test_the_cells_of_a_prediction_are_those_that_it_was_read_from(make):
    cells = np.random.default_rng(1).uniform(0, 63, (24, 2))
    pixels = pixels_to_cells(cells, (64, 64), (256, 256))
    placed = pixels / 256 * 300 + META['input_center'] - 150  # as MMPose places them
    what = unpack(make(fields=fields(), keypoints=placed[None]))
    np.testing.assert_allclose(what.cells, cells, atol=1e-9)


def test_maps_cover_the_region_that_the_network_saw(make):
    left, top, right, bottom = maps_box(make())
    assert (right - left, bottom - top) == (300, 300)
    assert left == pytest.approx(120 - 150 - 0.5 * 300 / 256)
    assert top == pytest.approx(90 - 150 - 0.5 * 300 / 256)
    assert maps_box(make(meta={})) is None


@pytest.mark.parametrize('name', ['full', 'core'])
def test_relations_are_known_by_the_number_of_channels(make, name):
    assert unpack(make(fields=fields(name))).relations == relation_set(name).pairs


def test_tensors_of_half_precision_are_read(make):
    maps = {name: field.bfloat16() for name, field in fields().items()}
    assert unpack(make(fields=maps)).heatmaps.dtype == np.float32


def test_certainty_is_the_presence_and_a_peak_is_none(make):
    def presences(**pred):
        return [landmark.presence for landmark in unpack(make(**pred)).estimates]

    presence = np.linspace(0, 1, 24)[None]
    assert presences(keypoint_presence=presence) == presence[0].tolist()
    assert presences(keypoint_presence=np.full((1, 24), np.nan)) == [None] * 24
    assert presences() == [None] * 24


def test_decisions_are_read_and_without_any_all_are_reported(make):
    visible = np.ones((1, 24))
    visible[0, 4] = 0
    assert np.flatnonzero(~unpack(make(keypoints_visible=visible)).reported).tolist() == [4]
    assert unpack(make()).reported.all()


def test_truth_comes_from_the_annotation_or_else_from_the_instances(make):
    sample = make()
    assert unpack(sample).truth is None
    visible = np.ones((1, 24))
    visible[0, 3] = 0
    sample.gt_instances = InstanceData(keypoints=np.ones((1, 24, 2)), keypoints_visible=visible)
    assert np.flatnonzero(~unpack(sample).present).tolist() == [3]
    noted = dict(points=np.zeros((24, 2)), present=np.ones(24, bool))
    sample.set_metainfo(dict(raw_ann_info=noted))
    assert unpack(sample).truth.max() == 0


def test_the_caption_names_no_file_and_no_patient(make):
    notes = dict(file_name='images/doe_jane_1950.dcm', patient_id='4711', subset='structured',
                 source='simulated')  # fmt: skip
    meta = dict(META, img_id=7, img_path='/data/doe_jane_1950.dcm', raw_ann_info=notes)
    assert unpack(make(meta=meta)).caption == 'image 7 | structured | simulated'


def test_the_caption_warns(make):
    sample = make(image_state=np.array([2]), calibrated=np.array([False]))
    assert 'no pelvis found' in unpack(sample).caption
    assert 'not calibrated' in unpack(sample).caption


def test_other_samples_do_not_hold_these_landmarks(make):
    assert holds(make())
    assert not holds(make(keypoints=np.zeros((1, 17, 2))))
    assert not holds(PoseDataSample())
