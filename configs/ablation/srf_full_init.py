# Spatial relationship fusion at full weight from the start.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(backbone=dict(initial_scale=1.0))
