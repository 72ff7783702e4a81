# Averaged weights (EMA) over some 500 steps, a third of the small budget's training. The average
# follows the weights closely at first (gamma): else it would hold initial weights for long.
_base_ = '../hrnet/unsct-hrnet.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.002, gamma=100),
]
