#!/usr/bin/env bash
# A session of some minutes on a machine with a GPU: speed of the published network, then a training.
#
#   OUT=results tests/bench/gpu_session.sh            # 15 minutes
#   DRY=1 OUT=results tests/bench/gpu_session.sh      # the same steps on a CPU, small, a few minutes
#
# Makes shards of synthetic fingers, measures (bench.txt: pairs/s, MFU, peak memory at batch 128, hours of
# a complete run), trains CONFIG with as many steps as fit into the remaining minutes, and leaves in OUT:
# session.txt, bench.txt, dense_reg_ckpt.safetensors, logs.tar.gz. Nothing needs a network connection if
# the packages are there, or in WHEELS. The same command continues: WORK keeps shards, bench and run.
#
#   MINUTES=15                        of everything; steps are chosen so that the training ends in time
#   SESSIONS=1                        runs of this command on one machine that share one training
#   CONFIG=configs/vit_small.py       what is trained; configs/paper.py: its checkpoint has 72 MB
#   BATCH=128  FINGERS=900            pairs of a training step; fingers to synthesize (100 pairs each)
#   SET="model.compute_dtype=bfloat16 …"   settings of the training, as --set
#   PYTHON=.venv/bin/python           or python3 where there is no .venv
#   WHEELS=folder                     .whl files to install, without their dependencies, into WORK/site
#   WORK=runs/gpu_session             keep it between two sessions on one machine
set -euo pipefail

fail() { echo "error: $*" >&2; exit 1; }
absolute() { mkdir -p "$1" && cd "$1" && pwd; }
[ -n "${OUT:-}" ] || { echo "usage: OUT=folder [DRY=1] [MINUTES=15] tests/bench/gpu_session.sh" >&2; exit 2; }
[ -z "${WHEELS:-}" ] || [ -d "$WHEELS" ] || fail "WHEELS=$WHEELS: no such folder"
OUT=$(absolute "$OUT") WHEELS=${WHEELS:+$(absolute "$WHEELS")} WORK=${WORK:+$(absolute "$WORK")}
cd "$(dirname "$0")/../.."

DRY=${DRY:-}
MINUTES=${MINUTES:-15}
SESSIONS=${SESSIONS:-1}
WORK=${WORK:-$(absolute runs/gpu_session)}
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
if [ -n "$DRY" ]; then
  CONFIG=${CONFIG:-configs/demo.py} PUBLISHED=$CONFIG BATCH=${BATCH:-4} FINGERS=${FINGERS:-12}
  ROUNDS=1 REQUIRE="" GPU=""
  export JAX_PLATFORMS=cpu
else
  CONFIG=${CONFIG:-configs/vit_small.py} PUBLISHED=configs/paper.py BATCH=${BATCH:-128} FINGERS=${FINGERS:-900}
  ROUNDS=10 REQUIRE="--require gpu" GPU=1
  # JAX reserves three quarters of a GPU's memory otherwise; the published network may need more
  export XLA_PYTHON_CLIENT_MEM_FRACTION=${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.92}
fi
MARGIN=0.8        # share of the remaining time that is planned as steps; chosen: validation, saving, compiling
SAVING_SECONDS=30 # that a training which is stopped has to save

exec > >(tee -a "$OUT/session.txt") 2>&1
left() { echo $((MINUTES * 60 - SECONDS)); }
say() { echo "[${SECONDS} s] $*"; }

# --- packages ---
export PYTHONPATH="$WORK/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
MODULES="jax flax optax orbax.checkpoint grain array_record pyfastnoiselite simplejpeg cv2 PIL scipy sklearn
  safetensors jinja2 matplotlib tqdm click tensorboardX"
missing() {  # the packages that these modules need and that cannot be imported
  "$PYTHON" -W ignore - $MODULES <<'PY'
import importlib, sys
names = {}
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
    except ImportError as error:
        names[error.name or module] = None
print(*names)
PY
}
if [ -n "${WHEELS:-}" ]; then
  "$PYTHON" -m pip install --quiet --no-index --no-deps --upgrade --target "$WORK/site" "$WHEELS"/*.whl
fi
lacking=$(missing)
[ -z "$lacking" ] || fail "$PYTHON lacks $lacking; make EXTRAS=cuda bench-gpu installs all packages into .venv;" \
  "without a network connection bring their .whl files: WHEELS=folder"
[ -z "$GPU" ] || "$PYTHON" -c 'import jax, sys; sys.exit(jax.default_backend() != "gpu")' ||
  fail "JAX finds no GPU ($PYTHON); DRY=1 runs the same steps on a CPU"
say "$("$PYTHON" -c 'import jax; print("JAX", jax.__version__, "on", jax.devices()[0].device_kind)'), $(nproc) cores"
[ -z "$GPU" ] || nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader || true

# --- shards ---
say "shards of $FINGERS synthetic fingers"
"$PYTHON" -m pipeline build --config "$CONFIG" --out "$WORK/shards" --partition synthetic/gpu \
  --set pipeline.fingers="$FINGERS" --set pipeline.impressions=8
"$PYTHON" -m shards verify "$WORK/shards" --quick

# --- speed; a failure, such as too little memory, does not end the session ---
status=0
measure() {  # FILE, then arguments of bench_train.py; a file that is there is a measurement of an earlier session
  local file=$1; shift
  [ -s "$file" ] && return
  if "$PYTHON" tests/bench/bench_train.py $REQUIRE --rounds "$ROUNDS" "$@" >"$file.part"; then
    mv "$file.part" "$file"
  else
    status=1; say "not measured: $*"
  fi
}
settings=(--set "train.batch_size=$BATCH")
for setting in ${SET:-}; do settings+=(--set "$setting"); done
say "speed of the published network"
if [ -n "$GPU" ]; then
  measure "$WORK/bench-published.txt" --config "$PUBLISHED" --set model.compute_dtype=bfloat16
fi
say "speed of $CONFIG"
measure "$WORK/bench-trained.txt" --config "$CONFIG" "${settings[@]}"
cat "$WORK"/bench-*.txt | tee "$OUT/bench.txt"

# --- training: the steps that fit, so that the learning rate reaches its end ---
rate=$(sed -n 's|^speed: \([0-9.e+]*\) pairs/s.*|\1|p' "$WORK/bench-trained.txt")
[ -n "$rate" ] || fail "no speed in $WORK/bench-trained.txt"
if [ ! -s "$WORK/steps" ]; then
  awk -v rate="$rate" -v left="$(($(left) + (SESSIONS - 1) * MINUTES * 60))" -v margin=$MARGIN -v batch="$BATCH" \
    'BEGIN { steps = int(rate * left * margin / batch); print (steps > 8 ? steps : 8) }' >"$WORK/steps"
fi
steps=$(cat "$WORK/steps")
[ -z "$DRY" ] || steps=8
say "training: $steps steps of $BATCH pairs"
seconds=$(($(left) - SAVING_SECONDS))
[ "$seconds" -gt 30 ] || seconds=30
ended=0
timeout --signal=TERM --kill-after=$SAVING_SECONDS "$seconds" "$PYTHON" -m train run $REQUIRE --config "$CONFIG" \
  --shards "$WORK/shards" --checkpoint_dir "$WORK/run" "${settings[@]}" --set train.steps="$steps" \
  --set train.epochs=100000 --set train.checkpoint_every=100000 || ended=$?
case $ended in
  0) ;;
  124) say "the time is over: the training saved its state, and the same command continues it" ;;
  *) status=1; say "the training failed (exit status $ended)" ;;
esac

# --- results ---
"$PYTHON" -m train export --checkpoint "$WORK/run" --out "$OUT/dense_reg_ckpt.safetensors" || status=1
tar -C "$WORK/run" -czf "$OUT/logs.tar.gz" logs || status=1
say "done: $(ls "$OUT" | tr '\n' ' ')"
exit $status
