"""The server: what it answers, what it refuses, and what it keeps, which is nothing."""

# ruff: noqa: E402

import asyncio
import base64
import json
import logging
import os
import re
import socket
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('fastapi')
pytest.importorskip('httpx')
pytest.importorskip('python_multipart')
uvicorn = pytest.importorskip('uvicorn')

from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from pydicom.data import get_testdata_file

from unsct_mmpose.dicom import RadiographError
from unsct_mmpose.dicom.writer import write_radiograph
from unsct_mmpose.report.prediction import NOTICE, Prediction, prediction_schema
from unsct_mmpose.serve import upload as serve_upload
from unsct_mmpose.serve.app import ServeOptions, create_app, is_loopback
from unsct_mmpose.serve.desk import PredictionDesk
from unsct_mmpose.serve.reader import ProcessReader, decode
from unsct_mmpose.serve.upload import RefusedError, Upload

HERE = 'http://127.0.0.1:8000'


class DirectReader:
    """Decodes in this process, which starts at once."""

    read = staticmethod(decode)

    def close(self):
        pass


@pytest.fixture
def dicom(tmp_path):
    path = tmp_path / 'made' / 'hip.dcm'
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 4095, (40, 43), dtype=np.uint16)
    write_radiograph(
        path, pixels, uid_seed='0', spacing_xy_mm=(2.0, 2.0), magnification=1.2,
        source_detector_mm=1150.0, patient_id='SECRET-7', patient_sex='F',
    )  # fmt: skip
    return path.read_bytes()


@pytest.fixture
def png():
    return bytes(cv2.imencode('.png', np.full((40, 43), 90, np.uint8))[1])


@pytest.fixture
def connect(make_backend):
    def connect(backend=None, **options):
        app = create_app(backend or make_backend(), ServeOptions(**options), DirectReader())
        return TestClient(app, base_url=HERE)

    return connect


def post(client, content, name='hip.dcm', address='/api/predict', **data):
    return client.post(address, files={'file': (name, content)}, data=data)


def test_a_radiograph_gets_the_json_of_the_schema(connect, dicom):
    answer = post(connect(), dicom)
    assert answer.status_code == 200
    assert answer.headers['content-type'] == 'application/json'
    Draft202012Validator(prediction_schema()).validate(answer.json())
    prediction = Prediction.from_dict(answer.json())
    assert prediction.spacing.spacing_xy_mm == (2.0, 2.0)
    assert prediction.image.file_name == 'hip.dcm' and prediction.image.width == 43


def test_the_page_reports_and_hands_out_json_and_picture(connect, dicom):
    html = post(connect(), dicom, address='/').text
    assert 'class="stage"' in html and 'Neck-shaft angle' in html and NOTICE in html
    data = dict(re.findall(r'download="hip\.(json|png)" href="data:[^,]*,([^"]*)"', html))
    assert Prediction.from_dict(json.loads(base64.b64decode(data['json'])))
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data['png']), np.uint8), 1)
    assert picture.shape[0] > 400


def test_the_form_needs_no_script_and_nothing_from_elsewhere(connect):
    html = connect().get('/').text
    assert re.search(r'<form[^>]*method="post"[^>]*enctype="multipart/form-data"', html)
    assert '<label for="file">' in html and NOTICE in html
    for address in re.findall(r'(?:src|href|action)="([^"]*)"', html):
        assert address.startswith(('data:', '#', '/')), address


def test_a_picture_is_measured_with_the_spacing_of_its_form(connect, png):
    without = post(connect(), png, 'hip.png').json()
    assert 'no_spacing' in [one['code'] for one in without['warnings']]
    with_one = post(connect(), png, 'hip.png', spacing_x='2,5', magnification='1.1').json()
    assert with_one['scale']['spacing_xy_mm'] == [2.5, 2.5]
    assert with_one['scale']['magnification'] == 1.1
    with_two = post(connect(), png, 'hip.png', spacing_x='2', spacing_y='3').json()
    assert with_two['scale']['spacing_xy_mm'] == [2, 3]


def test_a_frame_is_chosen_in_the_form(connect):
    content = Path(get_testdata_file('SC_rgb_rle_2frame.dcm')).read_bytes()
    refused = post(connect(), content)
    assert refused.status_code == 422 and '2 frames' in refused.json()['error']
    answer = post(connect(), content, frame='1')
    assert answer.json()['image']['provenance']['frame'] == 1
    for text in ('-1', '0.5', 'x'):
        assert 'number of the image' in post(connect(), content, frame=text).json()['error']
    assert 'name="frame"' in connect().get('/').text


@pytest.mark.parametrize(
    ('content', 'data', 'status', 'words'),
    [
        (b'', {}, 422, 'empty'),
        (b'<!doctype html><script>alert(1)</script>' * 20, {}, 415, 'neither a DICOM'),
        (b'II*\x00' + bytes(200), {}, 415, 'neither a DICOM'),
        (b'%PDF-1.7' + bytes(200), {}, 415, 'neither a DICOM'),
        ('cut', {}, 422, 'cut off'),
        (bytes(128) + b'DICM' + b'\xff' * 300, {}, 422, ''),
        ('png', dict(spacing_x='0'), 422, 'width of a pixel'),
        ('png', dict(spacing_x='nan'), 422, 'width of a pixel'),
        ('png', dict(spacing_x='<b>'), 422, 'width of a pixel'),
        ('png', dict(spacing_y='1'), 422, 'height alone'),
        ('png', dict(magnification='inf'), 422, 'magnification'),
    ],
)
@pytest.mark.parametrize('address', ['/', '/api/predict'])
def test_what_is_unfit_is_refused_in_a_sentence(
    connect, dicom, png, content, data, status, words, address
):
    content = {'cut': dicom[: len(dicom) // 2], 'png': png}.get(content, content)
    answer = post(connect(), content, address=address, **data)
    assert answer.status_code == status
    said = answer.json()['error'] if address != '/' else answer.text
    assert words in said and 'Traceback' not in said and 'SECRET' not in said
    assert address == '/' or said.endswith('.')
    assert address != '/' or ('role="alert"' in said and '<form' in said)


def test_a_hostile_file_name_stays_text(connect, dicom):
    name = '<script>alert(1)</script>.dcm'
    for content in (dicom, b'<html>'):
        html = post(connect(), content, name, '/').text
        assert '<script>alert' not in html and '&lt;/script&gt;.dcm' not in html
        assert 'script&gt;.dcm' in html  # without what looks like folders
    assert post(connect(), dicom, '../../etc/<b>.dcm').json()['image']['file_name'] == '<b>.dcm'


def test_no_identity_of_the_patient_is_passed_on(connect, dicom):
    assert b'SECRET-7' in dicom
    assert 'SECRET-7' not in post(connect(), dicom).text
    assert 'SECRET-7' not in post(connect(), dicom, address='/').text


def test_the_limit_holds_for_what_comes_not_for_what_is_declared(connect, monkeypatch):
    monkeypatch.setattr(serve_upload, '_FORM_BYTES', 1000)
    client = connect(max_bytes=50_000)
    boundary = {'content-type': 'multipart/form-data; boundary=x'}

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(30):
            yield bytes(10_000)
        yield b'\r\n--x--\r\n'

    for declared in ({'content-length': '100'}, {}):
        answer = client.post('/api/predict', content=body(), headers=boundary | declared)
        assert answer.status_code == 413 and '0.05 MB' in answer.json()['error']
    assert post(client, bytes(50_001)).status_code == 413
    assert post(client, bytes(50_000)).status_code == 415


def test_no_byte_is_written_to_a_disk(connect, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError('a temporary file')

    monkeypatch.setattr(tempfile, '_mkstemp_inner', refuse)
    monkeypatch.setattr(tempfile, 'TemporaryFile', refuse)
    monkeypatch.setattr(os, 'mkdir', refuse)
    noise = np.random.default_rng(0).integers(0, 255, (1400, 1500), np.uint8)
    content = bytes(cv2.imencode('.png', noise)[1])
    assert len(content) > 2_000_000  # Starlette would spool it
    assert post(connect(), content).status_code == 200


def test_the_log_holds_size_and_outcome_alone(connect, dicom, caplog):
    caplog.set_level(logging.DEBUG)
    post(connect(), dicom, 'DOE_JOHN.dcm')
    post(connect(), b'<html>', 'DOE_JOHN.dcm')
    ours = [one.getMessage() for one in caplog.records if one.name.startswith('unsct')]
    assert len(ours) == 2
    assert all(re.fullmatch(r'[\d.e-]+ MB: (200|415), \d+\.\d s', one) for one in ours), ours
    assert 'SECRET' not in caplog.text and 'DOE' not in caplog.text


@pytest.mark.parametrize('address', ['/', '/health', '/nothing', '/api/predict'])
def test_every_answer_carries_the_security_headers(connect, address):
    answer = connect().get(address)
    assert answer.headers['x-content-type-options'] == 'nosniff'
    assert answer.headers['cache-control'] == 'no-store'
    policy = answer.headers['content-security-policy']
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src 'sha256-" in policy and "form-action 'self'" in policy
    if answer.status_code != 200:
        assert answer.json()['error'].endswith('.')


def test_the_policy_allows_the_scripts_of_both_pages_and_no_others(connect, dicom):
    from hashlib import sha256

    client = connect()
    for page in (client.get('/'), post(client, dicom, address='/')):
        scripts = re.findall(r'<script[^>]*>(.*?)</script>', page.text, re.DOTALL)
        hashes = {base64.b64encode(sha256(one.encode()).digest()).decode() for one in scripts}
        policy = page.headers['content-security-policy']
        assert hashes == set(re.findall(r"'sha256-([^']*)'", policy))
        assert not re.search(r'\son\w+="', page.text)


def test_health_names_the_model(connect):
    found = connect().get('/health').json()
    assert found['status'] == 'ok' and found['model']['name'] == 'fake' and found['uploads'] == 0


def test_the_interface_describes_itself(connect):
    call = connect().get('/openapi.json').json()['paths']['/api/predict']['post']
    assert set(call['responses']) >= {'200', '413', '415', '422', '503'}
    assert 'file' in str(call['requestBody'])


def test_only_its_own_names_and_pages_may_ask(connect, dicom):
    client = connect()
    assert client.get('/', headers={'host': 'evil.org'}).status_code == 403
    assert client.get('/', headers={'host': '[::1]:8000'}).status_code == 200
    foreign = {'sec-fetch-site': 'cross-site'}
    near, own = {'sec-fetch-site': 'same-site'}, {'sec-fetch-site': 'same-origin'}
    files = {'file': ('a', dicom)}
    assert client.post('/api/predict', files=files, headers=foreign).status_code == 403
    assert client.post('/api/predict', files=files, headers=near).status_code == 403
    assert client.post('/api/predict', files=files, headers=own).status_code == 200
    assert connect(any_host=True).get('/', headers={'host': 'lab.org'}).status_code == 200
    assert not is_loopback('0.0.0.0') and not is_loopback('127.0.0.1.evil.org')


@pytest.mark.parametrize('cuts', [True, False], ids=['the proxy cuts the path', 'it does not'])
@pytest.mark.parametrize('root', ['/hip', '/a/b', '/api'])
def test_everything_works_below_a_path(connect, dicom, cuts, root):
    client = connect(root_path=root, hosts=('Lab.org',), max_bytes=50_000)
    client.headers['host'] = 'lab.org'

    def at(address):  # that a browser shows, as the proxy hands it on
        assert address.startswith(f'{root}/')
        return address[len(root) :] if cuts else address

    if not cuts:
        assert '<form' in client.get(root).text
    page = client.get(at(f'{root}/'))
    (action,) = re.findall(r'action="([^"]*)"', page.text)
    assert f'</span>{root}/api/predict' in page.text
    report = post(client, dicom, address=at(action))
    assert report.status_code == 200 and '<article' in report.text
    (again,) = re.findall(r'class="again" href="([^"]*)"', report.text)
    assert client.get(at(again)).text == page.text
    assert post(client, dicom, address=at(f'{root}/api/predict')).json()['landmarks']
    assert client.get(at(f'{root}/health')).json()['status'] == 'ok'
    document = client.get(at(f'{root}/openapi.json')).json()
    assert document['servers'] == [{'url': root}] and '/api/predict' in document['paths']
    assert client.get(at(f'{root}/nothing')).status_code == 404
    for address in (action, f'{root}/api/predict'):
        assert post(client, bytes(50_001), address=at(address)).status_code == 413
    assert "default-src 'none'" in page.headers['content-security-policy']


def test_named_hosts_are_answered_and_no_others(connect):
    client = connect(hosts=('lab.org', '[2001:db8::1]'))

    def status(host, **headers):
        return client.get('/', headers={'host': host, **headers}).status_code

    for host in ('lab.org', 'LAB.org:443', '[2001:db8::1]:8000', 'localhost', '127.0.0.1:80'):
        assert status(host) == 200, host
    for host in ('evil.org', 'lab.org.evil.org', 'xlab.org', '', 'evil.org:80', 'lab.org:80:80'):
        assert status(host, **{'x-forwarded-host': 'lab.org'}) == 403, host


@pytest.mark.parametrize(
    'options',
    [
        dict(hosts=('http://lab.org',)),
        dict(hosts=('lab.org:80',)),
        dict(hosts=('*',)),
        dict(root_path='hip'),
        dict(root_path='/hip/'),
        dict(root_path='/"><script>'),
        dict(root_path='//evil.org'),
        dict(root_path='/..'),
    ],
)
def test_what_is_no_host_and_no_path_is_refused(options):
    with pytest.raises(ValueError, match=r'is no name of a host|must be empty or such as'):
        ServeOptions(**options)


def test_a_failing_model_is_said_without_its_words(make_backend, connect, dicom):
    def fail():
        raise RuntimeError('SECRET stack')

    answer = post(connect(make_backend(keypoints=fail)), dicom)
    assert answer.status_code == 500 and 'SECRET' not in answer.text
    assert answer.json()['error'] == 'hip.dcm: the model failed (RuntimeError).'


class Slow:
    """A backend that counts how many are in it at once, and waits for leave."""

    def __init__(self, backend):
        self.backend, self.identity = backend, backend.identity
        self.leave, self.now, self.most = threading.Event(), 0, 0

    def infer(self, images):
        self.now += 1
        self.most = max(self.most, self.now)
        assert self.leave.wait(300)
        time.sleep(0.02)
        self.now -= 1
        return self.backend.infer(images)


def test_one_is_predicted_at_a_time_and_the_queue_is_limited(make_backend, dicom):
    backend = Slow(make_backend())
    desk = PredictionDesk(backend, DirectReader(), waiting=2)

    async def ask():
        with desk.slot():
            return await desk.predict(Upload(dicom, 'a.dcm'), lambda one: 'done')

    async def all_at_once():
        tasks = [asyncio.create_task(ask()) for _ in range(6)]
        await asyncio.sleep(0.05)
        assert desk.inside == 3
        backend.leave.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(all_at_once())
    refused = [one for one in found if isinstance(one, RefusedError)]
    assert [one.status for one in refused] == [503] * 3
    assert len([one for one in found if isinstance(one, str)]) == 3
    assert backend.most == 1 and desk.inside == 0
    desk.close()


@contextmanager
def running(app):
    """Serve on a free port, in a thread; yield the port."""
    server = uvicorn.Server(uvicorn.Config(app, log_level='critical', lifespan='off'))
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(8)
        thread = threading.Thread(target=server.run, kwargs=dict(sockets=[listener]))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(300)


def raw(port, content, length=None, wait=True):
    """Send a form with a Content-Length, true by default; return what comes back."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.dcm"\r\n\r\n'
    body += content + b'\r\n--x--\r\n'
    head = (
        'POST /api/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n'
        'Content-Type: multipart/form-data; boundary=x\r\n'
        f'Content-Length: {length or len(body)}\r\n\r\n'
    )
    with socket.create_connection(('127.0.0.1', port), timeout=300) as link:
        link.sendall(head.encode() + body)
        answer = b''
        while wait and (piece := link.recv(65536)):
            answer += piece
        return answer


def test_a_lying_length_harms_nobody_on_a_real_connection(make_backend, dicom):
    impatient = ServeOptions(max_bytes=200_000, receive_seconds=0.3)
    with running(create_app(make_backend(), impatient, DirectReader())) as port:
        assert b' 408 ' in raw(port, dicom, len(dicom) + 900).split(b'\r\n')[0]  # waits in vain
    app = create_app(make_backend(), ServeOptions(max_bytes=200_000), DirectReader())
    with running(app) as port:
        assert b' 422 ' in raw(port, dicom, 300).split(b'\r\n')[0]  # too short: all is not there
        raw(port, dicom, 150_000, wait=False)  # hangs up
        too_large = raw(port, bytes(400_000))
        assert b' 413 ' in too_large.split(b'\r\n')[0] and b'0.2 MB' in too_large
        deadline = time.monotonic() + 300
        while app.state.desk.inside and time.monotonic() < deadline:
            time.sleep(0.02)
        assert app.state.desk.inside == 0
        assert b' 200 ' in raw(port, dicom).split(b'\r\n')[0]


def test_a_decoder_of_its_own_survives_its_death(dicom, png):
    reader = ProcessReader()
    try:
        first = reader.read(Upload(dicom, 'a.dcm'))
        assert first.size_wh == (43, 40)
        with pytest.raises(RadiographError, match='cut off'):
            reader.read(Upload(dicom[:500], 'cut.dcm'))
        os.kill(reader._process.pid, 19)  # stopped: it hangs
        reader.seconds = 0.2
        with pytest.raises(RadiographError, match=r'more than 0\.2 s'):
            reader.read(Upload(dicom, 'a.dcm'))
        reader.seconds = 60
        assert reader.read(Upload(png, 'b.png', (2.0, 3.0))).spacing_xy_mm == (2.0, 3.0)
        reader._process.kill()
        reader._process.join = lambda *_: None
        reader._process.is_alive = lambda: True  # it dies while it decodes
        with pytest.raises(RadiographError, match='damaged'):
            reader.read(Upload(dicom, 'a.dcm'))
    finally:
        reader.close()


def test_an_endless_upload_is_cut_at_the_limit():
    from starlette.requests import Request

    taken = []

    async def endless():
        await asyncio.sleep(0)
        taken.append(1)
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body = bytes(10_000) if len(taken) > 1 else head
        return {'type': 'http.request', 'body': body, 'more_body': True}

    headers = [(b'content-type', b'multipart/form-data; boundary=x'), (b'expect', b'100-continue')]
    request = Request({'type': 'http', 'headers': headers}, endless)
    with pytest.raises(RefusedError) as refused:
        asyncio.run(serve_upload.receive(request, 50_000, 0.5))
    assert refused.value.status == 413
    assert len(taken) < 15
