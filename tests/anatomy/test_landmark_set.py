import copy
import json
import pickle

import pytest

from unsct_mmpose.anatomy import (
    FLIP_INDICES,
    HIP,
    LANDMARK_CLASSES,
    LANDMARK_NAMES,
    LandmarkSet,
    RelationSet,
    landmark_set,
    relation_set,
)

FACE = dict(
    name='face',
    names=['nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'chin'],
    pairs=[['left_eye', 'right_eye'], ['right_ear', 'left_ear']],
    relations=dict(
        full=[
            ['nose', 'left_eye'], ['nose', 'right_eye'], ['left_eye', 'right_eye'],
            ['nose', 'chin'], ['left_eye', 'right_ear'], ['left_ear', 'right_eye'],
        ]
    ),
    normalise_by=[['left_eye', 'right_eye'], ['nose', 'chin', 0.5]],
)  # fmt: skip


def face(**changes):
    return LandmarkSet.from_dict({**copy.deepcopy(FACE), **changes})


def test_the_hip_is_the_set_that_the_constants_describe():
    assert len(HIP) == 24
    assert HIP.names == LANDMARK_NAMES
    assert HIP.flip_indices == FLIP_INDICES
    assert HIP.relation_set('full') is relation_set('full')
    assert HIP.clinical
    assert HIP.class_names == tuple(each.name for each in LANDMARK_CLASSES)
    assert HIP.classes == tuple((k, k + 12) for k in range(12))
    assert HIP.labels[:2] + HIP.labels[-2:] == ('1L', '2L', '11R', '12R')
    assert HIP.descriptions[17] == 'Center of the femoral head'


@pytest.mark.parametrize('known', [HIP, face()], ids=['hip', 'face'])
def test_a_set_survives_json_pickle_and_copying(known):
    assert LandmarkSet.from_dict(json.loads(json.dumps(known.to_dict()))) == known
    assert pickle.loads(pickle.dumps(known)) == known
    assert copy.deepcopy(known) == known
    assert hash(copy.deepcopy(known)) == hash(known)


def test_landmarks_without_a_twin_mirror_into_themselves():
    found = face()
    assert found.flip_indices == (0, 2, 1, 4, 3, 5)
    assert found.classes == ((0,), (1, 2), (3, 4), (5,))
    assert found.class_names == ('nose', 'eye', 'ear', 'chin')
    assert found.class_indices == (0, 1, 1, 2, 2, 3)
    assert [found.side_of(k) for k in range(3)] == [None, 'left', 'right']
    assert found.labels == ('1', '2L', '2R', '3L', '3R', '4')
    assert found.descriptions[1] == 'Eye'
    assert found.reference_pairs == ((1, 2, 1.0), (0, 5, 0.5))
    assert not found.clinical


def test_relations_mirror_by_the_sets_own_landmarks():
    relations = face().relation_set('full')
    # nose-eye swaps with the other eye's; nose-chin is its own image, running the same way;
    # eye-eye is its own image, running the other way; the last two are each other's, reversed
    assert relations.flip_indices == (1, 0, 2, 3, 5, 4)
    assert relations.is_cross == (False, False, True, False, True, True)
    flips = relations.landmark_flips
    for index, (tail, head) in enumerate(relations.pairs):
        mirrored = relations.pairs[relations.flip_indices[index]]
        expected = flips[tail], flips[head]
        assert mirrored == (expected[::-1] if relations.is_cross[index] else expected)


def test_a_mirrored_field_is_the_field_of_the_mirrored_landmarks():
    torch = pytest.importorskip('torch')
    from unsct_mmpose.maps.paf import draw_paf, flip_paf

    found = face()
    relations = found.relation_set('full')
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1, len(found), 2, generator=generator) * 20 + 5
    mirrored = points[:, list(found.flip_indices)].clone()
    mirrored[..., 0] = 31 - mirrored[..., 0]
    shown = torch.ones(1, len(found), dtype=torch.bool)
    fields = draw_paf(points, shown, relations.pairs, (32, 32))
    of_mirrored = draw_paf(mirrored, shown, relations.pairs, (32, 32))
    back = flip_paf(of_mirrored, relations.flip_indices, relations.is_cross)
    torch.testing.assert_close(back, fields)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(names=[*FACE['names'], 'nose']), r"'names' .*\['nose'\] more than once"),
        (
            dict(names=[], pairs=[], relations={}, normalise_by=[]),
            "'names' holds no names; list the names",
        ),
        (dict(pairs=[['left_eye', 'right_eye'], ['left_eye', 'chin']]), 'paired already'),
        (dict(pairs=[['nose', 'nose']]), 'cannot mirror each other'),
        (dict(pairs=[['nose', 'mouth']]), r"'pairs' holds \['nose', 'mouth'\]; give two names"),
        (dict(relations={}), "'relations' is empty; give at least 'full'"),
        (dict(relations=dict(full=[])), "'relations.full' is empty"),
        (dict(relations=dict(full=[['nose', 'mouth']])), "'relations.full' holds"),
        (dict(relations=dict(full=[['nose', 'nose']])), 'join two landmarks'),
        (dict(relations=dict(full=[['nose', 'left_eye']])), r"lacks \['nose', 'right_eye'\].*add"),
        (dict(relations=dict(full=[['nose', 'chin']] * 2)), 'list each relation once'),
        (dict(labels=['a', 'b']), "'labels' has 2 entries; give one for each of the 6"),
        (dict(sigmas=[0.1]), "'sigmas' has 1 entries"),
        (dict(normalise_by=[['nose', 'chin', 0.0]]), 'positive factor'),
        (dict(colour='red'), "unknown field 'colour'; the fields are"),
        (
            dict(
                names=[*FACE['names'][:5], 'eye'],
                normalise_by=[],
                relations=dict(full=[['nose', 'eye']]),
            ),
            'gives two classes one name',
        ),
    ],
)
def test_what_contradicts_itself_is_refused_with_field_and_cure(changes, message):
    with pytest.raises(ValueError, match=message):
        face(**changes)


def test_a_set_that_is_built_by_hand_is_checked_too():
    relations = dict(full=RelationSet('full', ((0, 1),), (0, 1)))
    with pytest.raises(ValueError, match=r"'flip_indices' mirrors 'a' into 1, which is not"):
        LandmarkSet('two', ('a', 'b'), (1, 1), relations)
    with pytest.raises(ValueError, match=r"'relations.full' is of other landmarks"):
        LandmarkSet('two', ('a', 'b'), (1, 0), relations)
    with pytest.raises(ValueError, match=r"'flip_indices' has 1 entries"):
        LandmarkSet('two', ('a', 'b'), (0,), relations)


def test_a_set_is_found_by_name_file_and_content(tmp_path):
    path = tmp_path / 'face.json'
    path.write_text(json.dumps(FACE))
    assert landmark_set('hip') is HIP
    assert landmark_set(path) == landmark_set(str(path)) == landmark_set(FACE) == face()
    assert landmark_set(HIP) is HIP
    with pytest.raises(ValueError, match=r"unknown landmarks 'knee'; give one of \['hip'\]"):
        landmark_set('knee')
    path.write_text('{"name": "face"')
    with pytest.raises(ValueError, match=r'face\.json: invalid JSON'):
        landmark_set(path)
    path.write_text('{"name": "face"}')
    with pytest.raises(ValueError, match=r"face\.json: field 'names' is missing"):
        landmark_set(path)
    path.write_text('[]')
    with pytest.raises(ValueError, match=r'face\.json: holds no mapping'):
        landmark_set(path)


def test_landmarks_and_relations_are_found_by_name():
    found = face()
    assert found.index_of('chin') == 5
    with pytest.raises(KeyError, match='the 6 of'):
        found.index_of('mouth')
    with pytest.raises(ValueError, match=r"'core' of the landmarks 'face'; choose from \['full'\]"):
        found.relation_set('core')
    HIP.require_clinical('a metric')
    with pytest.raises(ValueError, match=r"a metric needs .*'hip', not on 'face'"):
        found.require_clinical('a metric')
