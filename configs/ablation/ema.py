# Averaged weights (EMA) over some 500 steps: a third of the small budget's training.
_base_ = '../hrnet/unsct-hrnet.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.002),
]
