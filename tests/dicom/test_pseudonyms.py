import os
import re

import pytest

from unsct_mmpose.dicom.pseudonyms import Pseudonyms, read_key


def test_names_hold_nothing_of_what_they_stand_for():
    names = Pseudonyms(b'secret')
    assert re.fullmatch(r'p[0-9a-f]{12}', names.patient('4711'))
    assert re.fullmatch(r'[0-9a-f]{10}', names.image('4711'))


def test_kinds_patients_and_keys_give_different_names():
    found = {
        name
        for key in (b'a', b'b')
        for text in ('1', '2')
        for name in (Pseudonyms(key).patient(text)[1:11], Pseudonyms(key).image(text))
    }
    assert len(found) == 8
    assert Pseudonyms(b'a').fingerprint() != Pseudonyms(b'b').fingerprint()


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / 'deep' / 'hips.key'
    key = read_key(path)
    assert read_key(path) == key and len(key) == 32 != read_key(tmp_path / 'other.key')
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ['hips.key']


@pytest.mark.parametrize('content', [b'', b'hello', b'\xff\xfe', b'abcd'])
def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path, content):
    path = tmp_path / 'thesis.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='no key in it'):
        read_key(path)
    assert path.read_bytes() == content
