"""Models by name: what the metafiles of this package hold, for MMPose and for scripts.

``model-index.yml`` names the metafiles, in OpenMMLab's own format; ``tools/model_index.py`` writes
them. MMPose looks a name up in its own index only: :func:`register_names` lets it go on to this
one. Released weights are named ``unsct://NAME`` wherever MMEngine takes a checkpoint, and their
hash is compared before they are loaded.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config
from mmengine.infer import BaseInferencer
from mmengine.runner import CheckpointLoader

from unsct_mmpose.files import file_sha256

INDEX = 'model-index.yml'
SCHEME = 'unsct://'
"""Prefix of released weights, in the place of a path: ``unsct://unsct-hrnet-tha``."""

_HOST = 'mmpose'
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ZooModel:
    """A model that has a name.

    Attributes:
        name: its name in the metafile: that of its config.
        aliases: other names.
        config: its config.
        weights: its released weights; None where there are none.
        sha256: of the file of the weights; None where there are none.
        record: all that its metafile says, results on simulated radiographs among it.
    """

    name: str
    aliases: tuple[str, ...]
    config: Path
    weights: Path | None
    sha256: str | None
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def checkpoint(self) -> str:
        """The weights as MMEngine takes them, ``'unsct://NAME'``: checked when they are loaded.

        Raises:
            ValueError: the model has no released weights.
        """
        if self.weights is None:
            raise ValueError(
                f'{self.name} has no released weights: train {self.config}, and give the '
                f'checkpoint. Weights are released of {_released()}.'
            )
        return f'{SCHEME}{self.name}'

    def checked_weights(self) -> Path:
        """Return the file of the weights, after a look at its hash.

        Raises:
            ValueError: there are none, or the file is not the one that was released.
        """
        _ = self.checkpoint
        assert self.weights is not None
        digest = file_sha256(self.weights)
        if digest != self.sha256:
            raise ValueError(
                f'{self.weights}: its sha256 is {digest}, and field SHA256 of {self.name} in the '
                f'metafile beside it says {self.sha256}. Fetch the file again; after a change on '
                'purpose run `python tools/model_index.py`.'
            )
        return self.weights


def list_models() -> tuple[ZooModel, ...]:
    """Return all models that have a name, in the order of the index.

    Raises:
        FileNotFoundError: the package was installed without its configs.
    """
    return _read_index(_index_folder())


def find_model(name: str) -> ZooModel:
    """Find a model by its name.

    Args:
        name: name or alias of a model, in any case, with or without ``unsct://``.

    Raises:
        ValueError: there is no such model; the message has the names that come near.

    Example::

        entry = find_model('unsct-hrnet-tha')
        model = mmpose.apis.init_model(entry.config, entry.checkpoint, device='cpu')
    """
    model = _lookup().get(_plain(name))
    if model is None:
        advice = _advice(_plain(name), [*_lookup()])
        raise ValueError(f'unsct_mmpose has no model {name!r}; {advice}')
    return model


def load_from_unsct(filename: str, map_location: Any = None) -> Any:
    """Load released weights by name; MMEngine calls this for what starts with ``unsct://``.

    Raises:
        ValueError: there is no such model, it has no weights, or their hash is another.
    """
    return CheckpointLoader.load_checkpoint(
        str(find_model(filename).checked_weights()), map_location
    )


def register_names() -> None:
    """Let MMPose find the models of this package by name; calling again changes nothing.

    ``MMPoseInferencer('unsct-hrnet-tha')``, ``get_model_aliases`` and ``list_models`` know them
    beside MMPose's own. An unknown name is answered with the names that come near.
    """
    CheckpointLoader.register_scheme(SCHEME[:-1], load_from_unsct, force=True)
    if not getattr(BaseInferencer, 'knows_unsct_models', False):
        BaseInferencer.knows_unsct_models = True
        _extend_listing()
        _extend_lookup()


def _extend_listing() -> None:
    original = BaseInferencer._get_models_from_metafile

    @functools.wraps(original)
    def models(dir: str) -> Iterator[dict[str, Any]]:
        yield from original(dir)
        if Path(dir) == Path(BaseInferencer._get_repo_or_mim_dir(_HOST)):
            yield from (_host_record(model) for model in list_models())

    BaseInferencer._get_models_from_metafile = staticmethod(models)


def _extend_lookup() -> None:
    original = BaseInferencer._load_model_from_metafile

    @functools.wraps(original)
    def load_model_from_metafile(self: Any, model: str) -> tuple[Config, str]:
        if self.scope == _HOST and (entry := _lookup().get(_plain(model))):
            return Config.fromfile(entry.config), f'{SCHEME}{entry.name}'
        try:
            return original(self, model)
        except ValueError as error:
            if self.scope != _HOST:
                raise
            raise ValueError(f'{error}; {_advice(model.lower(), _host_names())}') from None

    BaseInferencer._load_model_from_metafile = load_model_from_metafile


def _host_record(model: ZooModel) -> dict[str, Any]:
    """Return a record as MMPose reads its own, with a path that needs no folder before it."""
    return {**model.record, 'Config': str(model.config), 'Weights': f'{SCHEME}{model.name}'}


def _host_names() -> list[str]:
    folder = BaseInferencer._get_repo_or_mim_dir(_HOST)
    names = []
    for record in BaseInferencer._get_models_from_metafile(folder):
        aliases = record.get('Alias', [])
        names += [record['Name'], *([aliases] if isinstance(aliases, str) else aliases)]
    return names


def _advice(name: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, choices, n=4, cutoff=0.5)
    if near:
        return 'did you mean ' + ' or '.join(map(repr, near)) + '?'
    return f'no name comes near; weights are released of {_released()}'


def _released() -> str:
    return ', '.join(
        repr((*model.aliases, model.name)[0]) for model in list_models() if model.weights
    )


def _plain(name: str) -> str:
    return str(name).lower().removeprefix(SCHEME[:-1]).removeprefix('/')


def _lookup() -> dict[str, ZooModel]:
    return {name.lower(): model for model in list_models() for name in (model.name, *model.aliases)}


def _index_folder() -> Path:
    """Return the folder of the index: in the installed package, or the checkout."""
    places = (_PACKAGE / '.mim', _PACKAGE.parent)
    for place in places:
        if (place / INDEX).is_file():
            return place
    raise FileNotFoundError(
        f'{INDEX} is neither in {places[0]} nor in {places[1]}: unsct_mmpose was installed without '
        'its configs. Install its wheel, or use a whole checkout.'
    )


@functools.lru_cache(maxsize=4)
def _read_index(folder: Path) -> tuple[ZooModel, ...]:
    index = yaml.safe_load((folder / INDEX).read_text('utf-8'))
    return tuple(
        _model(folder, record)
        for path in index['Import']
        for record in yaml.safe_load((folder / path).read_text('utf-8'))['Models']
    )


def _model(folder: Path, record: Mapping[str, Any]) -> ZooModel:
    weights = record.get('Weights File')
    return ZooModel(
        name=record['Name'],
        aliases=tuple(record.get('Alias', ())),
        config=folder / record['Config'],
        weights=None if weights is None else folder / weights,
        sha256=record.get('SHA256'),
        record=record,
    )
