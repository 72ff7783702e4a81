"""How the networks of the configs start: silent, no loss term shouting the others down."""

import logging
import math

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from tests.configs.small_configs import CONFIGS, PATHS, parsed, shrink
from unsct_mmpose.engine.bf16_optim_wrapper import has_bf16
from unsct_mmpose.research.benchmark import training_batch
from unsct_mmpose.research.gradients import (
    features_of,
    first_step,
    silent_losses,
    term_gradients,
    terms_of,
)

LARGE = [path for path in PATHS if path.parent.name != 'demo']
# of the ablations, those whose network at full size is one of its own
SAME = ('ema', 'loss_', 'no_paf', 'unsct_hrnet_cover', 'srf_long', 'srf_none_long', 'mmpose')
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


@pytest.fixture(autouse=True)
def host():
    init_default_scope('mmpose')


def shrunk(path, budget):
    """Return a config of a size that a test can train."""
    side = SIDES[budget]
    if 'hourglass' in path.stem:  # its bottom has one cell else, which batch norm cannot take
        side = 256 if budget == 'gpu' else 128
    config = Config(shrink(parsed(path, budget).to_dict(), side))
    config.model.train_cfg = dict(compute_acc=False)  # MMPose's heads hand bfloat16 to NumPy
    return config


def silence_at_full_size(path, budget, feats, inputs):
    """Return what silence costs among maps of the config's own size, which are emptier."""
    whole = parsed(path, budget)
    times = whole.codec.input_size[0] / inputs.shape[-1]
    preprocessor, head = (MODELS.build(whole.model[name]) for name in ('data_preprocessor', 'head'))
    head.train_cfg = dict(compute_acc=False)
    samples = preprocessor(training_batch(whole, len(inputs)), training=True)['data_samples']
    return silent_losses(head, [level.float() for level in feats], samples, times)


def terms_by_name(model, wrapper, feats, samples):
    return {term.term: term for term in terms_of(model, wrapper, feats, samples)}


def first_of_its_kind(path):
    """Whether no config before has the kind of network; MMPose's heads give no fields."""

    def kind(path):
        model = parsed(path, 'gpu').model
        return model.backbone.type, (model.get('neck') or {}).get('type'), model.head.type

    return 'PAF' in kind(path)[-1] and path == next(p for p in LARGE if kind(p) == kind(path))


@EACH
def test_every_output_starts_silent_and_no_term_drowns_the_heatmaps(budget, path):
    model, wrapper, batch = first_step(
        shrunk(path, budget), batch_size=1 if 'hourglass' in path.stem and budget == 'gpu' else 2
    )
    feats, samples = features_of(model, wrapper, batch), batch['data_samples']
    terms = terms_by_name(model, wrapper, feats, samples)
    assert all(math.isfinite(term.value) and math.isfinite(term.norm) for term in terms.values())
    main = [terms[name] for name in MAIN if name in terms]
    if main and not math.isnan(main[0].silence) and path.stem not in ('rle_res50', 'simcc_cspnext'):
        silence = silence_at_full_size(path, budget, feats, batch['inputs'])
        for term in terms.values():
            assert term.value - term.silence <= 0.5 * silence[term.term] + 1e-9, (term, silence)
            assert term.norm <= 5 * main[0].norm, (term, main[0])
    # emulated, a step at full width takes minutes
    if budget == ('gpu' if has_bf16('cpu') else 'cpu') and first_of_its_kind(path):
        check_that_steps_in_half_precision_have_finite_gradients(model, wrapper, batch)


def check_that_steps_in_half_precision_have_finite_gradients(model, wrapper, batch):
    for last in (False, True):
        with torch.autocast('cpu', torch.bfloat16):
            losses, _ = model.parse_losses(model(**batch, mode='loss'))
        wrapper.backward(losses * 1024)
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        assert gradients
        assert all(gradient.sum().isfinite() for gradient in gradients)  # as each of them is
        if not last:
            wrapper.step()
            wrapper.zero_grad()


def test_coarse_heatmaps_with_pytorch_s_weights_would_be_noticed(monkeypatch):
    """The fault of the first release: maps that start at tens, where silence costs a tenth."""
    monkeypatch.setattr('unsct_mmpose.nn.srf.nn.init.normal_', lambda weight, *_, **__: weight)
    path = CONFIGS / 'ablation/srf_stages.py'
    model, wrapper, batch = first_step(shrunk(path, 'gpu'))
    feats = features_of(model, wrapper, batch)
    coarse = terms_by_name(model, wrapper, feats, batch['data_samples'])['loss_intermediate']
    assert coarse.value > 1.5 * coarse.silence


def test_a_term_that_reaches_no_backbone_has_no_gradient_there():
    found = term_gradients(shrunk(CONFIGS / 'unsct_hrnet_tha.py', 'gpu'), at_steps=(0,))
    terms = {term.term: term for term in found}
    assert terms['loss_intermediate'].norm == 0
    assert terms['loss_heatmap'].norm > 0
