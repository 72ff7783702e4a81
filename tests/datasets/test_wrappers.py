"""The data set inside MMPose's and MMEngine's wrappers, alone and through the runner."""

import json

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.datasets import THADataset
from unsct_mmpose.datasets.shipped_metainfo import shipped_metainfo

METAINFO = dict(from_file='configs/_base_/datasets/tha.py')
WRAPPERS = {
    'CombinedDataset': lambda sets, pipeline: dict(
        type='CombinedDataset', metainfo=METAINFO, pipeline=pipeline,
        datasets=[dict(inner, pipeline=[]) for inner in sets],
    ),
    'ConcatDataset': lambda sets, pipeline: dict(
        type='ConcatDataset', datasets=[dict(inner, pipeline=pipeline) for inner in sets]
    ),
    'RepeatDataset': lambda sets, pipeline: dict(
        type='RepeatDataset', times=2,
        dataset=dict(
            type='ConcatDataset', datasets=[dict(inner, pipeline=pipeline) for inner in sets]
        ),
    ),
}  # fmt: skip
EACH = pytest.mark.parametrize('wrapper', WRAPPERS)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch):
    """Work in a folder that holds no configs."""
    monkeypatch.chdir(tmp_path_factory.mktemp('elsewhere'))
    init_default_scope('mmpose')


@pytest.fixture
def sets(tiny_set, write_split):
    """Two data sets in one folder."""
    write_split(tiny_set, 'other', 2)
    common = dict(type='THADataset', data_root=str(tiny_set), require_spacing=True)
    return [dict(common, ann_file=f'{name}.json') for name in ('train', 'other')]


def same(first, second):
    assert first.keys() == second.keys()
    return all(np.array_equal(first[key], second[key]) for key in first)


def test_the_shipped_file_is_what_the_data_set_has_built_in():
    built_in = parse_pose_metainfo(THADataset.METAINFO)
    assert same(parse_pose_metainfo(METAINFO), built_in)
    assert len(built_in['skeleton_links']) == 34


def test_a_file_that_is_there_wins_and_mmposes_own_are_still_found(tmp_path):
    text = shipped_metainfo('tha.py').read_text().replace("dataset_name='tha'", "dataset_name='x'")
    (tmp_path / 'tha.py').write_text(text)
    found = parse_pose_metainfo(dict(from_file=str(tmp_path / 'tha.py')))
    assert found['dataset_name'] == 'x'
    with pytest.warns(UserWarning, match='matched config'):
        coco = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    assert coco['num_keypoints'] == 17
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py'):
        parse_pose_metainfo(dict(from_file='nowhere.py'))


@EACH
def test_a_wrapper_has_the_meta_information_and_every_image(wrapper, sets):
    dataset = DATASETS.build(WRAPPERS[wrapper](sets, []))
    assert same(dataset.metainfo, parse_pose_metainfo(THADataset.METAINFO))
    assert len(dataset) == (10 if wrapper == 'RepeatDataset' else 5)
    names = [dataset[row]['raw_ann_info']['file_name'] for row in range(5)]
    assert names == [f'images/train-{i}.dcm' for i in range(3)] + [
        f'images/other-{i}.dcm' for i in range(2)
    ]
    assert dataset[4]['raw_ann_info']['pixel_spacing'] == (4.0, 4.0)


@EACH
def test_a_patient_in_two_splits_is_found_inside_a_wrapper(wrapper, sets, tiny_set):
    content = json.loads((tiny_set / 'other.json').read_text())
    content['images'][1]['patient_id'] = 'val-0'
    (tiny_set / 'other.json').write_text(json.dumps(content))
    settings = WRAPPERS[wrapper]([dict(inner, disjoint_from=['val.json']) for inner in sets], [])
    with pytest.raises(ValueError, match='val-0'):
        DATASETS.build(settings)


@pytest.mark.parametrize('wrapper', ['CombinedDataset', 'RepeatDataset'])
def test_a_wrapped_data_set_trains_and_is_tested_with_the_figures_of_its_parts(
    wrapper, sets, tiny_config, tmp_path
):
    make, config = WRAPPERS[wrapper], tiny_config
    train_pipeline, test_pipeline = config.train_pipeline, config.val_pipeline
    test_sets = [dict(inner, test_mode=True) for inner in sets]
    config.train_dataloader.dataset = make(sets, train_pipeline)
    config.val_dataloader.dataset = make(test_sets, test_pipeline)
    config.test_dataloader.dataset = make(test_sets, test_pipeline)
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.visualizer.dataset_meta['dataset_name'] == 'tha'
    metrics = runner.test()
    assert metrics['all/images'] == (10 if wrapper == 'RepeatDataset' else 5)
    parts = [DATASETS.build(dict(inner, pipeline=test_pipeline)) for inner in test_sets]
    batch = pseudo_collate([part[row] for part in parts for row in range(len(part))])
    errors = [
        np.linalg.norm(
            (predicted.pred_instances.keypoints[0] - predicted.raw_ann_info['points']) * 4.0, axis=1
        )
        for predicted in runner.model.test_step(batch)
    ]
    assert metrics['all/MRE'] == pytest.approx(np.mean(errors), rel=1e-5)
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)
    names = saved['meta']['dataset_meta']['keypoint_id2name']
    assert tuple(names.values()) == LANDMARK_NAMES
