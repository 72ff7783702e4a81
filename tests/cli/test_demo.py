from pathlib import Path

import pytest

from unsct_mmpose.cli import demo, main
from unsct_mmpose.research.experiment import Experiment


@pytest.fixture
def ended(monkeypatch):
    """Let a tool that runs in this process return, or exit with, a status."""

    def let(status, exits):
        def tool(arguments, prog=None):
            calls.append(arguments)
            if exits:
                raise SystemExit(status)
            return status

        monkeypatch.setattr(main, 'main', tool)
        return calls

    calls = []
    return let


@pytest.mark.parametrize(('status', 'exits'), [(0, False), (0, True), (None, True)])
def test_a_tool_runs_in_this_process(ended, status, exits):
    calls = ended(status, exits)
    assert demo.run_here(['tools/make_phantom.py', '--out', 'here']) >= 0
    assert demo.run_here(['tools/test.py', 'c.py']) >= 0
    assert calls == [['phantom', '--out', 'here'], ['test', 'c.py']]


@pytest.mark.parametrize(('status', 'exits'), [(1, False), (2, True), ('no data', True)])
def test_a_tool_that_fails_is_named_with_its_command(ended, status, exits):
    ended(status, exits)
    with pytest.raises(RuntimeError, match=r'from: python tools/train\.py c\.py'):
        demo.run_here(['tools/train.py', 'c.py'])


@pytest.mark.parametrize('status', [130, 143])
def test_an_interrupted_tool_interrupts_the_demo(ended, status):
    ended(status, exits=True)
    with pytest.raises(KeyboardInterrupt):
        demo.run_here(['tools/train.py', 'c.py'])


def test_only_the_short_demo_starts_from_weights():
    short, full = (
        Experiment(kind.config, Path(), Path(), '', '') for kind in (demo.SHORT, demo.FULL)
    )
    assert demo.start_of(full) is None
    start = demo.start_of(short)
    assert start.parent.resolve() == demo.SHORT.config.parent.resolve()
    assert start.stem == 'unsct_hrnet_tha_cpu_epoch_12'
