# A boundary that passes no gradient, as in the adaptive wing network.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(backbone=dict(hard_boundary=True))
