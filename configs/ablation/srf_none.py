# UNSCT-HRNet without spatial relationship fusion (Table 3).
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(backbone=dict(type='HRNet'), head=dict(intermediate_weight=0.0))
