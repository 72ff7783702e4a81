"""What the tools are shells of: demonstration, benchmarks, results, phantom data sets.

``find_model`` and ``list_models`` are at hand here too; they need MMPose, other modules do not.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ('find_model', 'list_models'):
        from unsct_mmpose.engine import model_zoo

        return getattr(model_zoo, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
