# Spatial relationship fusion whose coarse heatmaps are not supervised.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(head=dict(intermediate_weight=0.0))
