# Mean squared error for the heatmaps (Figure 5); the weight gives it AdaptiveWing's slope at small
# errors on the background.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(
    head=dict(
        heatmap_loss=dict(
            _delete_=True, type='KeypointMSELoss', use_target_weight=True, loss_weight=14.0
        )
    )
)
