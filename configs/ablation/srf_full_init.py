# Spatial relationship fusion at full weight from the start.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(neck=dict(initial_scale=1.0))
