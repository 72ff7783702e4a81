"""Judge each way to decide about a table of evidence: the project's, the paper's, and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from unsct_mmpose.anatomy import relation_set
from unsct_mmpose.calibrate.fit import evaluate, judged_samples, predicted_samples
from unsct_mmpose.codecs.decision_modes import decision_options, mode_settings
from unsct_mmpose.evaluation.samples import decisions, stack, unpack
from unsct_mmpose.maps.calibration_fit import EvidenceTable, FitOptions
from unsct_mmpose.maps.deciders import DECIDERS, DecisionOptions
from unsct_mmpose.maps.printed_entropy import describe_alignment

from .paper_plan import FIELD_DECISIONS, STOCK_DECISIONS
from .study import restrict_relations

_DECIDING = 'core'
"""Relations that take part in the project's own decisions; the ``full`` set trains the network."""

FIGURES = (
    'set_error/{}/E_20', 'presence/{}/recall', 'presence/{}/specificity', 'presence/{}/AUROC',
    'landmark/{}/MRE', 'landmark/{}/SDR@2mm', 'landmark/{}/SDR@4mm', 'landmark/{}/SDR@10mm',
    'paper/{}/NME', 'paper/{}/MRE', 'paper/{}/SDR@2mm', 'paper/{}/SDR_images@2mm', 'paper/{}/PCC',
    'paper/{}/ICC', 'paper/{}/t_test_p', 'paper/{}/images',
)  # fmt: skip


def judge_decisions(
    table: EvidenceTable, base: EvidenceTable, fields: bool
) -> dict[str, dict[str, float]]:
    """Judge each way to decide, from the same weights.

    Tables hold the evidence of the ``full`` relations; thresholds come from ``base``, and patients
    in both are cross-fitted.

    Returns:
        Figures for each of :data:`FIELD_DECISIONS`, or of :data:`STOCK_DECISIONS`; those of
        ``paper`` hold ``alignment/...`` too, see
        :func:`unsct_mmpose.maps.printed_entropy.describe_alignment`.
    """
    full = relation_set('full')
    part, relations = restrict_relations(table, full, _DECIDING)
    rest, _ = restrict_relations(base, full, _DECIDING)
    options = FitOptions() if fields else FitOptions(features=('peak',))
    decision = DecisionOptions(evidence='fused' if fields else 'peak')
    samples = judged_samples(part, rest, relations, options, decision)
    figures = judge_paper(table, base) if fields else {}
    names = FIELD_DECISIONS if fields else STOCK_DECISIONS
    for name in (name for name in names if name not in figures):
        figures[name] = _figures([_decided(sample, name) for sample in samples])
    return {name: figures[name] for name in names}


def judge_paper(table: EvidenceTable, base: EvidenceTable) -> dict[str, dict[str, float]]:
    """Judge each of :data:`PAPER_DECISIONS`, as :func:`judge_decisions` does.

    It is the entropy of the mean of all relations, nothing peeled away.
    """
    settings = mode_settings('paper', {}, 'full')
    stated = decision_options('paper', settings, None, None, None)
    relations = relation_set(settings['evidence_relations'])
    figures = dict(paper=_figures(predicted_samples(table, relations, None, stated)))
    for name, entropy in (('paper_fitted', stated.entropy), ('paper_mirrored', 'mirror')):
        decision = replace(stated, entropy=entropy, stated=None)
        options = FitOptions(decision=decision)
        figures[name] = _figures(judged_samples(table, base, relations, options, decision))
    described = describe_alignment(table.evidence, relations.pairs, table.present, table.labelled)
    figures['paper'].update({f'alignment/{key}': value for key, value in described.items()})
    return figures


def _figures(samples: Sequence[dict]) -> dict[str, float]:
    figures, subsets = evaluate(samples), ('structured', 'unstructured', 'all')
    return {name: figures[name] for key in FIGURES for name in map(key.format, subsets)}


def _decided(sample: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a data sample as if another evidence had decided."""
    pred, columns = dict(sample['pred_instances']), stack([unpack(sample)])
    if name in DECIDERS:
        which = list(DECIDERS).index(name)
        pred['keypoint_uncertainties'] = pred['keypoint_evidences'][..., which]
    reported = decisions(columns)[name].astype(float)
    return dict(sample, pred_instances=dict(pred, keypoints_visible=reported))
