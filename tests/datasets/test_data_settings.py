"""Data sets in a config, alone and wrapped."""

import pytest

from unsct_mmpose.datasets.data_settings import (
    inner_datasets,
    inner_settings,
    pipeline_settings,
    with_data,
)

ONE = dict(type='THADataset', data_root='a', ann_file='val.json', pipeline=['load'])
TWO = dict(ONE, data_root='b')
WRAPPED = dict(type='RepeatDataset', times=2, dataset=ONE)
SEVERAL = dict(type='CombinedDataset', datasets=[dict(ONE, pipeline=[]), TWO], pipeline=['pack'])


def test_one_data_set_gets_another_folder_through_any_wrapper():
    for settings in (ONE, WRAPPED, dict(type='ConcatDataset', datasets=[WRAPPED])):
        changed = with_data(settings, 'c', 'x.json')
        ((_, inner),) = inner_settings(changed)
        assert (inner['data_root'], inner['ann_file']) == ('c', 'x.json')
    assert ONE['data_root'] == 'a'


def test_several_keep_their_folders_or_are_told_apart():
    assert with_data(SEVERAL, None, None) == SEVERAL
    with pytest.raises(
        ValueError, match=r'data_root cannot be replaced: CombinedDataset combines 2'
    ):
        with_data(SEVERAL, 'c', None)


def test_the_outermost_pipeline_is_the_one_that_runs():
    assert pipeline_settings(SEVERAL) == ['pack']
    assert pipeline_settings(WRAPPED) == ['load']
    with pytest.raises(ValueError, match="'THADataset' has no pipeline"):
        pipeline_settings(dict(type='THADataset'))


def test_built_data_sets_are_found_inside_built_wrappers():
    class Thing:
        def __init__(self, **kwargs):
            vars(self).update(kwargs)

    leaves = [Thing(), Thing(), Thing()]
    wrapper = Thing(datasets=[Thing(dataset=leaves[0]), leaves[1], Thing(datasets=[leaves[2]])])
    assert inner_datasets(wrapper) == leaves
    assert inner_datasets(leaves[0]) == [leaves[0]]
