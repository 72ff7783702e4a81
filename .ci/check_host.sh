#!/usr/bin/env bash
# Install the wheel into a stock MMPose, away from the checkout, and train with MMPose's own script.
# Usage: check_host.sh PYTHON [CONFIG [DATA]]   (a config of ours; a folder as make_phantom writes)
# KEEP=1 keeps the folder; OPTIONS are further --cfg-options.
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$repository"
python="$1"
config="${2:-unsct_hrnet_tha.py}"
data="${3:-}"
[ -z "$data" ] || data="$(cd "$data" && pwd)"

place="$(mktemp -d)"
[ -n "${KEEP:-}" ] || trap 'rm -rf "$place"' EXIT
unset PYTHONPATH
export MPLBACKEND=Agg
echo "== the wheel, and a stock MMPose in $place"
rm -rf build
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$place" .
rm -rf build
"$python" -m venv "$place/host"
pip=("$place/host/bin/python" -m pip --quiet --disable-pip-version-check install)
# shellcheck disable=SC2086
"${pip[@]}" --prefer-binary ${PIP_ARGS:-} -r requirements/host.txt -c requirements/constraints.txt
"${pip[@]}" --no-deps -r requirements/mmpose.txt
"$place/host/bin/python" -m pip freeze >"$place/before.txt"
# shellcheck disable=SC2086
"${pip[@]}" ${PIP_ARGS:-} "$place"/*.whl
echo '== what the plug-in brought with it'
"$place/host/bin/python" -m pip freeze | comm -13 <(sort "$place/before.txt") <(sort) || true

mkdir "$place/empty"
cd "$place/empty"
packages="$("$place/host/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
ours="$packages/unsct_mmpose/.mim"
if [ -z "$data" ]; then
  echo '== a few phantoms'
  "$place/host/bin/python" "$ours/tools/make_phantom.py" --out phantom \
    --train 4 --val 2 --test 2 --seed 0 --jobs 2
  data="$place/empty/phantom"
fi
echo "== MMPose's own tools/train.py on $config"
# shellcheck disable=SC2086
UNSCT_DATA="$data" "$place/host/bin/python" "$packages/mmpose/.mim/tools/train.py" \
  "$ours/configs/$config" --work-dir work_dir --cfg-options \
  train_cfg.max_epochs=1 train_cfg.val_interval=1 default_hooks.checkpoint.interval=1 \
  train_dataloader.batch_size=2 val_dataloader.batch_size=2 \
  train_dataloader.num_workers=0 train_dataloader.persistent_workers=False \
  val_dataloader.num_workers=0 val_dataloader.persistent_workers=False ${OPTIONS:-}
ls work_dir
test -f work_dir/epoch_1.pth
echo '== the existing installation trains: passed'
