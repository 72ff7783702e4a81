"""Hook ``THABadCaseHook``: the tested images on which a model does badly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmpose.registry import HOOKS, METRICS
from mmpose.structures import PoseDataSample

from unsct_mmpose.anatomy import landmarks_of
from unsct_mmpose.drawing.picture_files import write_picture
from unsct_mmpose.files import replace_file

from .sample_pictures import SamplePictures, folder_of

_KINDS = ('loss', 'accuracy')


@HOOKS.register_module()
class THABadCaseHook(Hook):
    """Draw the tested images that a metric calls bad, and list them from the worst on.

    It replaces MMPose's ``BadCaseAnalysisHook``, which decodes no DICOM and knows neither absent
    landmarks nor several metrics. ``tools/test.py --badcase [--show]`` switches it on. Pictures and
    ``results.json`` lie in ``out_dir``, in the run's time-stamped folder unless it is absolute.

    Args:
        enable: whether it does anything.
        show: show the pictures in a window instead of writing them.
        wait_time: seconds that the window waits.
        interval: not used, as in MMPose: every image is judged.
        out_dir: folder for pictures and list.
        metric: config of the metric, one of ours, that judges each image by itself.
        metric_key: its figure that counts, as the metric names it for ``all`` images.
        metric_type: ``'loss'``: the larger the worse; ``'accuracy'``: the smaller the worse.
        badcase_thr: an image is bad from this value on. By default 10, which for the set error is
            half of what an image costs on which nothing is right. An image without a figure is not.
        **kwargs: what MMPose's hook takes besides; not used.

    Raises:
        ValueError: ``metric_type`` is unknown, or the metric has no such figure.
    """

    def __init__(
        self,
        enable: bool = False,
        show: bool = False,
        wait_time: float = 0.0,
        interval: int = 1,
        out_dir: str = 'badcase',
        metric: Mapping[str, Any] | None = None,
        metric_key: str = 'all/E_20',
        metric_type: str = 'loss',
        badcase_thr: float = 10.0,
        **kwargs,
    ) -> None:
        if metric_type not in _KINDS:
            raise ValueError(f'metric_type is {metric_type!r}; choose one of {_KINDS}')
        self.enable, self.show, self.wait_time = enable, show, wait_time
        self.out_dir, self.metric_key, self.badcase_thr = out_dir, metric_key, badcase_thr
        self.sign = 1.0 if metric_type == 'loss' else -1.0
        self.metric = METRICS.build(dict(metric or dict(type='THASetErrorMetric')))
        self.bad_cases: list[dict[str, Any]] = []
        self._pictures: SamplePictures | None = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Forget the bad cases of an earlier test."""
        self.bad_cases = []
        self.metric.dataset_meta = runner.test_evaluator.dataset_meta

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[PoseDataSample]
    ) -> None:
        """Judge each image; draw those that are bad."""
        if not self.enable:
            return
        if self._pictures is None:
            self._pictures = SamplePictures(Visualizer.get_current_instance())
            self._pictures.landmarks = landmarks_of(self.metric.dataset_meta)
        for sample in outputs:
            value = self.judge(sample)
            if not self.sign * value >= self.sign * self.badcase_thr:
                continue
            name = self._pictures.name(sample, runner)
            picture = self._pictures.draw(sample)
            self.bad_cases.append(
                {'img': name, 'img_path': sample.get('img_path'), self.metric_key: value}
            )
            if self.show:
                self._pictures.visualizer.show(
                    picture, win_name=f'{name}: {value:.3g}', wait_time=self.wait_time
                )
            else:
                write_picture(folder_of(runner, self.out_dir) / f'{name}.png', picture)

    def judge(self, sample: PoseDataSample) -> float:
        """Return the metric's figure of one image; NaN where it has none."""
        self.metric.results.clear()
        self.metric.process({}, [sample.to_dict()])
        figures = self.metric.compute_metrics(list(self.metric.results))
        self.metric.results.clear()
        if self.metric_key not in figures:
            raise ValueError(
                f'{type(self.metric).__name__} has no figure {self.metric_key!r}; set '
                f'default_hooks.badcase.metric_key to one of {sorted(figures)}'
            )
        return float(figures[self.metric_key])

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the list, from the worst on."""
        if not self.enable:
            return
        everywhere = all_gather_object(self.bad_cases)
        cases = {case['img_path']: case for part in everywhere for case in part}
        worst = sorted(cases.values(), key=lambda case: -self.sign * case[self.metric_key])
        if not is_main_process():
            return
        folder = folder_of(runner, self.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / 'results.json', json.dumps(worst, indent=1).encode())
        word = 'or more' if self.sign > 0 else 'or less'
        print_log(
            f'{len(worst)} bad cases ({self.metric_key} of {self.badcase_thr:g} {word}): {folder}',
            logger='current',
        )
