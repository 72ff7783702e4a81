# Spatial relationship fusion at the last two stages only, where features can tell landmarks apart.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(backbone=dict(srf_stages=(3, 4)))
