"""The configs, and the same at a size that a test can train."""

import functools
import os
from pathlib import Path
from unittest.mock import patch

from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ASIDE = ('_base_', 'flat')
# configs/flat is held to its originals by test_flat_configs.py
PATHS = sorted(
    path for path in CONFIGS.rglob('*.py') if path.relative_to(CONFIGS).parts[0] not in ASIDE
)


@functools.cache
def parsed(path, budget):
    """Return a config of a budget, which nobody may change: each is parsed once."""
    with patch.dict(os.environ, UNSCT_BUDGET=budget):
        return Config.fromfile(path)


def shrink(content, side):
    """Set the input of a resolved config to ``side`` pixels, its maps in proportion."""
    if isinstance(content, list | tuple):
        return type(content)(shrink(item, side) for item in content)
    if not isinstance(content, dict):
        return content
    content = {key: shrink(value, side) for key, value in content.items()}
    if 'input_size' in content:
        before = content['input_size'][0]
        for key in ('input_size', 'heatmap_size', 'in_featuremap_size'):
            if key in content:
                content[key] = tuple(max(round(size * side / before), 1) for size in content[key])
    return content
