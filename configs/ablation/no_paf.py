# The fields untrained: is the gain from training them or from filtering by them?
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(head=dict(paf_loss=dict(loss_weight=0.0)))
