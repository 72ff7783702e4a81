import os

import pytest

from unsct_mmpose.imaging.files import replace_file, replacing_text


def test_the_file_holds_the_content_and_nothing_else_stays(tmp_path):
    target = tmp_path / 'a.bin'
    target.write_bytes(b'old')
    replace_file(target, b'new')
    assert target.read_bytes() == b'new'
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    target = tmp_path / 'a.bin'
    target.write_bytes(b'old')

    def fail(source, destination):
        assert os.path.dirname(source) == os.path.dirname(destination)
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        replace_file(target, b'new')
    assert target.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / 'nowhere' / 'a.bin', b'')


def test_a_text_appears_when_it_is_whole_and_not_when_writing_fails(tmp_path):
    path = tmp_path / 'x.csv'
    path.write_text('old')
    with pytest.raises(RuntimeError), replacing_text(path) as file:
        file.write('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    with replacing_text(path) as file:
        file.write('né')
        assert path.read_text() == 'old'
    assert path.read_bytes() == 'né'.encode()
    assert [one.name for one in tmp_path.iterdir()] == ['x.csv']
