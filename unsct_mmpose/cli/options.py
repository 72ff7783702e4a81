"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where this package lies in one."""


def require_checkout(command: str) -> None:
    """Refuse a command of this repository's research where only the wheel is installed.

    Raises:
        ValueError: no checkout is here.
    """
    if not (ROOT / 'unsct_mmpose' / 'research').is_dir():
        raise ValueError(
            f'{command} belongs to the research of the repository, which the installed package '
            'leaves out: run it in a checkout'
        )


def decimal(text: str) -> float:
    """Read a number with a decimal point."""
    from unsct_mmpose.dicom.spacing import read_number

    try:
        return read_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_actions(
    parser: argparse.ArgumentParser, rows: Iterable[tuple[str, Callable, str]]
) -> dict[str, argparse.ArgumentParser]:
    """Add actions, each a name, what does it (``args.work``) and a help; return their parsers."""
    actions = parser.add_subparsers(dest='action', required=True)
    for name, work, text in rows:
        actions.add_parser(name, help=text).set_defaults(work=work)
    return actions.choices


def options_from(record: type, args: argparse.Namespace, **others: Any) -> Any:
    """Return a record whose fields are the arguments of their names, but for the others."""
    names = {field.name for field in fields(record)} - others.keys()
    return record(**{name: getattr(args, name) for name in names if name in args}, **others)


def add_spacing(parser: argparse._ActionsContainer) -> None:
    """Add ``--spacing`` and ``--magnification``."""
    parser.add_argument(
        '--spacing', type=decimal, nargs=2, metavar=('X', 'Y'),
        help='width and height of a pixel of all images, mm at the detector',
    )  # fmt: skip
    parser.add_argument(
        '--magnification', type=decimal, metavar='M', help='of all images, detector over bone'
    )


def add_frame(parser: argparse._ActionsContainer) -> None:
    """Add ``--frame``."""
    parser.add_argument(
        '--frame', type=int, metavar='N', help='of files that hold several images: which, from 0'
    )


def add_device(parser: argparse.ArgumentParser, more: str = '') -> None:
    """Add ``--device``."""
    parser.add_argument(
        '--device', default='auto',
        help=f'auto, cpu, cuda or cuda:1; auto is CUDA where there is any{more}',
    )  # fmt: skip


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` of MMPose's tools, as words."""
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help="settings of the config to replace, as in MMPose's tools, such as "
        'model.head.decoder.mode=paper',
    )  # fmt: skip


def split_model(words: list[str]) -> tuple[list[str], list[str]]:
    """Split words into a model, CONFIG and CHECKPOINT or MODEL.onnx, and the rest.

    Example:
        >>> split_model(['a.py', 'a.pth', 'b.dcm']), split_model(['a.onnx', 'b.dcm'])
        ((['a.py', 'a.pth'], ['b.dcm']), (['a.onnx'], ['b.dcm']))
    """
    count = 1 if words[0].lower().endswith('.onnx') else 2
    return words[:count], words[count:]


def load_backend(model: list[str], device: str) -> Any:
    """Load the model of :func:`split_model` on the runtime that its file asks for."""
    missing = [name for name in model if not Path(name).is_file()]
    if missing:
        raise OSError(f'{missing[0]}: there is no such file')
    if len(model) == 1:
        from unsct_mmpose.inference.onnx_model import OnnxModel

        return OnnxModel(model[0], device=device)
    from unsct_mmpose.inference.torch_model import TorchBackend

    return TorchBackend(*model, device)


def print_index(root: Path) -> None:
    """Write the index of models of a checkout; print the paths."""
    from unsct_mmpose.research.model_index import write_model_index

    print(*write_model_index(root), sep='\n')
