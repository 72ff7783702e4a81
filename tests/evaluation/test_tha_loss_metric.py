"""The validation loss is the training loss of the same images, and it costs no second pass."""

import copy
import json

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS, METRICS, MODELS

CODEC = dict(type='HeatmapPAF', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)
FINE = dict(CODEC, heatmap_size=(32, 32))
LOSSES = dict(paf_loss=dict(type='PAFMSELoss', loss_weight=30.0))
COARSE = dict(LOSSES, intermediate_weight=0.5)
HEADS = dict(
    plain=(CODEC, dict(type='HeatmapPAFHead', decoder=CODEC, **COARSE)),
    late=(dict(CODEC, draw_late=True), dict(type='HeatmapPAFHead', decoder=CODEC, **COARSE)),
    udp=(
        dict(CODEC, use_udp=True),
        dict(type='HeatmapPAFHead', decoder=dict(CODEC, use_udp=True), **COARSE),
    ),
    higher=(
        [CODEC, FINE],
        dict(type='HigherHeatmapPAFHead', deconv_channels=8, num_blocks=1, decoder=FINE, **COARSE),
    ),
    stacked=(CODEC, dict(type='StackedHeatmapPAFHead', num_stages=3, decoder=CODEC, **LOSSES)),
)


@pytest.fixture
def samples(tiny_set):
    """Return a function that loads the validation images for training, or for validation."""
    init_default_scope('mmpose')
    content = json.loads((tiny_set / 'val.json').read_text())
    content['annotations'][0]['keypoints'][6:12] = [0] * 6  # unlabelled
    content['annotations'][1]['keypoints'][30:33] = [0] * 3
    content['images'][1].update(absent=['left_femoral_shaft_proximal_midpoint'])
    content['images'][1].update(subset='unstructured')
    (tiny_set / 'val.json').write_text(json.dumps(content))

    def load(encoder=None, udp=False):
        several = isinstance(encoder, list)
        target = dict(type='GenerateTarget', encoder=encoder, multilevel=several)
        pipeline = [
            dict(type='LoadRadiograph'),
            dict(type='GetBBoxCenterScale', padding=1.2),
            dict(type='RadiographAffine', input_size=(64, 64), use_udp=udp),
            *([target] if encoder else []),
            dict(type='PackPoseInputs'),
        ]
        dataset = DATASETS.build(
            dict(
                type='THADataset', data_root=str(tiny_set), ann_file='val.json', pipeline=pipeline,
                test_mode=encoder is None,
            )
        )  # fmt: skip
        return [dataset[row]['data_samples'] for row in range(2)]

    return load


def feats_of(kind, count):
    torch.manual_seed(0)
    shapes = [(count, 24, size, size) for size in (4, 8)] + [(count, 8, 16, 16)]
    return [
        torch.randn(shape) for shape in (3 * [(count, 8, 16, 16)] if kind == 'stacked' else shapes)
    ]


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('kind', HEADS)
def test_each_image_costs_what_it_would_in_training(kind, flip_test, samples):
    encoder, cfg = HEADS[kind]
    head, feats = MODELS.build(dict(cfg, in_channels=8)).eval(), feats_of(kind, 2)
    trained = samples(encoder, udp=kind == 'udp')
    validated = samples(udp=kind == 'udp')
    given = [feats, [feat.flip(-1) for feat in feats]] if flip_test else feats
    test_cfg = dict(flip_test=flip_test, output_loss=True)
    with torch.no_grad():
        preds = head.predict(given, validated, test_cfg)
        for row, pred in enumerate(preds):
            alone = head.loss([feat[row : row + 1] for feat in feats], trained[row : row + 1])
            assert len(alone) == (2 if kind == 'stacked' else 3)
            for name, value in alone.items():
                assert pred[name].shape == (1,)
                assert pred[name][0] == pytest.approx(value.item(), rel=1e-4)


def test_without_the_option_nothing_is_computed(samples, monkeypatch):
    head = MODELS.build(dict(HEADS['plain'][1], in_channels=8)).eval()
    monkeypatch.setattr(head, 'forward_levels', lambda feats: pytest.fail('the head ran again'))
    (pred, _) = head.predict(feats_of('plain', 2), samples(), dict(flip_test=False))
    assert not {'loss_heatmap', 'loss_paf', 'loss_intermediate'} & {*pred.all_keys()}


def test_an_image_without_truth_has_a_prediction_and_no_loss(samples):
    head = MODELS.build(dict(HEADS['plain'][1], in_channels=8)).eval()
    found = samples()
    del found[1].raw_ann_info
    first, second = head.predict(feats_of('plain', 2), found, dict(output_loss=True))
    assert 'loss_heatmap' in first and 'loss_heatmap' not in second


def sample_of(heatmap, paf, labelled=True):
    return dict(
        pred_instances=dict(loss_heatmap=np.array([heatmap]), loss_paf=np.array([paf])),
        raw_ann_info=dict(labelled=np.full(24, labelled)),
    )


def test_the_mean_is_over_labelled_images_whatever_the_batches():
    images = [sample_of(1.0, 0.5), sample_of(2.0, 0.0), sample_of(6.0, 1.0), sample_of(0, 0, False)]
    for sizes in ([4], [1, 3], [3, 1]):
        metric, rest = METRICS.build(dict(type='THALossMetric')), list(images)
        for size in sizes:
            metric.process([], rest[:size])
            rest = rest[size:]
        figures = metric.evaluate(4)
        assert figures == dict(loss=3.5, loss_heatmap=3.0, loss_paf=0.5)


def test_a_figure_of_nothing_is_nan():
    metric = METRICS.build(dict(type='THALossMetric'))
    metric.process([], [sample_of(0.0, 0.0, labelled=False)])
    assert all(np.isnan(value) for value in metric.evaluate(1).values())


def test_predictions_without_losses_name_the_cure():
    metric = METRICS.build(dict(type='THALossMetric'))
    with pytest.raises(ValueError, match=r'model\.test_cfg\.output_loss=True'):
        metric.process([], [dict(pred_instances=dict(keypoints=0), raw_ann_info={})])


def test_the_best_checkpoint_is_the_one_of_the_lowest_loss(tiny_config, tmp_path):
    config = tiny_config
    config.merge_from_dict(
        {
            'model.test_cfg.output_loss': True,
            'val_evaluator': [dict(type='THALandmarkMetric'), dict(type='THALossMetric')],
            'default_hooks.checkpoint.save_best': 'loss',
            'default_hooks.checkpoint.rule': 'less',
        }
    )
    runner = Runner.from_cfg(config)
    runner.train()
    assert (tmp_path / 'run' / 'best_loss_epoch_1.pth').is_file()
    scalars = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    logged = [json.loads(line) for line in scalars]
    found = next(entry for entry in logged if 'all/MRE' in entry)
    terms = {name: value for name, value in found.items() if name.startswith('loss')}
    assert terms['loss'] == pytest.approx(sum(terms.values()) - terms['loss'], rel=1e-4)
    assert terms['loss'] > 0
    truth = copy.deepcopy(config.val_dataloader.dataset)
    truth.update(test_mode=False, pipeline=config.train_pipeline)
    dataset = DATASETS.build(truth)
    model = runner.model.eval()
    costs = []
    for row in range(len(dataset)):
        data = model.data_preprocessor(pseudo_collate([dataset[row]]))
        losses = model(**data, mode='loss')
        costs.append(sum(v.item() for k, v in losses.items() if k.startswith('loss')))
    assert terms['loss'] == pytest.approx(np.mean(costs), rel=1e-3)
