"""Of images with one name in several folders, every one keeps its picture and its prediction."""

import json

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.structures import PoseDataSample


@pytest.fixture
def inferencer(monkeypatch):
    """An inferencer that finds something else in each image, without a model."""
    one = object.__new__(Pose2DInferencer)
    one._video_input = False
    one.visualizer = type('Drawer', (), {})()
    one.visualizer.add_datasample = lambda name, image, *args, **kwargs: image
    return one


def pred(path, value):
    one = PoseDataSample(metainfo=dict(img_path=str(path)))
    one.pred_instances = InstanceData(
        keypoints=np.full((1, 24, 2), value), keypoint_scores=np.ones((1, 24))
    )
    return one


def infer(inferencer, path, value, out):
    image = np.full((4, 4, 3), value, np.uint8)
    preds = [pred(path, value)]
    shown = inferencer.visualize([image], preds, vis_out_dir=str(out))
    result = inferencer.postprocess(preds, shown, pred_out_dir=str(out))
    return shown, result


def test_one_name_in_six_folders_and_formats(inferencer, tmp_path):
    paths = [f'{folder}/hip.dcm' for folder in 'abcd'] + ['e/hip.png', 'f/hip']
    for value, path in enumerate(paths):
        shown, result = infer(inferencer, path, value, tmp_path)
        assert shown == [] and len(result['predictions']) == 1
    found = {
        path.stem: json.loads(path.read_text())[0]['keypoints'][0][0]
        for path in tmp_path.glob('*.json')
    }
    assert found == dict(hip=0, b_hip=1, c_hip=2, d_hip=3, e_hip=4, f_hip=5)
    assert {path.stem for path in tmp_path.glob('*.png')} == set(found)


def test_the_same_image_again_has_the_same_files(inferencer, tmp_path):
    for value in (1, 2):
        infer(inferencer, 'a/hip.jpg', value, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['hip.jpg', 'hip.json']


def test_pictures_are_returned_where_they_are_asked_for(inferencer, tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    (picture,) = inferencer.visualize([image], [pred('a.png', 0)], return_vis=True)
    assert picture.shape == (4, 4, 3)
    (picture,) = inferencer.visualize(
        [image], [pred('a.png', 0)], return_vis=True, vis_out_dir=str(tmp_path)
    )
    assert (tmp_path / 'a.png').is_file()


def test_a_file_to_write_to_is_left_to_mmpose(inferencer, tmp_path):
    infer_to = tmp_path / 'mine.png'
    inferencer.visualize([np.zeros((4, 4, 3), np.uint8)], [pred('a.dcm', 0)],
                         vis_out_dir=str(infer_to))  # fmt: skip
    assert infer_to.is_file()
