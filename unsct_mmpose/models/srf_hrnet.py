"""Backbone ``SRFHRNet``: an HRNet with spatial relationship fusion at every stage's entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmpose.models.backbones import HRNet
from mmpose.models.backbones.resnet import get_expansion
from mmpose.registry import MODELS
from torch import Tensor, nn

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmark_set
from unsct_mmpose.nn import SRFBlock, split_srf_settings

STAGES = (1, 2, 3, 4)


@MODELS.register_module()
class SRFHRNet(HRNet):
    """HRNet whose branches pass an SRF block on their way into each stage (paper, Figure 2).

    Every parameter of MMPose's HRNet keeps its name, so HRNet weights, those of ImageNet too, load
    unchanged; the SRF blocks, under ``srf``, are new.

    Args:
        extra: the stages, as for MMPose's HRNet.
        srf_stages: stages with SRF blocks at their entry, from 1 to 4.
        landmarks: K landmarks (:func:`unsct_mmpose.anatomy.landmark_set`), of which the SRF blocks
            make coarse heatmaps.
        **kwargs: keyword arguments of :class:`unsct_mmpose.nn.SRFBlock`, such as ``attention``,
            and of MMPose's HRNet.

    Raises:
        ValueError: ``srf_stages`` names another stage.
    """

    def __init__(
        self,
        extra: dict,
        srf_stages: Sequence[int] = STAGES,
        landmarks: str | Mapping[str, Any] | LandmarkSet = HIP.name,
        **kwargs,
    ) -> None:
        settings, rest = split_srf_settings(kwargs)
        super().__init__(extra, **rest)
        unknown = sorted(set(srf_stages) - set(STAGES))
        if unknown:
            raise ValueError(f'SRFHRNet: srf_stages={unknown} do not exist; give some of {STAGES}')

        count = len(landmark_set(landmarks))

        def block(channels: int) -> SRFBlock:
            return SRFBlock(channels, count, **settings)

        self.srf = nn.ModuleDict(
            {
                f'stage{stage}': nn.ModuleList(map(block, self._entry_channels(stage)))
                for stage in sorted(set(srf_stages))
            }
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            x: ``(B, 3, H, W)``.

        Returns:
            With one branch leaving (HRNet's default): the coarse heatmaps of all SRF blocks,
            ``(B, K, H_i, W_i)``, in the order of the stages, then the finest branch
            ``(B, C, H / 4, W / 4)``, which a stock head reads. With ``multiscale_output``: the
            branches alone, finest first, as MMPose's HRNet gives them.
        """
        coarse: list[Tensor] = []
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        branches = [self.layer1(self._refine(1, [x], coarse)[0])]
        for stage in STAGES[1:]:
            entered = self._enter(getattr(self, f'transition{stage - 1}'), branches)
            branches = getattr(self, f'stage{stage}')(self._refine(stage, entered, coarse))
        return tuple(branches) if len(branches) > 1 else (*coarse, *branches)

    def _refine(self, stage: int, branches: list[Tensor], coarse: list[Tensor]) -> list[Tensor]:
        """Pass the branches through the stage's SRF blocks; add their heatmaps to ``coarse``."""
        name = f'stage{stage}'
        if name not in self.srf:
            return branches
        refined = []
        for block, branch in zip(self.srf[name], branches, strict=True):
            features, heatmaps = block(branch)
            refined.append(features)
            coarse.append(heatmaps)
        return refined

    @staticmethod
    def _enter(transitions: nn.ModuleList, branches: Sequence[Tensor]) -> list[Tensor]:
        """Apply HRNet's transition: existing branches adapt, a new one comes from the coarsest."""
        entered = []
        for index, transition in enumerate(transitions):
            source = branches[min(index, len(branches) - 1)]
            entered.append(source if transition is None else transition(source))
        return entered

    def _entry_channels(self, stage: int) -> tuple[int, ...]:
        if stage == 1:
            return (self.conv2.out_channels,)
        cfg = getattr(self, f'stage{stage}_cfg')
        expansion = get_expansion(self.blocks_dict[cfg['block']])
        return tuple(channels * expansion for channels in cfg['num_channels'])
