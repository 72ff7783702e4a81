"""The server as people meet it: a real browser, a real model, a simulated radiograph.

``make test-browser``; skipped where Chromium or playwright is missing. ``CHROMIUM`` names another
browser than the one on the path.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('google-chrome')
QUIET = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
]
DEMO = ROOT / 'configs/demo'
MODEL = (DEMO / 'unsct_hrnet_tha_cpu.py', DEMO / 'unsct_hrnet_tha_cpu.pth')

pytest.importorskip('fastapi')
pytest.importorskip('uvicorn')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium'),
    pytest.mark.skipif(not MODEL[1].is_file(), reason='no ready model'),
]


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """The address of a server with the ready model, its output, and the folder that it runs in."""
    folder = tmp_path_factory.mktemp('server')
    command = [sys.executable, ROOT / 'tools/serve.py', *MODEL, '--port', '0', '--max-mb', '2']
    variables = os.environ | {'OMP_NUM_THREADS': '1', 'TMPDIR': str(folder)}
    with (folder / 'output').open('w') as output:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield wait_for(process, folder / 'output'), folder / 'output', folder
    finally:
        process.terminate()
        process.wait(20)


def wait_for(process, output):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r'http://\S+', output.read_text()):
            with urllib.request.urlopen(f'{found[0]}/health', timeout=60) as answer:
                assert json.load(answer)['status'] == 'ok'
            return found[0]
        time.sleep(0.2)
    raise AssertionError(output.read_text())


@pytest.fixture(scope='module')
def browser():
    api = pytest.importorskip('playwright.sync_api')
    with api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def page(browser, server):
    """The form; fails when the page asks anything of another address, or complains."""
    page = browser.new_page(viewport=dict(width=1360, height=860), accept_downloads=True)
    asked, said = [], []
    page.on('request', lambda one: asked.append(one.url))
    page.on('pageerror', lambda error: said.append(str(error)))
    page.on('console', lambda one: said.append(one.text) if one.type == 'error' else None)
    page.goto(server[0])
    yield page
    page.close()
    assert {one for one in asked if not one.startswith((server[0], 'data:', 'blob:'))} == set()
    assert [one for one in said if 'status of 4' not in one] == []


@pytest.fixture
def phantom():
    path = DEMO / 'phantom_example.dcm'
    return dict(name='phantom.dcm', mimeType='application/dicom', buffer=path.read_bytes())


def send(page, file, selector):
    page.set_input_files('#file', [file])
    page.get_by_role('button', name='Find landmarks').click()
    page.wait_for_selector(selector, timeout=120_000)


def test_a_radiograph_becomes_a_report_with_files_to_save(page, phantom, tmp_path):
    send(page, phantom, '.case')
    assert page.locator('.stage > svg image').count() == 1
    assert page.locator('.marks .m').count() >= 12
    assert page.locator('table.values tbody tr').count() > 10
    assert page.get_by_text('Simulated image: no patient').is_visible()
    assert 'not a medical device' in page.locator('.notice').inner_text()
    saved = {}
    for words in ('JSON', 'Overlay PNG'):
        with page.expect_download() as download:
            page.locator('.bar').get_by_role('link', name=words).click()
        saved[words] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[words])
    prediction = json.loads(saved['JSON'].read_text())
    assert prediction['schema'] == 'unsct_mmpose/prediction-1' and prediction['simulated']
    reported = [one for one in prediction['landmarks'] if one['reported']]
    assert page.get_by_text(f'{len(reported)} of 24 landmarks').count()
    assert cv2.imread(str(saved['Overlay PNG'])).shape[1] >= 1000
    picture = page.screenshot(path=os.environ.get('SERVE_SCREENSHOT'), full_page=False)
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), 1)
    assert shown.std() > 30  # neither blank nor black


def test_the_image_is_enlarged(page, phantom):
    send(page, phantom, '.case')
    svg = page.locator('.stage > svg')
    before = svg.get_attribute('viewBox')
    page.locator('[data-do=in]').click()
    width = float(svg.get_attribute('viewBox').split()[2])
    assert width < float(before.split()[2])
    page.locator('[data-do=fit]').click()
    assert svg.get_attribute('viewBox') == before


def test_a_file_is_dropped(page, phantom):
    drop = """([name, text]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
      dispatchEvent(new DragEvent('dragover', { dataTransfer: data, cancelable: true }));
      window.lit = document.querySelector('.drop').classList.contains('over');
      const event = new DragEvent('drop', { dataTransfer: data, cancelable: true });
      dispatchEvent(event);
      return [window.lit, event.defaultPrevented];
    }"""
    content = base64.b64encode(phantom['buffer']).decode()
    assert page.evaluate(drop, [phantom['name'], content]) == [True, True]
    assert 'Ready to send, 0.5 MB' in page.locator('.chosen').inner_text()
    page.get_by_role('button', name='Find landmarks').click()
    page.wait_for_selector('.case', timeout=120_000)
    assert page.locator('.case h2').inner_text() == 'phantom.dcm'


def test_the_keyboard_reaches_everything_in_order(page):
    reached = []
    for _ in range(6):
        page.keyboard.press('Tab')
        reached.append(page.evaluate('document.activeElement.name || document.activeElement.type'))
    assert reached == ['file', 'spacing_x', 'spacing_y', 'magnification', 'frame', 'submit']
    assert page.evaluate('getComputedStyle(document.activeElement).outlineStyle') == 'solid'


def test_a_hostile_file_is_refused_in_words_and_harmless(page):
    name = '<img src=x onerror=alert(1)>.dcm'
    page.on('dialog', lambda _: pytest.fail('the name ran'))
    send(page, dict(name=name, mimeType='application/dicom', buffer=b'<html>'), '.refused')
    words = page.locator('.refused').inner_text()
    assert words.startswith(f'No report. {name}: this is neither a DICOM file nor')
    assert page.locator('.refused img').count() == 0


def test_a_large_file_is_stopped_before_it_is_sent_and_by_the_server_too(page):
    large = dict(name='large.dcm', mimeType='application/dicom', buffer=bytes(3_000_000))
    page.set_input_files('#file', [large])
    page.get_by_role('button', name='Find landmarks').click()
    assert 'the limit is 2 MB' in page.locator('.chosen').inner_text()
    assert page.locator('.refused').count() == 0
    page.evaluate("document.querySelector('#file').setCustomValidity('')")
    page.get_by_role('button', name='Find landmarks').click()
    page.wait_for_selector('.refused')
    assert 'larger than 2 MB' in page.locator('.refused').inner_text()


def test_the_form_works_without_scripts(browser, server, phantom):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server[0])
    send(page, phantom, '.case')
    assert page.locator('.bar a[download$=".json"]').get_attribute('href').startswith('data:')
    context.close()


def test_nothing_is_left_on_the_disk_and_little_in_the_log(page, server, phantom):
    _, output, folder = server
    send(page, phantom, '.case')
    send_again = dict(phantom, name='cut.dcm', buffer=phantom['buffer'][:9000])
    page.get_by_role('link', name='Another radiograph').click()
    send(page, send_again, '.refused')
    left = [one for one in folder.rglob('*') if one.is_file() and one != output]
    assert left == []
    text = output.read_text()
    assert 'phantom' not in text and 'cut.dcm' not in text and 'Traceback' not in text
    assert re.search(r'\d\d:\d\d:\d\d 0\.\d+ MB: 200, \d+\.\d s', text)
