# Coarse heatmaps whose loss reaches the features that they are read from (deep supervision).
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(neck=dict(deep_supervision=True))
