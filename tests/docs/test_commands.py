"""Every command line that README and docs show is one that its parser takes."""

import argparse
import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest

from unsct_mmpose.cli.main import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *ROOT.glob('configs/*.md'), *sorted(ROOT.glob('docs/**/*.md'))]
LAUNCHED = {
    tool.name: re.search(r"launch\('(.+)'\)", tool.read_text())[1]
    for tool in (ROOT / 'tools').glob('[a-z]*.py')
}
LINE = re.compile(r'(?:^|[\s("])(?:unsct|(?:python3? |\d )tools/([a-z_]+\.py))(?: (.*)|$)')
"""A command; a launcher follows python, or a number of processes."""


def shown(page):
    """Yield the lines of a page that may be commands, and whether each is whole."""
    text = page.read_text()
    for block in re.findall(r'^```\w*\n(.*?)^```', text, re.DOTALL | re.MULTILINE):
        yield from ((line, '...' not in line) for line in block.replace('\\\n', ' ').split('\n'))
    prose = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    yield from ((quoted, False) for quoted in re.findall(r'`([^`\n]+)`', prose))


def lines():
    for page in PAGES:
        for line, whole in shown(page):
            if match := LINE.search(line):
                words = shlex.split(re.sub(r'[][]|\)".*|>.*', '', match[2] or ''), comments=True)
                words = [word for word in words if word != '...']
                command = [LAUNCHED[match[1]]] if match[1] else []
                yield page.relative_to(ROOT).as_posix(), whole, [*command, *words]


def forgive(parser):
    """Let a parser take a part of a command line, with names where numbers belong."""
    for action in parser._actions:
        action.required, action.type = False, None
        action.nargs = '?' if action.option_strings and action.nargs is None else action.nargs
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                forgive(child)
        elif not action.option_strings and action.nargs != argparse.REMAINDER:
            action.nargs, action.choices = '*', None


LINES = list(lines())


@pytest.mark.parametrize(('page', 'whole', 'words'), LINES)
def test_a_command_line_parses(page, whole, words):
    if not words or words[0] in ('--help', 'COMMAND', 'train', 'test'):  # the last are MMPose's
        return
    assert words[0] in COMMANDS, page
    parser = build_parser(words[0])
    if not whole:
        forgive(parser)
    parser.parse_args(words) if '--help' not in words else None


def test_every_command_is_shown_somewhere():
    assert {words[0] for _, _, words in LINES if words} >= set(COMMANDS) - {'run', 'demo'}


PROGRAMS = [
    (page.relative_to(ROOT).as_posix(), program)
    for page in PAGES
    for program in re.findall(r'```python\n(.*?)```', page.read_text('utf-8'), re.S)
]


@pytest.mark.parametrize(('page', 'program'), PROGRAMS, ids=[page for page, _ in PROGRAMS])
def test_what_the_python_of_a_page_imports_is_there(page, program):
    imports = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ImportFrom)]
    for node in imports:
        module = importlib.import_module(node.module)
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
