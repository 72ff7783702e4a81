# Mean squared error with ten times the weight: in the sum with the fields' loss, is it the form of
# the heatmap loss that matters, or its share?
_base_ = './loss_mse.py'
model = dict(head=dict(heatmap_loss=dict(loss_weight=140.0)))
