import json

import numpy as np
import pydicom
import pytest
from mmpose.registry import DATASETS

from unsct_mmpose.anatomy import FLIP_INDICES, LANDMARK_NAMES
from unsct_mmpose.annotations import AnnotationError


@pytest.fixture
def build(tiny_set):
    def build(edit=None, split='train', **kwargs):
        path = tiny_set / f'{split}.json'
        if edit is not None:
            content = json.loads(path.read_text())
            edit(content)
            path.write_text(json.dumps(content))
        cfg = dict(
            type='THADataset', data_root=str(tiny_set), ann_file=f'{split}.json', pipeline=[]
        )
        return DATASETS.build({**cfg, **kwargs})

    return build


def test_the_meta_information_is_the_anatomy(build):
    meta = build().metainfo
    assert meta['dataset_name'] == 'tha'
    assert tuple(meta['keypoint_id2name'].values()) == LANDMARK_NAMES
    assert tuple(meta['flip_indices']) == FLIP_INDICES
    assert len(meta['skeleton_links']) == 34


def test_a_radiograph_is_one_sample_whose_box_is_the_image(build, tiny_set):
    dataset = build()
    item = dataset.get_data_info(0)
    assert len(dataset) == len(json.loads((tiny_set / 'train.json').read_text())['images'])
    assert item['bbox'].tolist() == [[0, 0, 96, 80]]
    assert item['keypoints'].shape == (1, 24, 2)
    assert item['raw_ann_info']['pixel_spacing'] == pytest.approx((4.0, 4.0))


def test_training_tells_absent_from_unlabelled(build):
    def edit(content):
        content['annotations'][0]['keypoints'][0:6] = [0] * 6
        content['images'][0]['absent'] = [LANDMARK_NAMES[0]]
        content['images'][0]['subset'] = 'unstructured'

    visible = build(edit).get_data_info(0)['keypoints_visible']
    assert visible.shape == (1, 24, 2)
    assert visible[0, 0].tolist() == [0, 1]
    assert visible[0, 1].tolist() == [0, 0]
    assert visible[0, 2].tolist() == [1, 1]


def test_testing_gives_mmpose_its_usual_visibility(build):
    assert build(test_mode=True).get_data_info(0)['keypoints_visible'].shape == (1, 24)


def test_an_image_without_any_landmark_stays(build):
    def edit(content):
        content['annotations'][0]['keypoints'] = [0] * 72
        content['images'][0]['absent'] = list(LANDMARK_NAMES)
        content['images'][0]['subset'] = 'unstructured'

    dataset = build(edit)
    assert len(dataset) == 3
    assert not dataset.get_data_info(0)['raw_ann_info']['present'].any()
    assert dataset.get_data_info(0)['raw_ann_info']['labelled'].all()


def test_an_image_that_must_be_turned_needs_the_reader_that_takes_landmarks_along(build, tiny_set):
    path = tiny_set / 'images' / 'train-1.dcm'
    header = pydicom.dcmread(path)
    header.PatientOrientation = ['R', 'F']
    header.save_as(path)
    stock = [dict(type='mmpose.LoadImage')]
    with pytest.raises(AnnotationError, match=r'mirrored left to right.*begin the pipeline'):
        build(pipeline=stock)
    build(pipeline=[dict(type='mmpose.LoadRadiograph')])
    build(split='val', pipeline=stock)

    def edit(content):
        content['images'][1]['mirrored'] = False

    build(edit, pipeline=stock)


def test_a_patient_in_two_splits_is_refused(build):
    def edit(content):
        content['images'][0]['patient_id'] = 'val-0'

    with pytest.raises(ValueError, match='val-0'):
        build(edit, disjoint_from=['val.json', 'missing.json'])


def test_disjoint_splits_pass(build):
    assert len(build(disjoint_from=['val.json'])) == 3


def _no_spacing(content):
    del content['images'][1]['pixel_spacing']


def _unknown_name(content):
    content['images'][0]['absent'] = ['left_elbow']


def _no_image(content):
    content['images'][0]['file_name'] = 'nowhere.dcm'


def _outside(content):
    content['annotations'][0]['keypoints'][0:3] = [500.0, 3.0, 2]


def _twice(content):
    content['images'][1]['id'] = content['images'][0]['id']


@pytest.mark.parametrize(
    ('edit', 'words'),
    [
        (_no_spacing, 'pixel_spacing'),
        (_unknown_name, 'left_elbow'),
        (_no_image, 'nowhere.dcm'),
        (_outside, 'left_innermost_ilium'),
        (_twice, 'id'),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_cause(build, edit, words):
    with pytest.raises(ValueError, match=r'train\.json') as caught:
        build(edit, require_spacing=True)
    assert words in str(caught.value)


def test_spacing_is_only_required_where_mm_are_asked_for(build):
    item = build(_no_spacing).get_data_info(1)
    assert item['raw_ann_info']['pixel_spacing'] is None


def test_landmarks_reach_the_sample_unchanged(build, tiny_set):
    content = json.loads((tiny_set / 'train.json').read_text())
    truth = np.reshape(content['annotations'][2]['keypoints'], (24, 3))[:, :2]
    np.testing.assert_allclose(build().get_data_info(2)['keypoints'][0], truth, rtol=1e-6)


def test_every_nth_image_is_taken_as_mmpose_does(build):
    dataset = build(sample_interval=2)
    assert [dataset.get_data_info(row)['img_id'] for row in range(len(dataset))] == [2]


@pytest.mark.parametrize(
    'option', [dict(bbox_file='boxes.json', test_mode=True), dict(data_mode='bottomup')]
)
def test_what_a_whole_radiograph_has_no_use_for_is_refused(build, option):
    with pytest.raises(ValueError, match='as a whole'):
        build(**option)


def test_other_landmarks_are_refused(build):
    with pytest.raises(ValueError, match=r"'coco' has 17 keypoints, .*from_file="):
        build(metainfo=dict(from_file='configs/_base_/datasets/coco.py'))
