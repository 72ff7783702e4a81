# Polarized attention with its two branches side by side.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(neck=dict(attention='parallel'))
