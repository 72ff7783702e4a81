"""The file of the landmark set is found from any folder, as MMPose's own are."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpose.datasets.datasets import utils

FOLDER = Path('configs') / '_base_' / 'datasets'


def shipped_metainfo(name: str) -> Path | None:
    """Return a file of meta information, such as ``tha.py``, that this package ships, or None."""
    package = Path(__file__).resolve().parents[1]
    places = (package / '.mim' / FOLDER / name, package.parent / FOLDER / name)
    return next((path for path in places if path.is_file()), None)


def find_shipped_metainfo() -> None:
    """Let ``metainfo=dict(from_file='configs/_base_/datasets/tha.py')`` work from any folder.

    MMPose looks for a file that is not there among its own configs; afterwards it looks among ours
    first. A file that is there always wins. Meta information that holds ``landmarks`` (a set that
    is not the hip's) keeps them.
    """
    original = utils.parse_pose_metainfo

    @functools.wraps(original)
    def parse_pose_metainfo(metainfo: Mapping[str, Any]) -> dict[str, Any]:
        named = Path(str(metainfo.get('from_file', '')))
        path = named if named.is_file() else named.name and shipped_metainfo(named.name)
        if path:
            metainfo = Config.fromfile(path).dataset_info
        parsed = original(metainfo)
        return {**parsed, 'landmarks': metainfo['landmarks']} if 'landmarks' in metainfo else parsed

    for name, module in list(sys.modules.items()):
        if name.startswith('mmpose.') and vars(module).get('parse_pose_metainfo') is original:
            module.parse_pose_metainfo = parse_pose_metainfo
