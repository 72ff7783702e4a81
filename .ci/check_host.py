"""Run every stock tool of MMPose on this plug-in, in a stock installation, from an empty folder.

check_host.py [--hosts 1.1.0 1.2.0 1.3.2]   install the wheel beside each MMPose; run the list
check_host.py --hosts here [--slice]        no installation: this interpreter and this checkout
check_host.py --page                        write the recorded table into docs/how-to/mmpose.md
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / 'docs' / 'results' / 'check_host.json'
PAGE = ROOT / 'docs' / 'how-to' / 'mmpose.md'
START, END = '<!-- table of check_host.json -->', '<!-- end of table -->'

MMCV = {'': '2.2.0', '1.1.0': '2.1.0'}
"""The newest MMCV that a version of MMPose takes."""

# The demo's model as a project of a user's own would have it, so small that a run takes seconds.
TINY = """
_base_ = {base!r}
input_size, heatmap_size = (64, 64), (16, 16)
codec = dict(input_size=input_size, heatmap_size=heatmap_size)
model = dict(head=dict(decoder=codec))
encoder = dict(type='HeatmapPAF', sigma=1.5, relations='full', paf_width=1.0, **codec)
_load = [dict(type='LoadRadiograph'), dict(type='GetBBoxCenterScale', padding=1.0)]
_affine = dict(type='RadiographAffine', input_size=input_size)
_pack = dict(type='PackPoseInputs')
train_pipeline = [*_load, dict(type='RandomFlip', direction='horizontal'), _affine,
                  dict(type='GenerateTarget', encoder=encoder), _pack]
val_pipeline = [*_load, _affine, _pack]
_here = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline), **_here)
val_dataloader = dict(dataset=dict(pipeline=val_pipeline), **_here)
test_dataloader = dict(dataset=dict(pipeline=val_pipeline), **_here)
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=3))
"""

# What a program does with MMPose's own functions. The same image by path, in bytes and as an array.
API = """
import sys, mmcv, numpy as np
from PIL import Image
{first}
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
file = 'twins/images/a/hip.dcm'
model = init_model('tiny.py', 'run/epoch_1.pth', device='cpu')
array = mmcv.imfrombytes(open(file, 'rb').read())
assert Image.open(file).size == array.shape[1::-1]
points = [inference_topdown(model, image)[0].pred_instances.keypoints for image in (file, array)]
inferencer = MMPoseInferencer('tiny.py', 'run/epoch_1.pth', det_model='whole_image', device='cpu')
for image in (file, array):
    found = next(inferencer(image))['predictions'][0]
    points.append(np.array([part['keypoints'] for part in found]))
twins = ['twins/images/a/hip.dcm', 'twins/images/b/hip.dcm']
assert len(list(inferencer(twins, out_dir='api'))) == 2
assert all(np.allclose(array, points[0], atol=1e-3) for array in points), points
"""

CONVERTED = """
import json, sys
sys.argv = ['-']
{first}
from unsct_mmpose.anatomy import LANDMARK_NAMES
from unsct_mmpose.annotations import read_annotations
content = json.load(open('studio_coco.json'))
content['categories'][0]['keypoints'] = list(LANDMARK_NAMES)
for image in content['images']:
    image['pixel_spacing'] = [0.84, 0.84]
json.dump(content, open('studio.json', 'w'))
assert len(read_annotations('studio.json', require_spacing=True).cases) == 2
"""


@dataclass(frozen=True)
class Step:
    """One command of a user.

    Attributes:
        tool: name of MMPose's script.
        options: what the row of the table says of it.
        command: words; ``{stock}`` and ``{ours}`` are the folders of scripts, ``{tool}`` runs
            ours, ``{ranks}`` starts two processes.
        files: patterns of files that must be there afterwards, each with how many at least.
        says: what the output must hold.
        gone: patterns that nothing may match afterwards.
        quick: whether it is in the slice.
    """

    tool: str
    options: str
    command: str
    files: dict[str, int] = field(default_factory=dict)
    says: str = ''
    gone: tuple[str, ...] = ()
    quick: bool = False

    @property
    def by(self) -> str:
        """How it is started, for the table."""
        if '{tool}' in self.command:
            return 'mmpose_tool.py'
        return 'itself' if '{stock}' in self.command else 'a program'


MODEL = 'tiny.py run/epoch_1.pth'
TWINS = '--cfg-options test_dataloader.dataset.data_root=twins'
INFER = '--pose2d tiny.py --pose2d-weights run/epoch_1.pth --device cpu'
BROWSE = '{tool} browse_dataset tiny.py --not-show'

STEPS = (
    Step('train', 'entry config, --cfg-options', '{python} {stock}/tools/train.py {entry}'
         ' --work-dir entry --cfg-options {entry_options}', {'entry/epoch_1.pth': 1}),
    Step('train', '--work-dir', '{python} {stock}/tools/train.py tiny.py --work-dir run',
         {'run/epoch_1.pth': 1, 'run/best_*.pth': 1}, quick=True),
    Step('train', '--amp', '{python} {stock}/tools/train.py tiny.py --work-dir amp --amp',
         {'amp/epoch_1.pth': 1}, 'bfloat16 (Bf16OptimWrapper)', quick=True),
    Step('train', '--amp, a float32 config', '{python} {stock}/tools/train.py float32.py'
         ' --work-dir amp32 --amp', {'amp32/epoch_1.pth': 1}, 'bfloat16 (Bf16OptimWrapper)'),
    Step('train', '--auto-scale-lr --no-validate', '{python} {stock}/tools/train.py tiny.py'
         ' --work-dir lr --auto-scale-lr --no-validate --cfg-options train_dataloader.batch_size=4',
         {'lr/epoch_1.pth': 1}, 'current batch size is 4', ('lr/best_*.pth',)),
    Step('train', '--resume', '{python} {stock}/tools/train.py tiny.py --work-dir run --resume'
         ' --cfg-options train_cfg.max_epochs=2', {'run/epoch_2.pth': 1}, 'resumed epoch: 1'),
    Step('train', '--resume FILE', '{python} {stock}/tools/train.py tiny.py --work-dir again'
         ' --resume run/epoch_1.pth --cfg-options train_cfg.max_epochs=2',
         {'again/epoch_2.pth': 1}, 'resumed epoch: 1'),
    Step('train', '--show-dir --interval', '{python} {stock}/tools/train.py tiny.py --work-dir'
         ' shown --show-dir drawn --interval 1', {'shown/*/drawn/*.png': 1}),
    Step('train', '--launcher pytorch', '{ranks} {stock}/tools/train.py tiny.py --work-dir ranks'
         ' --launcher pytorch', {'ranks/epoch_1.pth': 1}),
    Step('dist_train.sh', '2 processes', 'bash {stock}/tools/dist_train.sh tiny.py 2 --work-dir'
         ' dist', {'dist/epoch_1.pth': 1}),
    Step('test', '--work-dir --out --dump --show-dir --cfg-options', '{python}'
         ' {stock}/tools/test.py ' + MODEL + ' --work-dir tested --out tested/metrics.json'
         ' --dump tested/found.pkl --show-dir drawn ' + TWINS,
         {'tested/metrics.json': 1, 'tested/found.pkl': 1, 'tested/*/drawn/*.png': 2}, quick=True),
    Step('test', '--badcase', '{python} {stock}/tools/test.py ' + MODEL + ' --work-dir bad'
         ' --badcase ' + TWINS, {'bad/*/badcase/results.json': 1, 'bad/*/badcase/*hip.png': 2},
         quick=True),
    Step('test', '--launcher pytorch --show-dir', '{ranks} {stock}/tools/test.py ' + MODEL +
         ' --work-dir both --launcher pytorch --show-dir drawn ' + TWINS,
         {'both/*/drawn/*.png': 2}),
    Step('dist_test.sh', '2 processes, --out', 'bash {stock}/tools/dist_test.sh ' + MODEL +
         ' 2 --work-dir dist --out dist/metrics.json', {'dist/metrics.json': 1}),
    *(Step('browse_dataset', f'--mode {mode} --phase {phase} --output-dir', f'{BROWSE} --mode'
           f' {mode} --phase {phase} --output-dir browse/{mode}/{phase}',
           {f'browse/{mode}/{phase}/*.png': count}, quick=(mode, phase) == ('transformed', 'train'))
      for mode in ('original', 'transformed')
      for phase, count in (('train', 4), ('val', 2), ('test', 2))),
    Step('browse_dataset', 'one name in two folders', f'{BROWSE} --mode original --phase test'
         ' --output-dir browse/twins ' + TWINS, {'browse/twins/*.png': 2},
         quick=True),
    Step('get_flops', '--input-shape', '{tool} get_flops tiny.py --input-shape 64 64',
         says='Params: 2.'),
    Step('get_flops', '--batch-size --show-arch-info --cfg-options', '{tool} get_flops tiny.py'
         ' --input-shape 64 64 --batch-size 2 --show-arch-info --cfg-options'
         ' model.neck.out_channels=32', says='(2, 3, 64, 64)'),
    Step('print_config', '--options', '{python} {stock}/tools/analysis_tools/print_config.py'
         ' tiny.py --options train_cfg.max_epochs=7', says='max_epochs=7'),
    Step('analyze_logs', 'plot_curve --keys --out', '{tool} analyze_logs plot_curve {log} --keys'
         ' loss loss_paf --out curve.png', {'curve.png': 1}),
    Step('analyze_logs', 'cal_train_time', '{tool} analyze_logs cal_train_time {log}',
         says='average iter time'),
    Step('publish_model', '--save-keys', '{tool} publish_model run/epoch_1.pth published.pth'
         ' --save-keys meta state_dict', {'published-*.pth': 1}),
    Step('image_demo', 'DICOM, --out-file', '{tool} image_demo twins/images/a/hip.dcm ' + MODEL +
         ' --device cpu --out-file demo.png', {'demo.png': 1}, quick=True),
    Step('image_demo', 'DICOM, --draw-heatmap --show-kpt-idx --skeleton-style --kpt-thr --radius'
         ' --thickness --alpha', '{tool} image_demo twins/images/a/hip.dcm ' + MODEL +
         ' --device cpu --out-file demo.jpg --draw-heatmap --show-kpt-idx --skeleton-style openpose'
         ' --kpt-thr 0.1 --radius 4 --thickness 2 --alpha 0.5', {'demo.jpg': 1}),
    Step('inferencer_demo', 'DICOM, --vis-out-dir --pred-out-dir', '{tool} inferencer_demo'
         ' twins/images/a/hip.dcm ' + INFER + ' --vis-out-dir one --pred-out-dir one',
         {'one/hip.png': 1, 'one/hip.json': 1}),
    Step('inferencer_demo', 'folder of DICOM, --draw-bbox --draw-heatmap --black-background',
         '{tool} inferencer_demo phantom/images ' + INFER + ' --vis-out-dir many --pred-out-dir'
         ' many --draw-bbox --draw-heatmap --black-background',
         {'many/*.png': 8, 'many/*.json': 8}),
    Step('inferencer_demo', '--show-alias', '{tool} inferencer_demo --show-alias',
         says='MODEL_NAME'),
    Step('mmpose.apis', 'inference_topdown and MMPoseInferencer: DICOM path, bytes, array, twins',
         '{python} api.py', {'api/visualizations/*.png': 2, 'api/predictions/*.json': 2},
         quick=True),
    Step('labelstudio2coco', 'an export of 24 points and a box', '{tool} labelstudio2coco'
         ' studio.xml studio_export.json studio_coco.json', {'studio_coco.json': 1}),
    Step('labelstudio2coco', 'its result read as a data set', '{python} converted.py',
         {'studio.json': 1}),
)  # fmt: skip

FOREIGN = 'turns another data set, of other landmarks, into COCO'
NOT_APPLICABLE = {
    'benchmark_processing': 'a script of MMPose 0.x, no 1.x has it; tools/benchmark.py measures',
    'keypoints2coco_without_mmdet': 'calls functions of MMPose 0.x; fails in every 1.x',
    'generate_bbox_file': 'boxes by a detector (mmdet); a radiograph is one box, the whole image',
    'topdown_demo_with_mmdet': 'people by a detector (mmdet); take image_demo',
    'bottomup_demo': 'for models of several people; ours are top-down',
    'body3d_pose_lifter_demo': 'lifts people into 3-D',
    'hand3d_internet_demo': 'hands in 3-D',
    'pth_transfer': 'takes the student out of a distilled checkpoint (DWPose)',
    'mmpose2torchserve': 'needs TorchServe, no longer maintained; tools/serve.py serves',
    'mmpose_handler': 'part of TorchServe',
    'test_torchserver': 'part of TorchServe',
    'slurm_train.sh': 'needs Slurm; docs/how-to/several-processes.md',
    'slurm_test.sh': 'needs Slurm; docs/how-to/several-processes.md',
    **dict.fromkeys(
        (
            '300vw2coco', '300wlp2coco', 'h36m_to_coco', 'lapa2coco', 'mat2json',
            'parse_animalpose_dataset', 'parse_cofw_dataset', 'parse_deepposekit_dataset',
            'parse_macaquepose_dataset', 'preprocess_h36m', 'preprocess_mpi_inf_3dhp',
            'ubody_kpts_to_coco', 'ubody_smplx_to_coco', 'wflw2coco',
        ),
        FOREIGN,
    ),
}  # fmt: skip


class Host:
    """One installation of MMPose, with a folder to work in.

    Args:
        python: its interpreter.
        place: the folder.
        here: take the plug-in from this checkout.
        first: folders of packages that go before those of the interpreter.
    """

    def __init__(self, python: Path, place: Path, here: bool, first: tuple[Path, ...] = ()) -> None:
        self.python, self.place, self.here, self.forks = python, place, here, None
        self.environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        self.environment |= dict(
            MPLBACKEND='Agg', OMP_NUM_THREADS='1', UNSCT_DATA='phantom', PYTHONUNBUFFERED='1',
            PATH=f'{python.parent}{os.pathsep}{os.environ["PATH"]}',
        )  # fmt: skip
        if here:
            self.environment['PYTHONPATH'] = os.pathsep.join(map(str, [*first, ROOT]))
        packages = Path(
            self.ask('import importlib.util as i; print(i.find_spec("mmpose").origin)')
        ).parent
        self.stock = packages / '.mim'
        self.ours = ROOT if here else packages.parent / 'unsct_mmpose' / '.mim'

    def ask(self, program: str) -> str:
        """Run a line of Python there; return what it prints."""
        done = self.run([str(self.python), '-c', program], 120)
        if done.returncode:
            raise SystemExit(f'{self.python}: {done.stdout[-2000:]}')
        return done.stdout.strip().splitlines()[-1]

    def run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess:
        """Run a command in the folder; end it and its children after its time."""
        with subprocess.Popen(
            command, cwd=self.place, env=self.environment, text=True, errors='replace',
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                output += f'\ntook longer than {seconds:g} s'
        return subprocess.CompletedProcess(command, process.returncode, output)

    def run_script(
        self, script: str, arguments: list[str], seconds: float
    ) -> subprocess.CompletedProcess:
        """Run a Python script in the folder, in a fork of an interpreter with libraries loaded."""
        if self.forks is None:
            self.forks = subprocess.Popen(
                [self.python, str(ROOT / '.ci' / 'forks.py')], cwd=self.place, text=True,
                env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        output = self.place / 'output.txt'
        job = dict(script=script, arguments=arguments, output=str(output), seconds=seconds)
        self.forks.stdin.write(json.dumps(job) + '\n')
        self.forks.stdin.flush()
        status = self.forks.stdout.readline().strip()
        said = output.read_text(errors='replace') if output.is_file() else ''
        if status == 'late':
            said, status = f'{said}\ntook longer than {seconds:g} s', '-9'
        return subprocess.CompletedProcess([script, *arguments], int(status or 1), said)

    def close(self) -> None:
        """End the interpreter that forks."""
        if self.forks is not None:
            self.forks.stdin.close()
            self.forks.wait()
            self.forks = None

    def versions(self) -> dict[str, str]:
        """Return what the installation consists of."""
        names = ('mmpose', 'mmengine', 'mmcv', 'mmcv-lite', 'torch', 'numpy', 'opencv-python',
                 'opencv-python-headless', 'pydicom')  # fmt: skip
        program = (
            'import importlib.metadata as m, json; '
            f'found = {{n: m.version(n) for n in {names} if any(m.distributions(name=n))}}; '
            'print(json.dumps(found))'
        )
        return {'python': self.ask('import platform; print(platform.python_version())'),
                **json.loads(self.ask(program))}  # fmt: skip

    def prepare(self, data: Path | None, config: str, options: str) -> None:
        """Fill the folder with a few phantoms and what a user would have."""
        make = [str(self.python), str(self.ours / 'tools' / 'make_phantom.py'), '--out', 'phantom']
        sizes = '--train 4 --val 2 --test 2 --seed 0 --jobs 1 --quiet --size 256'
        if not (self.place / 'phantom').is_dir():
            done = self.run([*make, *sizes.split()], 900)
            if done.returncode:
                raise SystemExit(f'no phantoms: {done.stdout[-2000:]}')
        demo = self.ours / 'configs' / 'demo' / 'unsct_hrnet_tha_cpu.py'
        tiny = TINY.format(base=demo.as_posix())
        (self.place / 'tiny.py').write_text(tiny)
        (self.place / 'float32.py').write_text(f"{tiny}optim_wrapper = dict(type='OptimWrapper')\n")
        # What imports mmpose by itself: a program of a user's own, where unsct_mmpose comes first.
        first = 'import unsct_mmpose.register'
        (self.place / 'api.py').write_text(API.format(first=first))
        (self.place / 'converted.py').write_text(CONVERTED.format(first=first))
        _write_twins(self.place)
        _write_studio(self.place)
        self.entry = dict(
            entry=str(self.ours / 'configs' / config),
            entry_options=' '.join(
                [
                    'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
                    'default_hooks.checkpoint.interval=1',
                    *(f'{part}_dataloader.{name}' for part in ('train', 'val')
                      for name in ('num_workers=0', 'persistent_workers=False', 'batch_size=2')),
                    *([f'{part}_dataloader.dataset.data_root={data}' for part in ('train', 'val')]
                      if data else []),
                    options,
                ]
            ),
        )  # fmt: skip

    def do(self, step: Step, seconds: float) -> dict[str, Any]:
        """Run a step; return its ``status`` and, unless it passed, ``why``."""
        log = next(iter(sorted(self.place.glob('run/*/vis_data/scalars.json'))), 'no-log')
        # analyze_logs wants lines that have both, which the first training wrote
        words = dict(
            python=self.python, stock=self.stock, ours=self.ours, log=log, **self.entry,
            tool=f'{self.python} {self.ours / "tools" / "mmpose_tool.py"}',
            ranks=f'{self.python} -m torch.distributed.run --standalone --nproc_per_node 2',
        )  # fmt: skip
        command = shlex.split(step.command.format(**words))
        if (why := self.why_not(command)) is not None:
            return dict(status='n/a', why=why)
        if command[0] == str(self.python) and command[1].endswith('.py'):
            done = self.run_script(command[1], command[2:], seconds)
        else:
            done = self.run(command, seconds)
        why = []
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            why.append(lines[-1][:300] if lines else f'exit status {done.returncode}')
        for pattern, count in step.files.items():
            files = [p for p in self.place.glob(pattern) if p.stat().st_size]
            if len(files) < count:
                why.append(f'{len(files)} of {count} files {pattern}')
        why += [f'{pattern} is there' for pattern in step.gone if any(self.place.glob(pattern))]
        if step.says not in done.stdout:
            why.append(f'it does not say {step.says!r}')
        if self.here and "pip install 'unsct-mmpose[tools]'" in done.stdout:
            return dict(status='n/a', why='needs the extra [tools], as it says')
        if why:
            (self.place / 'failed.txt').open('a').write(f'{command}\n{done.stdout}\n\n')
            return dict(status='failed', why='; '.join(why))
        return dict(status='passed')

    def why_not(self, command: list[str]) -> str | None:
        """Say what in MMPose itself keeps it from running a command; None when nothing does."""
        script = next((Path(word) for word in command if word.startswith(str(self.stock))), None)
        if script is None:
            return None
        if not script.is_file():
            return 'this MMPose has no such script'
        text = script.read_text()
        if '--badcase' in command and '--badcase' not in text:
            return 'this MMPose has no --badcase'
        if '--amp' in command and "'AmpOptimWrapper')" not in text:
            return 'this MMPose refuses it to all configs that name a wrapper; ours can do without'
        if script.name.startswith('dist_'):
            started = script.with_name(f'{script.stem.removeprefix("dist_")}.py').read_text()
            if '--local-rank' not in started:
                return "this MMPose does not know PyTorch 2's --local-rank; torchrun starts it"
        return None

    def scripts(self) -> set[str]:
        """Return the names of all scripts of this MMPose that users start."""
        tools = {p.stem for p in self.stock.glob('tools/**/*.py')}
        tools |= {p.stem for p in self.stock.glob('demo/*.py')}
        return tools | {p.name for p in self.stock.glob('tools/*.sh')}


def _write_twins(place: Path) -> None:
    """Write a data set of two images with one name in two folders."""
    content = json.loads((place / 'phantom' / 'test.json').read_text())
    for image, folder in zip(content['images'], 'ab', strict=True):
        name = Path(image['file_name']).name
        image['file_name'] = f'{folder}/hip.dcm'
        target = place / 'twins' / 'images' / image['file_name']
        target.parent.mkdir(parents=True)
        shutil.copy(place / 'phantom' / 'images' / name, target)
    (place / 'twins' / 'test.json').write_text(json.dumps(content))


def _write_studio(place: Path) -> None:
    """Write two images as Label Studio exports them: 24 points in order, then a box."""
    content = json.loads((place / 'phantom' / 'test.json').read_text())
    export = []
    for image, annotation in zip(content['images'], content['annotations'], strict=True):
        size = dict(original_width=image['width'], original_height=image['height'])
        marks = []
        for index in range(24):
            x, y = annotation['keypoints'][3 * index : 3 * index + 2]
            where = dict(x=100 * x / image['width'], y=100 * y / image['height'], width=0.5)
            marks.append(dict(type='keypointlabels', **size,
                              value=dict(where, keypointlabels=['pelvis'])))  # fmt: skip
        box = dict(x=0, y=0, width=100, height=100, rectanglelabels=['pelvis'])
        marks.append(dict(type='rectanglelabels', value=box, **size))
        name = Path(image['file_name']).name
        export.append(dict(file_upload=name, annotations=[dict(result=marks)]))
    (place / 'studio_export.json').write_text(json.dumps(export))
    (place / 'studio.xml').write_text(
        '<View><KeyPointLabels name="k" toName="i"><Label value="pelvis"/></KeyPointLabels>'
        '<RectangleLabels name="r" toName="i"><Label value="pelvis"/></RectangleLabels>'
        '<Image name="i" value="$img"/></View>'
    )


def install(place: Path, python: str, pip_args: list[str]) -> Path:
    """Make an environment with a stock MMPose and the wheel; return its interpreter."""
    say('the wheel, and a stock MMPose')
    wheels = place / 'wheels'
    pip = [python, '-m', 'pip']
    shutil.rmtree(ROOT / 'build', ignore_errors=True)
    call([*pip, 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '-w', str(wheels), '.'])
    shutil.rmtree(ROOT / 'build', ignore_errors=True)
    call([python, '-m', 'venv', str(place / 'host')])
    host = place / 'host' / 'bin' / 'python'
    pip = [str(host), '-m', 'pip', '--quiet', '--disable-pip-version-check', 'install']
    requirements = ['-r', 'requirements/host.txt', '-c', 'requirements/constraints.txt']
    call([*pip, '--prefer-binary', *pip_args, *requirements])
    call([*pip, '--no-deps', '-r', 'requirements/mmpose.txt'])
    before = frozen(host)
    (wheel,) = wheels.glob('*.whl')
    call([*pip, *pip_args, f'{wheel}[tools]'])
    say('what the plug-in brought with it')
    print('\n'.join(sorted(frozen(host) - before)))
    return host


def frozen(python: Path) -> set[str]:
    """Return the installed packages with their versions."""
    done = subprocess.run(
        [python, '-m', 'pip', 'freeze'], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines())


def call(command: list[str]) -> None:
    """Run a command of the set-up; end everything when it fails."""
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        raise SystemExit(f'failed: {shlex.join(command)}')


def say(words: str) -> None:
    """Print what begins."""
    print(f'== {words}', flush=True)


def check(host: Host, steps: list[Step], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run steps; return a row of each, and one of each script that has none."""
    host.prepare(args.data, args.config, args.options)
    rows = []
    for step in steps:
        begin = time.monotonic()
        result = host.do(step, args.seconds)
        rows.append(dict(tool=step.tool, options=step.options, by=step.by, result=result))
        took = time.monotonic() - begin
        print(f'{result["status"]:7} {took:4.0f} s  {step.tool} {step.options}'
              f'{": " + result["why"] if "why" in result else ""}', flush=True)  # fmt: skip
    if args.slice or args.only:
        return rows
    tools = {step.tool for step in steps}
    for name in sorted(host.scripts() | set(NOT_APPLICABLE)):
        if name in tools:
            continue
        result = (
            dict(status='n/a', why=NOT_APPLICABLE[name])
            if name in NOT_APPLICABLE
            else dict(status='failed', why='a script that this list does not know')
        )
        rows.append(dict(tool=name, options='', by='', result=result))
    return rows


def merge(hosts: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Put the rows of several hosts side by side."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for version, rows in hosts.items():
        for row in rows:
            key = row['tool'], row['options']
            step = merged.setdefault(
                key, dict(tool=row['tool'], options=row['options'], by=row['by'], results={})
            )
            step['results'][version] = row['result']
    return list(merged.values())


def renew(record: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Put the results of steps or hosts that were run again into a record.

    What is no longer in the list leaves it.
    """
    listed = {(step.tool, step.options) for step in STEPS} | {(tool, '') for tool in NOT_APPLICABLE}
    before = {(row['tool'], row['options']): row for row in record['rows']}
    rows = {key: row for key, row in before.items() if key in listed}
    for row in new['rows']:
        step = rows.setdefault((row['tool'], row['options']), dict(row, results={}))
        step['results'].update(row['results'])
    hosts = {**record['hosts'], **new['hosts']}
    return dict(record, date=new['date'], hosts=hosts, rows=list(rows.values()))


def table(record: dict[str, Any]) -> str:
    """Return the table of a record, in Markdown: what ran, then what does not apply."""
    versions = list(record['hosts'])
    lines = [
        f'| tool | with | started by | {" | ".join(versions)} |',
        f'|---|---|---|{"---|" * len(versions)}',
    ]
    left_out: dict[str, list[str]] = {}
    for row in record['rows']:
        results = row['results']
        if not row['by'] and all(result['status'] == 'n/a' for result in results.values()):
            left_out.setdefault(next(iter(results.values()))['why'], []).append(row['tool'])
            continue
        cells = [_cell(results.get(version, dict(status='n/a'))) for version in versions]
        lines.append(f'| {row["tool"]} | {row["options"]} | {row["by"]} | {" | ".join(cells)} |')
    lines += ['', '| not for this plug-in | why |', '|---|---|']
    lines += [f'| {", ".join(names)} | {why} |' for why, names in left_out.items()]
    return '\n'.join(lines)


def _cell(result: dict[str, Any]) -> str:
    why = result.get('why', '').replace('|', '/')
    return result['status'] + (f': {why}' if why else '')


def write_page(record: dict[str, Any], page: Path) -> None:
    """Put the table of a record between the page's marks."""
    hosts = record['hosts'].values()
    said = f'Recorded {record["date"]} on {record["machine"]}: ' + '; '.join(
        ', '.join(f'{name} {version}' for name, version in host.items()) for host in hosts
    )
    put_between(page, START, END, f'{said}.\n\n{table(record)}')


def put_between(page: Path, start: str, end: str, text: str) -> None:
    """Replace what stands between two marks of a page."""
    before, _, rest = page.read_text('utf-8').partition(start)
    _, _, after = rest.partition(end)
    temporary = page.with_suffix('.tmp')
    temporary.write_text(f'{before}{start}\n{text}\n{end}{after}', 'utf-8')
    temporary.replace(page)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--hosts', nargs='+', default=['1.3.2'], help="versions of mmpose, or 'here': see above"
    )
    parser.add_argument('--slice', action='store_true', help='a few steps, for every submission')
    parser.add_argument('--only', metavar='PATTERN', help="steps whose 'tool options' match")
    parser.add_argument(
        '--config', default='unsct_hrnet_tha.py', help='the entry config, in configs/'
    )
    parser.add_argument('--data', type=lambda path: Path(path).resolve() if path else None,
                        help='train the entry config on this folder')  # fmt: skip
    parser.add_argument('--options', default='', help='further --cfg-options of that training')
    parser.add_argument('--seconds', type=float, default=600, help='limit of each step')
    parser.add_argument('--pip-args', type=shlex.split, default=[], help='in one string')
    parser.add_argument(
        '--record', nargs='?', type=Path, const=RECORD,
        help='put the results into the json (default: %(const)s)',
    )  # fmt: skip
    parser.add_argument('--keep', action='store_true', help='keep the folders')
    parser.add_argument('--page', action='store_true', help='write the page from the json')
    return parser.parse_args()


def main() -> int:
    """Run the check; return 1 when a step failed."""
    args = parse_args()
    if args.page:
        write_page(json.loads(RECORD.read_text('utf-8')), PAGE)
        return 0
    steps = [step for step in STEPS if step.quick or not args.slice]
    if args.only:  # the first training makes the checkpoint that most others need
        steps = [step for step in steps if step == STEPS[1]
                 or fnmatch.fnmatch(f'{step.tool} {step.options}', args.only)]  # fmt: skip
    place = Path(tempfile.mkdtemp(prefix='check_host_'))
    versions, results = {}, {}
    try:
        if args.hosts != ['here']:
            stock = install(place, sys.executable, args.pip_args)
        for wanted in args.hosts:
            say(f'mmpose {wanted}')
            here = wanted == 'here'
            python = Path(sys.executable) if here else stock
            if not here:
                pip = [str(python), '-m', 'pip', '--quiet', '--disable-pip-version-check']
                mmcv = f'mmcv-lite=={MMCV.get(wanted, MMCV[""])}'
                call([*pip, 'install', '--no-deps', *args.pip_args, f'mmpose=={wanted}', mmcv])
            folder = place / f'empty_{wanted}'
            folder.mkdir()
            host = Host(python, folder, here)
            try:
                versions[wanted], results[wanted] = host.versions(), check(host, steps, args)
            finally:
                host.close()
    finally:
        if args.keep:
            print(place)
        else:
            shutil.rmtree(place, ignore_errors=True)
    record = dict(
        command=shlex.join(['python', '.ci/check_host.py', *sys.argv[1:]]),
        date=time.strftime('%Y-%m-%d', time.gmtime()),
        machine=f'{platform.machine()} {platform.system()}, {os.cpu_count()} cores',
        hosts=versions,
        rows=merge(results),
    )
    print(f'\n{table(record)}')
    if args.record and args.record.is_file():
        record = renew(json.loads(args.record.read_text('utf-8')), record)
    if args.record:
        args.record.write_text(json.dumps(record, indent=1) + '\n', 'utf-8')
    judged = [result['status'] for row in record['rows'] for result in row['results'].values()]
    bad = judged.count('failed')
    say('every tool and option works here' if not bad else f'{bad} failed')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
