# No coordinates on the boundary.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(neck=dict(with_boundary=False))
