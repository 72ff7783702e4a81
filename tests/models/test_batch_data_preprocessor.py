"""What comes out is what MMPose's own preprocessor gives, number by number."""

import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmpose.registry import MODELS

LOW = dict(type='HeatmapPAF', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)
HIGH = dict(LOW, heatmap_size=(32, 32))
ENCODERS = dict(late=dict(LOW, draw_late=True), drawn=LOW, levels=[LOW, HIGH])
NORMAL = dict(mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0])


@pytest.fixture
def batch(make_level_samples):
    def make(encoder, collate):
        images = torch.randint(0, 255, (3, 3, 64, 64), generator=torch.manual_seed(0)).byte()
        samples = make_level_samples(encoder, count=3)
        pairs = zip(images, samples, strict=True)
        return collate([dict(inputs=image, data_samples=sample) for image, sample in pairs])

    return make


def leaves(value):
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if hasattr(value, 'values') else value
    return [leaf for item in items for leaf in leaves(item)]


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
@pytest.mark.parametrize('encoder', ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize('turned', [True, False])
def test_images_labels_and_what_is_known_of_them_are_the_same(batch, encoder, collate, turned):
    done = []
    for kind in ('PoseDataPreprocessor', 'BatchDataPreprocessor'):
        settings = dict(type=kind, bgr_to_rgb=turned, **NORMAL)
        done.append(MODELS.build(settings)(batch(encoder, collate), training=True))
    theirs, ours = done
    assert torch.equal(theirs['inputs'], ours['inputs'])
    for first, second in zip(theirs['data_samples'], ours['data_samples'], strict=True):
        assert type(first) is type(second)
        assert set(first.metainfo) == set(second.metainfo)
        assert first.metainfo['batch_input_shape'] == second.metainfo['batch_input_shape']
        assert set(first.keys()) == set(second.keys())
        pairs = [(first.gt_instance_labels, second.gt_instance_labels)]
        for ours, other in pairs:
            assert set(ours.keys()) == set(other.keys())
            for name, value in ours.items():
                for left, right in zip(leaves([value]), leaves([other[name]]), strict=True):
                    assert left.dtype == right.dtype and torch.equal(left, right), name


def test_images_of_several_sizes_and_test_images_pass(batch):
    ours, theirs = (
        MODELS.build(dict(type=kind, pad_size_divisor=32, bgr_to_rgb=True, **NORMAL))
        for kind in ('BatchDataPreprocessor', 'PoseDataPreprocessor')
    )
    data = batch(LOW, pseudo_collate)
    data['inputs'][1] = data['inputs'][1][:, :40]
    assert torch.equal(ours(dict(data))['inputs'], theirs(dict(data))['inputs'])
    for sample in data['data_samples']:
        del sample.gt_instance_labels
    assert len(ours(dict(data))['data_samples']) == 3
