# AdaptiveWing without its mask (Figure 5).
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(head=dict(heatmap_loss=dict(mask_weight=0.0)))
