# Spatial relationship fusion at the entry of the last two stages only.
_base_ = './srf_stages.py'
model = dict(backbone=dict(srf_stages=(3, 4)))
