"""Dataset ``THADataset``: radiographs with named landmarks, from a COCO keypoint file."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmark_set
from unsct_mmpose.annotations.annotated import size_problems, turned_problems
from unsct_mmpose.annotations.coco import (
    AnnotatedRadiograph,
    AnnotationError,
    AnnotationFile,
    read_annotations,
    without_collector,
)
from unsct_mmpose.annotations.splits import check_patient_splits

from .pipeline_checks import check_pipeline

_COLORS = {
    'left': [255, 128, 0],
    'right': [0, 153, 255],
    'cross': [160, 160, 160],
    None: [96, 192, 96],
}

_PAPER = dict(
    author='Wan et al.',
    title='UNSCT-HRNet: Modeling Anatomical Uncertainty for Landmark Detection in '
    'Total Hip Arthroplasty',
)

_NO_DATA = (
    'there is no such file. For a first try make simulated radiographs, which takes minutes: '
    'unsct phantom --out data/phantom. For data elsewhere set UNSCT_DATA=DIR, or '
    '--cfg-options train_dataloader.dataset.data_root=DIR and the same of val and test '
    '(docs/how-to/your-own-data.md)'
)


def metainfo_of(landmarks: LandmarkSet) -> dict:
    """Return MMPose's meta information about a set of landmarks, as a config holds it."""
    names, flips = landmarks.names, landmarks.flip_indices
    relations = landmarks.relations.get('core') or next(iter(landmarks.relations.values()))
    links = [
        dict(
            link=(names[tail], names[head]),
            id=index,
            color=_COLORS['cross' if cross else landmarks.side_of(tail)],
        )
        for index, ((tail, head), cross) in enumerate(
            zip(relations.pairs, relations.is_cross, strict=True)
        )
    ]
    keypoints = {
        index: dict(
            name=name,
            id=index,
            color=_COLORS[landmarks.side_of(index)],
            type='upper',
            swap=names[flips[index]] if flips[index] != index else '',
        )
        for index, name in enumerate(names)
    }
    return dict(
        dataset_name='tha' if landmarks == HIP else landmarks.name,
        **(dict(paper_info=_PAPER) if landmarks == HIP else dict(landmarks=landmarks.to_dict())),
        keypoint_info=keypoints,
        skeleton_info=dict(enumerate(links)),
        joint_weights=[1.0] * len(landmarks),
        sigmas=list(landmarks.sigmas),
    )


@DATASETS.register_module()
class THADataset(BaseCocoStyleDataset):
    """Radiographs with landmarks: AP pelvic ones with the paper's, unless told otherwise.

    One radiograph is one sample; its box is the whole image. Beside COCO's own fields an image
    may hold ``pixel_spacing`` [x, y] in mm at the detector, ``magnification``, ``patient_id``,
    ``subset`` (structured or unstructured) and ``absent`` (names of landmarks that it does not
    show). What decides between present, absent and unlabelled landmarks is
    :func:`unsct_mmpose.annotations.coco.landmark_states`. An image without any landmark stays
    in the data set: a network must see what silence looks like.

    For training, ``keypoints_visible`` is ``(1, K, 2)``: presence, and whether anybody looked.
    What an evaluator needs travels in ``raw_ann_info``, which MMPose packs by default.

    Args:
        ann_file: COCO keypoint json.
        data_root: folder that ``ann_file`` and ``data_prefix`` start from.
        data_prefix: ``img``: folder that the file names of the images start from.
        require_spacing: refuse a file in which an image has no pixel spacing.
        check_images: refuse a file that names an image that is not there, or that has another
            size than its record says (a sample of 256 images by their headers; each image is
            compared again when it is loaded). ``unsct check`` looks at all of them.
        landmarks: which (:func:`unsct_mmpose.anatomy.landmark_set`).
        disjoint_from: other annotation files, from ``data_root``, that must not share a patient
            with this one; files that do not exist are passed over.
        **kwargs: see ``BaseCocoStyleDataset``. A ``bbox_file`` and ``data_mode='bottomup'`` are
            refused: the box of a radiograph is the whole image. ``metainfo`` may change names of
            data set and links, and colours, but not the landmarks.

    Raises:
        AnnotationError: the annotation file is wrong; the message lists every problem in it.
        ValueError: an argument contradicts what the data set is.
    """

    METAINFO: dict = metainfo_of(HIP)

    def __init__(
        self,
        *args,
        require_spacing: bool = False,
        check_images: bool = True,
        disjoint_from: Sequence[str] = (),
        landmarks: str | Mapping[str, Any] | LandmarkSet = HIP.name,
        **kwargs,
    ) -> None:
        self.landmarks = landmark_set(landmarks)
        self.require_spacing = require_spacing
        self.check_images = check_images
        self.disjoint_from = tuple(disjoint_from)
        if self.landmarks != HIP and not kwargs.get('metainfo'):
            kwargs['metainfo'] = metainfo_of(self.landmarks)
        super().__init__(*args, **kwargs)
        check_pipeline(self.pipeline.transforms)
        names = tuple(self._metainfo['keypoint_id2name'].values())
        if names != self.landmarks.names:
            raise ValueError(
                f'metainfo {self._metainfo["dataset_name"]!r} has {len(names)} keypoints, which '
                f'are not the {len(self.landmarks)} landmarks of {self.landmarks.name!r} in their '
                "order; leave metainfo out, or set landmarks (those of dict(from_file='configs/"
                "_base_/datasets/tha.py') are the default)"
            )

    def load_data_list(self) -> list[dict]:
        """Read and check the annotation file; one item for each radiograph."""
        if self.bbox_file or self.data_mode != 'topdown':
            raise ValueError(
                'THADataset takes each radiograph as a whole, as one top-down sample: leave '
                "bbox_file out and data_mode at 'topdown'"
            )
        if not Path(self.ann_file).is_file():
            raise AnnotationError(self.ann_file, [_NO_DATA])
        image_root = self.data_prefix['img'] if self.check_images else None
        annotations = read_annotations(
            self.ann_file,
            image_root=image_root,
            require_spacing=self.require_spacing,
            landmarks=self.landmarks,
        )
        self._check_patients(annotations)
        self._check_against_images(annotations)
        source = str(annotations.info.get('description', ''))
        interval = getattr(self, 'sample_interval', 1)  # MMPose 1.1 has none
        chosen = [case for case in annotations.cases if case.image_id % interval == 0]
        with without_collector():
            return [self._parse_case(case, source) for case in chosen]

    def _check_against_images(self, annotations: AnnotationFile) -> None:
        """Refuse what contradicts the images; say what is unlikely."""
        problems = []
        if self.check_images:
            problems = size_problems(annotations, self.data_prefix['img'])
            if any(isinstance(step, LoadImageFromFile) for step in self.pipeline.transforms):
                problems += [
                    f'{problem}, and nothing but LoadRadiograph takes landmarks along: begin the '
                    "pipeline with dict(type='LoadRadiograph'), or convert the data set "
                    '(unsct convert)'
                    for problem in turned_problems(annotations, self.data_prefix['img'])
                ]
        if problems:
            raise AnnotationError(self.ann_file, problems)
        if annotations.doubts:
            print_log(
                f'{self.ann_file}: {len(annotations.doubts)} doubts, such as: '
                f'{annotations.doubts[0]} (unsct check lists all)',
                'current',
                logging.WARNING,
            )

    def _check_patients(self, annotations: AnnotationFile) -> None:
        others = [str(Path(self.data_root or '') / name) for name in self.disjoint_from]
        existing = {name: name for name in others if Path(name).is_file() and name != self.ann_file}
        if existing:
            check_patient_splits({self.ann_file: annotations.images, **existing})

    def _parse_case(self, case: AnnotatedRadiograph, source: str) -> dict:
        present, labelled = case.states.present, case.states.labelled
        visible = np.empty((1, len(present), 1 if self.test_mode else 2), np.float32)
        visible[0, :, 0] = present
        if self.test_mode:
            visible = visible[..., 0]
        else:
            visible[0, :, 1] = labelled
        width, height = case.size_wh
        return dict(
            img_id=case.image_id,
            img_path=os.path.join(self.data_prefix['img'], case.file_name),
            id=case.image_id,
            category_id=np.array(1),
            bbox=np.array([[0, 0, width, height]], dtype=np.float32),
            bbox_score=np.ones(1, dtype=np.float32),
            keypoints=case.states.points.astype(np.float32)[None],
            keypoints_visible=visible,
            num_keypoints=int(present.sum()),
            area=np.array(width * height, dtype=np.float32),
            iscrowd=0,
            segmentation=None,
            raw_ann_info=dict(
                file_name=case.file_name,
                image_id=case.image_id,
                patient_id=case.patient_id,
                subset=case.subset,
                source=source,
                pixel_spacing=case.spacing_xy_mm,
                magnification=case.magnification,
                points=case.states.points,
                present=present,
                labelled=labelled,
                size_wh=case.size_wh,
                file_spacing=case.spacing_xy_mm,
                mirrored=case.read_mirrored,
            ),
        )
