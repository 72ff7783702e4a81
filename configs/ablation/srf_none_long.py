# UNSCT-HRNet without spatial relationship fusion, for twice the epochs.
_base_ = './srf_long.py'
model = dict(backbone=dict(type='HRNet'), head=dict(intermediate_weight=0.0))
