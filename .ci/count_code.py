"""Count the code of this checkout, or of git revisions, as a Markdown table.

count_code.py [REVISION ...]     'checkout' is the working tree (default)
count_code.py --list [REVISION]  what stands behind the counts: which names, which pairs

Counted are unsct_mmpose and tools. The last row imports the package with this interpreter.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PREDICT = ('unsct_mmpose/inference/predict.py', 'unsct_mmpose/apis/predict.py')
"""Where the way from a file to its report begins, now and before."""
WINDOW = 40
"""Tokens that two functions must have in a row, names and all, to be a duplicate pair."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def count(root: Path) -> dict[str, list[str]]:
    """Return what stands behind each row of the table, one entry for each thing counted."""
    sources = {path: path.read_text('utf-8') for path in _files(root, 'unsct_mmpose', 'tools')}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    others = {path: ast.parse(path.read_text('utf-8')) for path in _files(root, 'configs')}
    lonely = list(_lonely(root, trees, others))
    return {
        'lines': [line for text in sources.values() for line in text.splitlines()],
        'files': [path.relative_to(root).as_posix() for path in sources],
        'records (dataclasses, named tuples)': list(_records(trees)),
        'public names that no other file uses': lonely,
        'of these, not even their own': [name for name in lonely if name.endswith(')')],
        'helpers whose name is defined more than once': list(_repeated(trees)),
        f'pairs of functions with {WINDOW} tokens in common': list(_pairs(root, sources, trees)),
        'modules imported to get from a file to its report': _on_the_way(root),
    }


def _files(root: Path, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (root / folder).rglob('*.py'))


def _records(trees: dict[Path, ast.Module]) -> Iterator[str]:
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                marks = [*node.decorator_list, *node.bases]
                if any(re.match(r'(dataclasses\.)?(dataclass|NamedTuple)\b', ast.unparse(mark))
                       for mark in marks):  # fmt: skip
                    yield node.name


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, Definition):
            yield node.name
        for target in getattr(node, 'targets', [getattr(node, 'target', None)]):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
                yield target.id


def _used(tree: ast.Module) -> set[str]:
    """Return names, attributes, imports, and strings that could be one, as configs have them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.alias):
            names.add(node.name.rsplit('.', 1)[-1])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.update([node.value] if node.value.isidentifier() else [])
    return names


def _lonely(root: Path, trees: dict, others: dict) -> Iterator[str]:
    """Yield the names that no other file uses, those that their own does not use either marked."""
    users = defaultdict(set)
    for path, tree in (trees | others).items():
        handed_on = path.name == '__init__.py'  # an import there is no use
        for name in _read(tree) if handed_on else _used(tree):
            users[name].add(path)
    for path, tree in trees.items():
        if path.is_relative_to(root / 'unsct_mmpose'):
            for name in _defined(tree):
                if not name.startswith('_') and not users[name] - {path}:
                    dead = '' if name in _read(tree) else ' (nor this one)'
                    yield f'{path.relative_to(root)}: {name}{dead}'


def _read(tree: ast.Module) -> set[str]:
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Load)}


def _repeated(trees: dict[Path, ast.Module]) -> Iterator[str]:
    homes = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, Function) and node.name.startswith('_'):
                homes[node.name].append(path.stem)
    for name, stems in sorted(homes.items()):
        if len(stems) > 1:
            yield f'{name}: {", ".join(stems)}'


def _pairs(root: Path, sources: dict[Path, str], trees: dict) -> Iterator[str]:
    """Yield pairs of functions that share a run of tokens; docstrings and comments are none."""
    owners: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, tree in trees.items():
        lines = sources[path].splitlines()
        for node in _functions(tree.body):
            body = node.body[ast.get_docstring(node) is not None :]
            text = '\n'.join(lines[body[0].lineno - 1 : node.end_lineno]) if body else ''
            tokens, name = _tokens(text), f'{path.relative_to(root)}: {node.name}'
            for start in range(len(tokens) - WINDOW + 1):
                owners[tuple(tokens[start : start + WINDOW])].append(name)
    pairs = {pair for names in owners.values() for pair in combinations(sorted(set(names)), 2)}
    yield from (f'{one} = {other}' for one, other in sorted(pairs))


def _functions(body: list[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, Function):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body)


def _tokens(text: str) -> list[str]:
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    tokens = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in layout:
                tokens.append(token.string)
    except (tokenize.TokenError, IndentationError):
        pass  # a body on the line of its header, or dedented text: what came before counts
    return [token for token in tokens if token]


def _on_the_way(root: Path) -> list[str]:
    """Import what predicts, in a process of its own, and return the project's modules there."""
    entry = next(path for path in PREDICT if (root / path).is_file())
    module = entry.removesuffix('.py').replace('/', '.')
    code = (
        f'import sys; sys.path.insert(0, {str(root)!r}); import {module}\n'
        "print(*sorted(name for name, module in sys.modules.items() if name.partition('.')[0] == "
        "'unsct_mmpose' and not module.__file__.endswith('__init__.py')))"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=root
    )
    return done.stdout.splitlines()[-1].split()


def of_revision(revision: str) -> dict[str, list[str]]:
    """Count a revision in a folder of its own, or the working tree."""
    if revision == 'checkout':
        return count(ROOT)
    archive = subprocess.run(
        ['git', 'archive', revision, 'unsct_mmpose', 'tools', 'configs'],
        capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter='data')
        return count(Path(folder))


def main() -> int:
    """Print the table, or what stands behind it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('revisions', nargs='*', default=['checkout'], metavar='REVISION')
    parser.add_argument('--list', action='store_true', help='name what is counted')
    args = parser.parse_args()
    columns = [of_revision(revision) for revision in args.revisions]
    if args.list:
        for name, entries in columns[0].items():
            if name != 'lines':
                print(f'\n{name}: {len(entries)}', *entries, sep='\n  ')
        return 0
    print('|', ' | '.join(['', *args.revisions]), '|')
    print('|---' * (1 + len(columns)) + '|')
    for name in columns[0]:
        print('|', ' | '.join([name, *(f'{len(column[name]):,}' for column in columns)]), '|')
    return 0


if __name__ == '__main__':
    sys.exit(main())
