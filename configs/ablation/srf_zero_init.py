# Spatial relationship fusion that adds nothing when training starts.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(neck=dict(initial_scale=0.0))
