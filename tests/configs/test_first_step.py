"""How the networks of the configs start: silent, no loss term shouting the others down."""

import logging
import math

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from tests.configs.small_configs import CONFIGS, PATHS, shrink
from unsct_mmpose.research.benchmark import training_batch
from unsct_mmpose.research.gradients import silent_losses, term_gradients

LARGE = [path for path in PATHS if path.parent.name != 'demo']
# of the ablations, those whose network at full size is one of its own
SAME = ('ema', 'loss_', 'no_paf', 'unsct_hrnet_cover', 'srf_long', 'srf_none_long', 'mmpose_weights')
LARGE = [path for path in LARGE if not path.stem.startswith(SAME)]
# the networks of unsct_hrnet_tha and of srf_stages, as test_flat_configs.py holds
LARGE = [path for path in LARGE if path.stem not in ('unsct-hrnet', 'unsct_hrnet_paper')]
SIDES = {'cpu': 96, 'gpu': 128}
WHOLE = ('unsct_hrnet_tha', 'unsct_hrnet_paper', 'unsct-u_net_two_cores')  # of one size: once
CASES = [('cpu', path) for path in PATHS if path.stem not in WHOLE] + [
    ('gpu', path) for path in LARGE
]
EACH = pytest.mark.parametrize(
    ('budget', 'path'), CASES, ids=[f'{budget}-{path.stem}' for budget, path in CASES]
)

MAIN = ('loss_heatmap', 'loss_kpt')


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def read(path, budget, monkeypatch, side=None):
    monkeypatch.setenv('UNSCT_BUDGET', budget)
    init_default_scope('mmpose')
    # an hourglass of five levels has one cell at its bottom else, which batch norm cannot take
    if 'hourglass' in path.stem and side is None:
        side = 256 if budget == 'gpu' else 128
    config = Config(shrink(Config.fromfile(path).to_dict(), side or SIDES[budget]))
    config.model.train_cfg = dict(compute_acc=False)  # MMPose's heads hand bfloat16 to NumPy
    return config


def silence_at_full_size(path, budget, monkeypatch):
    """Return what silence costs among maps of the config's own size, which are emptier."""
    monkeypatch.setenv('UNSCT_BUDGET', budget)
    whole = Config.fromfile(path)
    with torch.device('meta'):  # of the features only shapes count
        model = MODELS.build(whole.model).eval()
        levels = model.extract_feat(torch.zeros(2, 3, *whole.codec.input_size))
    preprocessor, head = (MODELS.build(whole.model[name]) for name in ('data_preprocessor', 'head'))
    head.train_cfg = dict(compute_acc=False)
    samples = preprocessor(training_batch(whole, 2), training=True)['data_samples']
    return silent_losses(head, [torch.zeros(level.shape) for level in levels], samples)


def terms_of(path, budget, monkeypatch):
    found = term_gradients(read(path, budget, monkeypatch), at_steps=(0,), device='cpu')
    return {term.term: term for term in found}


@EACH
def test_every_output_starts_silent_and_no_term_drowns_the_heatmaps(budget, path, monkeypatch):
    terms = terms_of(path, budget, monkeypatch)
    assert all(math.isfinite(term.value) and math.isfinite(term.norm) for term in terms.values())
    main = [terms[name] for name in MAIN if name in terms]
    if not main or math.isnan(main[0].silence) or path.stem in ('rle_res50', 'simcc_cspnext'):
        return  # coordinates are no maps
    silence = silence_at_full_size(path, budget, monkeypatch)
    for term in terms.values():
        assert term.value - term.silence <= 0.5 * silence[term.term] + 1e-9, (term, silence)
        assert term.norm <= 5 * main[0].norm, (term, main[0])


def of_each_kind():
    """Return a config of each kind of network; MMPose's heads have no accuracy in bfloat16."""
    kinds = {}
    for path in LARGE:
        model = Config.fromfile(path).model
        if 'PAF' in model.head.type:
            kind = (model.backbone.type, (model.get('neck') or {}).get('type'), model.head.type)
            kinds.setdefault(kind, path)
    return kinds.values()


@pytest.mark.parametrize('path', of_each_kind(), ids=lambda path: path.stem)
def test_the_first_steps_in_half_precision_have_finite_gradients(path, monkeypatch):
    config = read(path, 'gpu', monkeypatch, side=128)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    data = model.train().data_preprocessor(training_batch(config, 2), training=True)
    for _ in range(2):
        with torch.autocast('cpu', torch.bfloat16):
            losses, _ = model.parse_losses(model(**data, mode='loss'))
        wrapper.backward(losses * 1024)
        gradients = [
            parameter.grad for parameter in model.parameters() if parameter.grad is not None
        ]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        wrapper.step()
        wrapper.zero_grad()


def test_coarse_heatmaps_with_pytorch_s_weights_would_be_noticed(monkeypatch):
    """The fault of the first release: maps that start at tens, where silence costs a tenth."""
    monkeypatch.setattr('unsct_mmpose.nn.srf.nn.init.normal_', lambda weight, *_, **__: weight)
    path = CONFIGS / 'ablation/srf_stages.py'
    terms = terms_of(path, 'gpu', monkeypatch)
    coarse = terms['loss_intermediate']
    assert coarse.value > 1.5 * coarse.silence


def test_a_term_that_reaches_no_backbone_has_no_gradient_there(monkeypatch):
    terms = terms_of(CONFIGS / 'unsct_hrnet_tha.py', 'gpu', monkeypatch)
    assert terms['loss_intermediate'].norm == 0
    assert terms['loss_heatmap'].norm > 0
