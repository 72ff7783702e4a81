"""Names that stand for patients and images, and that nobody without the key can trace back."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

_KEY_BYTES = 32
_PATIENT_DIGITS = 12
_IMAGE_DIGITS = 10


class Pseudonyms:
    """Gives the same name to the same patient or image, as long as the key is the same.

    A hash alone would be no protection: hospital numbers are few enough to try them all.

    Args:
        key: secret bytes.

    Example:
        >>> names = Pseudonyms(b'secret')
        >>> names.patient('Doe^Jane') == Pseudonyms(b'secret').patient('Doe^Jane')
        True
        >>> names.patient('Doe^Jane') == Pseudonyms(b'other').patient('Doe^Jane')
        False
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def patient(self, identity: str) -> str:
        """Return the pseudonym of a patient."""
        return f'p{self._hash("patient", identity)[:_PATIENT_DIGITS]}'

    def image(self, identity: str) -> str:
        """Return the pseudonym of an image."""
        return self._hash('image', identity)[:_IMAGE_DIGITS]

    def fingerprint(self) -> str:
        """Return what tells this key from others without giving it away."""
        return self._hash('key', '')[:16]

    def _hash(self, kind: str, identity: str) -> str:
        return hmac.new(self._key, f'{kind}\n{identity}'.encode(), hashlib.sha256).hexdigest()


def read_key(path: str | os.PathLike[str]) -> bytes:
    """Read a key; make one where there is no file, readable by its owner only.

    Raises:
        ValueError: the file holds no key.
        OSError: it can be neither read nor written.
    """
    file = Path(path)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f'.{file.name}.{os.getpid()}.tmp')
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as new:
                new.write(secrets.token_hex(_KEY_BYTES) + '\n')
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
    try:
        key = bytes.fromhex(file.read_text('ascii').strip())
    except ValueError:
        key = b''
    if len(key) < _KEY_BYTES:
        raise ValueError(f'{file}: no key in it; name another file, or delete it for a new key')
    return key
