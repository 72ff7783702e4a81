import os

import cv2
import numpy as np
import pytest

from unsct_mmpose.drawing.picture_files import write_picture
from unsct_mmpose.files import DistinctNames, replace_file, replacing_text


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
    assert [path.name for path in tmp_path.iterdir()] == ['x.csv']


@pytest.mark.parametrize(('paths', 'names'), [
    (['a/x.dcm', 'b/y.dcm'], ['x', 'y']),
    (['a/x.dcm', 'b/x.dcm', 'c/b/x.dcm'], ['x', 'b_x', 'c_b_x']),
    (['/a/x.dcm', '/a/x.png', '/a/x.jpg'], ['x', 'a_x', 'a_x_jpg']),
    (['x', 'x.dcm', 'x.png', 'X.png'], ['x', 'x_dcm', 'x_png', 'X_png_2']),
    (['a/b_x.dcm', 'x.dcm', 'b/x.dcm', 'b/x.png'], ['b_x', 'x', 'b_x_dcm', 'b_x_png']),
    (['a/x.dcm', './a/x.dcm', 'a/../a/x.dcm'], ['x', 'x', 'x']),
])  # fmt: skip
def test_every_file_has_a_name_that_no_other_one_has(paths, names):
    given = DistinctNames(paths)
    assert [given.name(path) for path in paths] == names
    assert [given.name(path) for path in reversed(paths)] == names[::-1]  # whoever asks first


def test_a_picture_keeps_its_format_and_another_file_gets_one(tmp_path):
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for asked, written in (('a.bmp', 'a.bmp'), ('a.dcm', 'a.dcm.png'), ('1.2.840', '1.2.840.png')):
        path = write_picture(tmp_path / 'new' / asked, picture)
        assert path == tmp_path / 'new' / written
        np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], picture)
