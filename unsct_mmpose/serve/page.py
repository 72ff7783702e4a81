"""The server's two pages: a form, and the report of what was handed in.

Both are self-contained like every report; what they let run is named by its hash. ``root`` is the
path that browsers see them below.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from typing import Any

from unsct_mmpose.inference.predict import OneResult
from unsct_mmpose.report.html import load_asset, load_template, page_foot, page_head, render_section

_PACKAGE = 'unsct_mmpose.serve'
_TITLE = 'Hip landmarks'
_SUBTITLE = '24 landmarks and clinical measurements of an AP pelvic radiograph'


def form_page(identity: Mapping[str, Any], limit_mb: str, error: str = '', root: str = '') -> str:
    """Return the page with the form, and why the last file got no report."""
    body = load_template('serve', _PACKAGE).module.form(identity, limit_mb, error, root)
    return _page(str(body))


def result_page(result: OneResult, root: str = '') -> str:
    """Return the report of one radiograph, with its json and picture to save."""
    prediction = result.prediction
    stem = PurePath(prediction.image.file_name).stem or 'radiograph'
    files = [
        ('JSON', f'{stem}.json', _data('application/json', prediction.to_json().encode())),
        ('Overlay PNG', f'{stem}.png', _data('image/png', result.overlay_png())),
    ]
    bar = str(load_template('serve', _PACKAGE).module.bar(files, root))
    return _page(bar + render_section(prediction, result.radiograph))


@cache
def security_policy() -> str:
    """Return the content security policy: what is in the pages, and nothing else."""
    scripts = re.findall(r'<script>(.*?)</script>', _foot(), re.DOTALL)
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    allowed = ' '.join(f"'sha256-{text}'" for text in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _page(body: str) -> str:
    return page_head(_TITLE, _SUBTITLE, load_asset('serve.css', _PACKAGE)) + body + _foot()


@cache
def _foot() -> str:
    return page_foot(load_asset('serve.js', _PACKAGE))


def _data(kind: str, content: bytes) -> str:
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
