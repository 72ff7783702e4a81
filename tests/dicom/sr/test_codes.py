from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from unsct_mmpose.anatomy import LANDMARK_CLASSES
from unsct_mmpose.anatomy.parameters import PARAMETERS
from unsct_mmpose.dicom.sr import codes as sr_codes


def every_code():
    for value in vars(sr_codes).values():
        found = value.values() if isinstance(value, dict) else [value]
        yield from (entry for entry in found if isinstance(entry, Code))


def test_everything_that_can_be_measured_has_a_code():
    assert sr_codes.MEASUREMENTS.keys() == set(PARAMETERS)
    numbers = {landmark.number for landmark in LANDMARK_CLASSES}
    assert sr_codes.LANDMARKS.keys() == sr_codes.LANDMARK_SITES.keys() == numbers


def test_a_code_of_a_public_scheme_is_one_that_pydicom_lists():
    listed = {
        (code.scheme_designator, code.value)
        for scheme in (codes.DCM, codes.SCT, codes.UCUM, codes.LN)
        for code in (getattr(scheme, name) for name in dir(scheme))
        if isinstance(code, Code)
    }
    public = [code for code in every_code() if code.scheme_designator != sr_codes.SCHEME]
    assert len(public) > 30
    assert {(code.scheme_designator, code.value) for code in public} <= listed


def test_codes_fit_their_value_representations_and_mean_one_thing():
    own = {}
    for code in every_code():
        assert 0 < len(code.value) <= 16 and 0 < len(code.meaning) <= 64
        if code.scheme_designator == sr_codes.SCHEME:
            assert own.setdefault(code.value, code.meaning) == code.meaning
    values = [code.value for code in sr_codes.MEASUREMENTS.values()]
    assert len(set(values)) == len(values)
