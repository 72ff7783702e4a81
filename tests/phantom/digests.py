"""What a folder holds, file by file."""

from unsct_mmpose.files import file_sha256


def digests(folder):
    """Return the sha256 of every file below a folder, by its relative path."""
    files = (path for path in sorted(folder.rglob('*')) if path.is_file())
    return {str(path.relative_to(folder)): file_sha256(path) for path in files}
