"""The page of the paper's claims names what is there, and its numbers are those of the configs."""

import ast
import re
from pathlib import Path
from unittest.mock import patch

import pytest
from mmengine.config import Config

from unsct_mmpose.research.flatten_config import content_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/explanation/paper.md'
CONFIGS = dict(
    Strict=ROOT / 'configs/paper/unsct_hrnet_paper.py', Entry=ROOT / 'configs/unsct_hrnet_tha.py'
)
PIPELINE = 'train_dataloader.dataset.pipeline'
PLACED = re.compile(r'\[([^]]+)\]\(([^)#]*)(#[^)]*)?\)')
SECTIONS = (
    '3.1', '3.2.1', '3.2.2', '3.2.3', '3.3', '3.4', '3.5', '4.1.1', '4.1.2', '4.2', '4.3.1',
    '4.3.2',
)  # fmt: skip
"""Sections of the paper that say what is done or found."""

PLUMBING = (
    'codec', 'data_root', 'dataset_info', 'default_scope', 'custom_imports', 'custom_hooks',
    'default_hooks', 'visualizer', 'env_cfg', 'log_processor', 'log_level', 'load_from', 'resume',
    'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator', 'val_cfg', 'test_cfg',
    'auto_scale_lr', 'train_cfg.by_epoch', 'dataset_type', 'data_mode', 'input_size',
    'model.type', 'model.data_preprocessor.type', 'model.data_preprocessor.bgr_to_rgb',
    'model.backbone.in_channels', 'model.head.type', 'model.head.in_channels',
    'model.head.relations',
    'train_dataloader.num_workers', 'train_dataloader.persistent_workers',
    'train_dataloader.sampler', 'train_dataloader.dataset.type',
    'train_dataloader.dataset.data_root', 'train_dataloader.dataset.data_mode',
    'train_dataloader.dataset.require_spacing', 'train_dataloader.dataset.data_prefix',
    'train_dataloader.dataset.ann_file', 'train_dataloader.dataset.disjoint_from',
    f'{PIPELINE}.LoadRadiograph', f'{PIPELINE}.PackPoseInputs', f'{PIPELINE}.GenerateTarget',
    f'{PIPELINE}.RadiographAffine', f'{PIPELINE}.GetBBoxCenterScale.type',
    f'{PIPELINE}.RandomFlip.type',
)  # fmt: skip
"""What names data, files, hooks and parts, or repeats what is said elsewhere in the config."""


def tables():
    """Return each table of the page as rows by column, under its first heading."""
    found, lines = {}, PAGE.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith('|---'):
            columns = cells(lines[number - 1])
            rows = []
            for below in lines[number + 1 :]:
                if not below.startswith('|'):
                    break
                assert len(cells(below)) == len(columns), below
                rows.append(dict(zip(columns, cells(below), strict=True)))
            found[columns[0], columns[1]] = rows
    return found


def cells(line):
    return [cell.strip() for cell in line.strip('|').split(' | ')]


CLAIMS = tables()['The paper', 'Code']
GIVEN = tables()['The paper', 'Setting']
OPEN = tables()['Setting', 'Value']
DEVIATIONS = tables()['In the entry config', 'Settings']


# What is named is there


def defined(name, text):
    return re.search(rf'^ *(async )?(def|class) {name}\b|^{name}\b *[:=]', text, re.MULTILINE)


def anchors(path):
    heads = re.findall(r'^#+ (.*)$', path.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', head.lower()).replace(' ', '-') for head in heads}


def test_every_link_of_the_page_leads_to_a_file_a_name_in_it_or_a_heading():
    links = PLACED.findall(PAGE.read_text())
    assert len(links) > 100
    for shown, target, anchor in links:
        path = (PAGE.parent / target).resolve() if target else PAGE
        assert path.exists(), target
        if anchor:
            assert anchor[1:] in anchors(path), (target, anchor)
        name = re.fullmatch(r'`(\w+)`', shown)
        if name and path.suffix == '.py' and name[1] != path.stem:
            assert defined(name[1], path.read_text()), (target, name[1])


@pytest.mark.parametrize('row', CLAIMS, ids=[row['The paper'][:30] for row in CLAIMS])
def test_every_claim_has_code_a_test_and_a_reading(row):
    code = [target for _, target, _ in PLACED.findall(row['Code'])]
    tests = [target for _, target, _ in PLACED.findall(row['Test'])]
    assert code and all('/unsct_mmpose/' in link or '/configs/' in link for link in code)
    assert tests and all('/tests/' in test for test in tests)
    assert row['Our reading; where we deviate']


def numbers(pattern):
    """Return the numbers that stand in the first column after a word, lists and ranges too."""
    found = set()
    for row in CLAIMS:
        for words in re.findall(pattern, row['The paper']):
            ends = [int(number) for number in re.findall(r'\d+', words)]
            found |= set(range(ends[0], ends[-1] + 1) if ' to ' in words else ends)
    return found


def test_every_equation_table_figure_and_section_has_a_row():
    assert numbers(r'eq\. ((?:\(\d+\)(?:, )?)+)') == set(range(1, 12))
    assert numbers(r'Tables? (\d+(?:(?:, | to )\d+)*)') == set(range(1, 6))
    assert numbers(r'Figures? (\d+)') == set(range(1, 10))
    named = ' '.join(row['The paper'] for row in CLAIMS)
    for section in SECTIONS:
        assert re.search(rf'(?<![\d.]){re.escape(section)}(?![\d.]\d)', named), section


# The numbers are those of the configs


@pytest.fixture(scope='module')
def found():
    """Return what each config says, lists of parts by their types."""
    with pytest.MonkeyPatch.context() as patched, patch('torch.cuda.is_available', lambda: True):
        patched.delenv('UNSCT_DATA', raising=False)
        patched.setenv('CUDA_VISIBLE_DEVICES', '0')
        return {name: by_type(content_of(Config.fromfile(path))) for name, path in CONFIGS.items()}


def by_type(value):
    if isinstance(value, dict):
        return {key: by_type(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and all(isinstance(inner, dict) for inner in value):
        return {inner['type']: by_type(inner) for inner in value}
    return value


def leaves(value, name=''):
    """Return dotted names and values."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    found = {}
    for key, inner in value.items():
        found |= leaves(inner, f'{name}.{key}'.lstrip('.'))
    return found


def look_up(config, setting):
    for word in spelled(setting).split('.'):
        config = config.get(word, {}) if isinstance(config, dict) else None
    return config


def spelled(setting):
    return re.sub(r'^pipeline\b', PIPELINE, setting)


def settings(cell):
    return [spelled(text) for text in re.findall(r'`([^`]+)`', cell)]


def below(name, setting):
    return name == setting or name.startswith(f'{setting}.')


def differences(first, second):
    """Return names of what one config has otherwise than another, a missing branch as a whole."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return [] if first == second else ['']
    return [
        f'{key}.{name}'.rstrip('.')
        for key in sorted({*first, *second})
        for name in differences(first.get(key), second.get(key))
    ]


@pytest.mark.parametrize('row', GIVEN, ids=[row['Setting'] for row in GIVEN])
@pytest.mark.parametrize('column', CONFIGS)
def test_what_the_paper_gives_is_the_default_or_a_deviation_that_is_listed(found, row, column):
    (setting,) = settings(row['Setting'])
    value = ast.literal_eval(row['Value'].strip('`'))
    same = look_up(found[column], setting) == value
    assert same == (row[column] == 'same'), look_up(found[column], setting)
    if not same:
        assert (column, row[column]) == ('Entry', 'deviates'), 'the strict config has no deviation'
        listed = [setting for line in DEVIATIONS for setting in settings(line['Settings'])]
        assert any(below(name, setting) for name in listed)


@pytest.mark.parametrize('row', OPEN, ids=[row['Setting'] for row in OPEN])
@pytest.mark.parametrize('column', CONFIGS)
def test_what_the_paper_leaves_open_has_the_value_of_the_page(found, row, column):
    (setting,) = settings(row['Setting'])
    value = look_up(found[column], setting)
    wanted = ast.literal_eval(row['Value'].strip('`'))
    assert (list(value) if isinstance(value, tuple) else value) == (
        list(wanted) if isinstance(wanted, tuple) else wanted
    )


def test_the_deviations_of_the_page_are_those_of_the_configs(found):
    different = set(differences(found['Entry'], found['Strict']))
    listed = [setting for row in DEVIATIONS for setting in settings(row['Settings'])]
    assert len(set(listed)) == len(listed)
    assert sorted(different) == sorted(listed)


def test_no_setting_of_the_strict_config_is_passed_over(found):
    known = [setting for row in GIVEN + OPEN for setting in settings(row['Setting'])]
    known += [setting for row in DEVIATIONS for setting in settings(row['Settings'])]
    known += [*PLUMBING, 'model.head.decoder', 'model.backbone.extra']  # the codec; HRNet-W32
    unsaid = [name for name in leaves(found['Strict']) if not any(below(name, k) for k in known)]
    assert unsaid == []


WORDS = {
    'rotation up to (.*) degrees': f'{PIPELINE}.RandomBBoxTransform.rotate_factor',
    'scaling by (.*)': f'{PIPELINE}.RandomBBoxTransform.scale_factor',
    'warm-up, (.*) steps': 'param_scheduler.LinearLR.end',
    'two steps down, after epochs (.*)': 'param_scheduler.MultiStepLR.milestones',
    'clipped at (.*)': 'optim_wrapper.clip_grad.max_norm',
    'coarse loss, weight (.*)': 'model.head.intermediate_weight',
}


@pytest.mark.parametrize(('words', 'setting'), WORDS.items())
def test_the_numbers_in_words_are_those_of_the_entry_config(found, words, setting):
    named = [match for row in DEVIATIONS if (match := re.search(words, row['In the entry config']))]
    value = look_up(found['Entry'], setting)
    value = list(value) if isinstance(value, (list, tuple)) else [value]
    (match,) = named
    stated = re.findall(r'\d+(?:\.\d+)?', match[1].split(',')[0].split(';')[0])
    assert [float(number) for number in stated] == [float(number) for number in value]
