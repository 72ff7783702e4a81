"""The ways to decide that have a name, and what a codec says about a decision nobody calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.maps.assessment import decides
from unsct_mmpose.maps.calibration import Calibration
from unsct_mmpose.maps.deciders import DECIDERS, PAPER_THRESHOLD, DecisionOptions

MODES: Mapping[str, Mapping[str, str]] = {
    'default': dict(evidence='fused', entropy='mirror', aggregation='peel'),
    'paper': dict(evidence='paf', entropy='paper', aggregation='paper', evidence_relations='full'),
}
"""What each mode sets, beside the relations that speak: by default the ``'core'`` ones where the
landmarks have such, else those that are learnt. ``'paper'``: the fields alone, eq. (1) as printed,
the weighted sum of all relations of a landmark, nothing peeled away."""


def mode_settings(
    mode: str, asked: Mapping[str, str | None], relations: str, landmarks: LandmarkSet = HIP
) -> dict[str, str]:
    """Return the settings of a mode, with those that were asked for.

    Args:
        mode: one of :data:`MODES`.
        asked: explicit settings; None where left to the mode.
        relations: name of the relations that the network learns.
        landmarks: whose relations they are.

    Raises:
        ValueError: the mode is unknown, or a setting contradicts ``'paper'``.

    Example:
        >>> mode_settings('paper', dict(entropy=None, evidence='paf'), 'full')['entropy']
        'paper'
    """
    if mode not in MODES:
        raise ValueError(f'unknown mode {mode!r}; choose from {sorted(MODES)}')
    chosen = {name: value for name, value in asked.items() if value is not None}
    if mode == 'paper':
        fixed = dict(MODES[mode], relations='full')
        for name, value in dict(chosen, relations=relations).items():
            if value != fixed[name]:
                raise ValueError(
                    f"mode='paper' means {name}={fixed[name]!r}, not {value!r}: leave {name} out, "
                    'or leave the mode out and set evidence, entropy, aggregation and '
                    'evidence_relations one by one'
                )
    speaking = 'core' if 'core' in landmarks.relations else relations
    return {'evidence_relations': speaking, **MODES[mode], **chosen}


def decision_options(
    mode: str,
    settings: Mapping[str, str],
    rule: str | None,
    threshold: float | None,
    weights: Sequence[float] | None,
) -> DecisionOptions:
    """Return how to decide by the settings that :func:`mode_settings` gave for a mode.

    Rule, threshold and weights of the relations that speak are the explicit ones, if any.
    """
    return DecisionOptions(
        evidence=settings['evidence'],
        entropy=settings['entropy'],
        aggregation=settings['aggregation'],
        rule=rule,
        threshold=threshold,
        weights=None if weights is None else tuple(map(float, weights)),
        stated=PAPER_THRESHOLD if mode == 'paper' else None,
    )


def bare_decision(options: DecisionOptions, keep_all: bool) -> DecisionOptions:
    """Return how to decide without a calibration; ``keep_all`` rejects only by an own threshold."""
    if options.threshold is not None:
        return options
    limit = float('inf') if keep_all else DECIDERS[options.evidence].bare_threshold(options)
    return replace(options, threshold=limit, stated=None)


def decision_notice(
    options: DecisionOptions,
    stored: Calibration | None,
    used: Calibration | None,
    learning: bool,
) -> str | None:
    """Say what decides where neither a calibration nor an explicit threshold does; else None.

    The stored calibration is that of the checkpoint; it is used where it applies.
    """
    decided = used is not None and decides(used, options)
    if decided or options.threshold is not None:
        return None
    if learning:
        return (
            'This model is being trained and has no calibration: validation reports every '
            f'landmark, absent ones too, so that epochs can be compared. {_CURE}'
        )
    limit = DECIDERS[options.evidence].bare_threshold(options)
    what = 'no calibration' if stored is None else 'a calibration for other settings only'
    return (
        f'This model has {what}: a fixed limit decides which landmarks are reported (uncertainty '
        f'of {options.evidence!r} up to {limit:.4g}), which nothing was fitted to. {_CURE}'
    )


_CURE = (
    'To calibrate it on validation images: unsct calibrate CONFIG CHECKPOINT, with the '
    'same --cfg-options if there are any. An explicit threshold of the codec decides instead; '
    'inf reports every landmark.'
)
