import os

import pytest

from unsct_mmpose.apis.demo import best_checkpoint


def test_the_best_checkpoint_wins_over_the_last(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    assert best_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'
    for age, name in enumerate(['best_all_MRE_epoch_2.pth', 'best_all_MRE_epoch_1.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert best_checkpoint(tmp_path) == tmp_path / 'best_all_MRE_epoch_2.pth'


def test_a_folder_without_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint; train first'):
        best_checkpoint(tmp_path)
