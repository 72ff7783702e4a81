import math
import warnings

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from unsct_mmpose.dicom.header import code, number, numbers, values


def _raw(keyword_tag, vr, content):
    """A data set whose element pydicom has not converted yet, as after reading a file."""
    dataset = Dataset()
    tag = Tag(keyword_tag)
    dataset._dict[tag] = RawDataElement(tag, vr, len(content), content, 0, False, True)
    return dataset


def test_a_missing_and_an_empty_element_have_no_values():
    dataset = Dataset()
    dataset.PixelSpacing = None
    assert values(dataset, 'PixelSpacing') == values(dataset, 'WindowCenter') == []
    dataset.ViewPosition = ''
    assert values(dataset, 'ViewPosition') == []


def test_one_value_and_several_values_are_lists():
    dataset = Dataset()
    dataset.WindowCenter = [40, 80]
    dataset.WindowWidth = 400
    assert numbers(dataset, 'WindowCenter') == [40, 80]
    assert numbers(dataset, 'WindowWidth') == [400]


def test_text_where_a_number_belongs_is_no_number():
    dataset = _raw(0x00181110, 'DS', b'one metre ')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert number(dataset, 'DistanceSourceToDetector') is None


@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_what_is_not_finite_is_no_number(value):
    dataset = Dataset()
    dataset.RealWorldValueIntercept = value
    assert number(dataset, 'RealWorldValueIntercept') is None


def test_codes_come_in_capitals_and_free_text_does_not_pass():
    dataset = Dataset()
    dataset.ImageComments = 'Mrs. Miller, left'
    assert code(dataset, 'ImageComments') is None
    dataset.ImageComments = 'ap '
    assert code(dataset, 'ImageComments') == 'AP'
