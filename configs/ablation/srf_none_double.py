# UNSCT-HRNet without spatial relationship fusion, at twice the resolution.
_base_ = './srf_double.py'
model = dict(backbone=dict(type='HRNet'), head=dict(intermediate_weight=0.0))
