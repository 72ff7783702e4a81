# MMPose's HRNet and heatmap head, taught to stay silent where a landmark is absent.
_base_ = '../hrnet/ori-hrnet.py'
train_dataloader = dict(dataset=dict(pipeline=_base_.drawn_train_pipeline))
