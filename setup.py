"""Package metadata; the settings of the tools are in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools')
INDEX = 'model-index.yml'


class BuildWithMim(build_py):
    """Ship configs, tools and index inside the wheel, where OpenMMLab packages keep theirs."""

    def run(self):
        """Build the package, then copy the folders; an editable install uses them in place."""
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        target = Path(self.build_lib) / 'unsct_mmpose' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
        for folder in SHIPPED:
            shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
        shutil.copy(ROOT / INDEX, target)


def read_version():
    """Read the version without importing the package."""
    text = (ROOT / 'unsct_mmpose' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


def read_readme():
    """Read the long description, if there is one yet."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


setup(
    name='unsct-mmpose',
    version=read_version(),
    description='UNSCT-HRNet for MMPose: hip-radiograph landmarks with uncertainty',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(
        include=['unsct_mmpose', 'unsct_mmpose.*'], exclude=['*.research', '*.research.*']
    ),
    entry_points={'console_scripts': ['unsct = unsct_mmpose.cli.main:main']},
    package_data={
        'unsct_mmpose.report': ['schema/*.json', 'templates/*'],
        'unsct_mmpose.serve': ['templates/*'],
    },
    python_requires='>=3.10',
    # Only what an MMPose installation lacks: torch, mmcv, mmengine and mmpose are the host's own.
    install_requires=['pycocotools>=2.0.6', 'pydicom>=3.0', 'scipy', 'shtab>=1.8', 'six', 'tqdm'],
    extras_require={
        'dicom': [
            'pylibjpeg>=2.0',
            'pylibjpeg-libjpeg>=2.1',
            'pylibjpeg-openjpeg>=2.0',
            'python-gdcm>=3.0.22',
        ],
        'report': ['highdicom>=0.24', 'jinja2>=3.1'],
        'serve': [
            'fastapi>=0.115.12',
            'jinja2>=3.1',
            'python-multipart>=0.0.18',
            'starlette>=0.46',
            'uvicorn>=0.30',
        ],
        'augment': ['albumentations>=1.3'],
        'track': ['future', 'tensorboard', 'wandb'],
        'safetensors': ['safetensors>=0.4.3'],
        'onnx': ['onnx>=1.16', 'onnxruntime>=1.18'],
        'openvino': ['onnx>=1.16', 'onnxruntime>=1.18', 'openvino>=2024.4'],
        'tools': ['seaborn'],  # of MMPose's analyze_logs
        'dev': [
            'hypothesis',
            'import-linter>=2.1',
            'jinja2>=3.1',
            'jsonschema>=4.18',
            'mypy',
            'pytest>=8.1',
            'pytest-xdist',
            'ruff',
        ],
    },
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Medical Science Apps.',
    ],
)
