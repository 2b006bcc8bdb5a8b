# Commands for users. Every target first makes .venv from uv.lock; needs Python 3.11 to 3.13 with venv.

PYTHON ?= python3
UV_VERSION := 0.13.9
EXTRAS ?=
PY := .venv/bin/python
export UV_PYTHON_DOWNLOADS := never

# Variables that a user may set, with their defaults
DATA ?=
KAGGLE_ROOT ?= /kaggle
KAGGLE := $(if $(wildcard $(KAGGLE_ROOT)/working),$(KAGGLE_ROOT)/working/)
export KAGGLE_ROOT
OUT ?= $(KAGGLE)data/shards
CONFIG ?= configs/paper.py
WORKERS ?=
ENGINE ?=
PARTITION ?=
LAYOUT ?=
LIST ?=
NAME ?=
PPI ?=
RAW ?=
SKIP_BAD ?=
REBUILD ?=
RUN ?= $(KAGGLE)checkpoints/dense_reg
RESUME ?=
SHIPPED := model/dense_reg.safetensors
TRAINED = $(RUN)/dense_reg_ckpt.safetensors
CHECKPOINT ?=
# a variable that the user set: in the environment or on the command line
given = $(filter-out undefined default file,$(origin $(1)))
# the network to register with: CHECKPOINT, that of RUN if it is given, else the one that ships
NETWORK = $(or $(CHECKPOINT),$(if $(call given,RUN),$(TRAINED),$(SHIPPED)))
# the network to evaluate: the same, but that of the default RUN once it was trained
EVALUATED = $(or $(CHECKPOINT),$(if $(call given,RUN),$(TRAINED),$(or $(wildcard $(TRAINED)),$(SHIPPED))))
PLATFORM ?=
SET ?=
TOPOLOGY ?= v5e:2x4
DEMO := runs/demo
DEMO_PAIR := $(addprefix $(DEMO)/images/synthetic/demo/,00019_0.png 00019_2.png)  # of the test split

comma := ,
space := $() $()
path = "$(patsubst ~/%,$(HOME)/%,$(1))"
list = $(foreach item,$(subst $(2), ,$(subst $(space),|,$(1))),$(3) $(call path,$(subst |,$(space),$(item))))
flag = $(if $(filter-out 0,$($(1))),$(2))
data = $(call list,$(DATA),:,--data)
partitions = $(call list,$(PARTITION),$(comma),--partition)
pixels = $(if $(PPI),--ppi $(PPI)) $(if $(RAW),--raw $(RAW))
own = $(if $(LAYOUT),--layout '$(LAYOUT)') $(if $(LIST),--list $(call path,$(LIST))) $(if $(NAME),--name $(NAME)) $(pixels)
settings = $(foreach item,$(SET),--set $(item))

.PHONY: help demo shards verify show train train-tpu check-tpu evaluate register adapt shipped shipped-today wheel test test-processors lint lock bench \
  bench-gpu bench-here tpu-seen gpu-seen soak
.DEFAULT_GOAL := help

help:
	@echo "make demo                      all stages on synthetic fingers, no data needed -> $(DEMO)/report.html"
	@echo "make shards [DATA=dir[:dir]] [OUT=dir] [CONFIG=file] [WORKERS=n] [PARTITION=p[,p]] [ENGINE=ray]"
	@echo "            [LAYOUT='{finger}_{impression}'|LIST=file NAME=name PPI=n]   your own images (docs/OWN_DATA.md)"
	@echo "            [SKIP_BAD=1] [REBUILD=1]   leave out unusable images | replace a set with other settings"
	@echo "make verify | show [OUT=dir]   integrity of a shard set | a contact sheet of its pairs"
	@echo "make train [OUT=dir] [RUN=dir] [CONFIG=file] [RESUME=latest] [SET='train.epochs=10 ...']"
	@echo "make train-tpu [PLATFORM=cpu]  the same, refuses without TPU cores (cpu: 8 CPU devices instead)"
	@echo "make check-tpu [TOPOLOGY=$(TOPOLOGY)]  compiles the step for TPU cores, without a TPU: memory, FLOPs, hours"
	@echo "make evaluate [OUT=dir] [RUN=dir]  accuracy on held-out pairs"
	@echo "make register A=image B=image  a dense map, a score, a picture, by the network that ships or RUN=dir"
	@echo "make adapt DATA=dir PPI=n      fine-tunes the network that ships on unlabelled prints of a sensor -> $(ADAPTED); an experiment"
	@echo "make shipped                   trains the network that ships again, with the program of its commit: hours on two cores"
	@echo "make shipped-today             trains such a network with the program as it is now"
	@echo "make wheel                     dist/denseregistration-VERSION-py3-none-any.whl: the library densereg (docs/API.md)"
	@echo "make test | lint | lock        tests | style and types | renew uv.lock"
	@echo "make test-processors           the tests as on processors without AVX-512, four times"
	@echo "make soak                      attacks: kills, byte faults, special files, too little memory; 20 minutes"
	@echo "make bench                     speeds of build, loader, training and registration, as ratios"
	@echo "make bench-gpu                 the published network on a GPU: pairs/s, MFU, peak memory, hours of a whole run"

# --- installation: one stamp for each set of optional groups; shards and train always belong to it ---
extras = $(sort $(1) $(EXTRAS))
stamp = .venv/.installed$(subst $() ,,$(addprefix -,$(call extras,$(1))))
BASE := $(call stamp,)
DEV := $(call stamp,dev)

# the optional groups of a stamp such as .venv/.installed-cuda-dev
groups = $(filter-out installed,$(subst -, ,$*))
$(sort $(BASE) $(DEV)): .venv/.%: uv.lock pyproject.toml
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "error: '$(PYTHON)' is not Python 3.11 to 3.13; choose another: make ... PYTHON=python3.12" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "error: '$(PYTHON) -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into .venv from uv.lock$(if $(groups), ($(groups)))"
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@.venv/bin/uv sync --quiet --frozen --inexact --python $(PY) $(addprefix --extra ,shards train $(groups))
	@touch $@

# --- all stages on synthetic fingers ---
demo: $(BASE)
	@echo "1/6 synthetic fingers"
	@exec $(PY) -m pipeline synth --out $(DEMO)/images --name demo --fingers 160 --impressions 4 --seed 1
	@echo "2/6 shards"
	@exec $(PY) -m pipeline build --config configs/demo.py --data $(DEMO)/images --out $(DEMO)/shards --skip-bad
	@echo "3/6 integrity"
	@exec $(PY) -m shards verify $(DEMO)/shards --deep
	@echo "4/6 training"
	@exec $(PY) -m train run --config configs/demo.py --shards $(DEMO)/shards --checkpoint_dir $(DEMO)/run
	@echo "5/6 one pair of two impressions of a finger that was held out"
	@exec $(PY) -m model register $(DEMO_PAIR) --checkpoint $(DEMO)/run/dense_reg_ckpt.safetensors --out $(DEMO)/registration.npz --picture $(DEMO)/registration.png
	@echo "6/6 accuracy on held-out fingers, report"
	@exec $(PY) -m train report --shards $(DEMO)/shards --run $(DEMO)/run --picture $(DEMO)/registration.png --out $(DEMO)/report.html

# --- from data to a trained network ---
shards: $(BASE)
	exec $(PY) -m pipeline build --out $(call path,$(OUT)) --config $(call path,$(CONFIG)) $(data) $(own) $(partitions) $(if $(WORKERS),--workers $(WORKERS)) $(if $(ENGINE),--engine $(ENGINE)) $(call flag,SKIP_BAD,--skip-bad) $(call flag,REBUILD,--rebuild) $(settings)

verify: $(BASE)
	exec $(PY) -m shards verify $(call path,$(OUT))

show: $(BASE)
	exec $(PY) -m shards show $(call path,$(OUT)) --out $(call path,$(OUT))/sheet.png $(partitions)

train: $(BASE)
	exec $(PY) -m train run --shards $(call path,$(OUT)) --checkpoint_dir $(call path,$(RUN)) --config $(call path,$(CONFIG)) $(if $(RESUME),--resume_from $(RESUME)) $(settings)

ifeq ($(PLATFORM),cpu)
train-tpu: $(BASE)
	@$(if $(call given,CONFIG),:,echo "eight CPU devices: configs/demo.py$(comma) since the published network holds 17 GB and needs minutes for a step; CONFIG= names another")
	exec env JAX_PLATFORMS=cpu $(PY) -m train run --shards $(call path,$(OUT)) --checkpoint_dir $(call path,$(RUN)) --config $(call path,$(if $(call given,CONFIG),$(CONFIG),configs/demo.py)) $(if $(call given,CONFIG),,--set train.batch_size=8) --devices 8 $(if $(RESUME),--resume_from $(RESUME)) $(settings)
else
train-tpu: tpu-seen .venv-tpu/.installed
	exec .venv-tpu/bin/python -m train run --require tpu --shards $(call path,$(OUT)) --checkpoint_dir $(call path,$(RUN)) --config $(call path,$(CONFIG)) $(if $(RESUME),--resume_from $(RESUME)) $(settings)
endif

# Checked before anything is installed. JAX itself decides later whether there are cores.
tpu-seen:
	@test -n "$(wildcard /dev/accel* /dev/vfio/[0-9]*)$(TPU_ACCELERATOR_TYPE)$(TPU_NAME)" || { \
	  echo "error: no TPU found (/dev/accel*, /dev/vfio/*, TPU_ACCELERATOR_TYPE, TPU_NAME);" \
	    "make train-tpu PLATFORM=cpu uses 8 CPU devices instead" >&2; exit 1; }

gpu-seen:
	@test -n "$(wildcard /dev/nvidia[0-9]* /dev/nvidiactl /dev/dxg)" || { \
	  echo "error: no NVIDIA GPU found (/dev/nvidia*, /dev/dxg); make bench measures this machine's CPU" >&2; exit 1; }

# An environment of its own: with libtpu beside it, JAX would look for TPU cores in every other command.
.venv-tpu/.installed: uv.lock pyproject.toml | $(BASE)
	@echo "installing into .venv-tpu from uv.lock (tpu)"
	@UV_PROJECT_ENVIRONMENT=.venv-tpu .venv/bin/uv sync --quiet --frozen --python $(PY) --extra shards --extra train --extra tpu
	@touch $@

check-tpu: .venv-tpu/.installed
	@exec env JAX_PLATFORMS=cpu TPU_WORKER_HOSTNAMES=localhost TPU_ACCELERATOR_TYPE=v5litepod-8 ALLOW_MULTIPLE_LIBTPU_LOAD=1 \
	  .venv-tpu/bin/python -m train check-tpu --config $(call path,$(CONFIG)) --topology $(TOPOLOGY) $(settings)

evaluate: $(BASE)
	exec $(PY) -m train evaluate --shards $(call path,$(OUT)) --checkpoint $(call path,$(EVALUATED)) --out $(call path,$(RUN))/evaluation

register: $(BASE)
	@test -n "$(A)" -a -n "$(B)" || { echo "usage: make register A=image B=image [RUN=dir|CHECKPOINT=file]" >&2; exit 2; }
	exec $(PY) -m model register $(call path,$(A)) $(call path,$(B)) --checkpoint $(call path,$(NETWORK)) --out registration.npz --picture registration.png

# --- the network that ships ---
# The commit whose program and uv.lock made model/dense_reg.safetensors (model/dense_reg.md)
SHIPPED_COMMIT := 17582111816f9e3ac071a641ebbf7d3f1bf31035
FROM := runs/shipped
shipped: $(BASE)
	@git cat-file -e $(SHIPPED_COMMIT) 2>/dev/null || { echo "error: commit $(SHIPPED_COMMIT) is not in this clone;" \
	  "fetch the whole history: git fetch --unshallow" >&2; exit 1; }
	@test -d $(FROM)/source || git worktree add --detach $(FROM)/source $(SHIPPED_COMMIT)
	$(MAKE) -C $(FROM)/source shipped
	exec $(PY) -m train export --checkpoint $(FROM)/source/model/dense_reg.safetensors --out $(FROM)/dense_reg.safetensors
	@$(PY) -c 'import sys; from pathlib import Path; from model.network import tensor_file; \
	  a, b = [tensor_file.read(Path(path))[0] for path in sys.argv[1:]]; \
	  sys.exit(any(a[name].tobytes() != b[name].tobytes() for name in a))' $(FROM)/dense_reg.safetensors $(SHIPPED) \
	  && echo "the same parameters as $(SHIPPED), whose calibration is of today's program" || \
	  echo "$(FROM)/dense_reg.safetensors differs from $(SHIPPED), as rounding differs between processors"

# The same recipe with today's program and lock: a candidate for shipping
shipped-today: $(BASE)
	exec $(PY) -m pipeline synth --out $(FROM)/images --name shipped --fingers 900 --impressions 8 --seed 7
	exec $(PY) -m pipeline build --config configs/shipped.py --data $(FROM)/images --out $(FROM)/shards --skip-bad
	exec $(PY) -m train run --config configs/shipped.py --shards $(FROM)/shards --checkpoint_dir $(FROM)/run
	exec $(PY) -m train calibrate --shards $(FROM)/shards --checkpoint $(FROM)/run/dense_reg_ckpt.safetensors

# --- a network for another sensor: copies of unlabelled prints, beside synthetic fingers ---
ADAPTED = runs/adapt
adapt_run = $(call path,$(if $(call given,RUN),$(RUN),$(ADAPTED)))
COPIES := 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16  # sets of three degraded copies of each print
adapt: $(BASE)
	@test -n "$(DATA)" || { echo "usage: make adapt DATA=folder PPI=500 [RUN=dir] [CHECKPOINT=file]" >&2; exit 2; }
	@for k in $(COPIES); do \
	  $(PY) -m pipeline build --config configs/adapt.py --out $(adapt_run)/shards $(data) --layout unlabelled --name copies$$k \
	    $(pixels) $(call flag,SKIP_BAD,--skip-bad) || exit; done
	exec $(PY) -m pipeline build --config configs/adapt.py --out $(adapt_run)/shards --partition synthetic/adapt
	exec $(PY) -m train run --config configs/adapt.py --shards $(adapt_run)/shards --checkpoint_dir $(adapt_run) --start-from $(call path,$(or $(CHECKPOINT),$(SHIPPED))) $(settings)
	exec $(PY) -m train calibrate --shards $(adapt_run)/shards --checkpoint $(adapt_run)/dense_reg_ckpt.safetensors

# --- the library: one package, densereg (docs/API.md) ---
wheel: $(BASE)
	@.venv/bin/uv build --quiet --wheel --out-dir dist --python $(PY) .
	@echo "pip install dist/*.whl installs the library densereg and the command densereg"

# --- development ---
test: $(DEV)
	exec $(PY) -m pytest -n 2

# The tests with the instructions that XLA, OpenBLAS and OpenCV would use on older processors. Four runs
# of `make test`.
test-processors: $(DEV)
	exec $(PY) -m pytest -n 2
	XLA_FLAGS=--xla_cpu_max_isa=AVX2 $(PY) -m pytest -n 2
	OPENBLAS_CORETYPE=Prescott $(PY) -m pytest -n 2
	OPENCV_CPU_DISABLE=AVX512-SKX $(PY) -m pytest -n 2

lint: $(DEV)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

# Attacks from outside: kills of builds and trainings, byte faults, special files, too little memory
soak: $(DEV)
	@$(PY) tests/soak

bench: $(BASE)
	@exec $(PY) tests/bench

# The published network in bfloat16 on synthetic shards: pairs/s, MFU, peak memory, hours of a whole run
bench-gpu: gpu-seen
	@$(MAKE) --no-print-directory EXTRAS='$(sort cuda $(EXTRAS))' bench-here REQUIRE='--require gpu'

bench-here: $(BASE)
	@exec $(PY) tests/bench/bench_train.py $(REQUIRE) --config $(CONFIG) --set model.compute_dtype=bfloat16 $(settings)

lock: $(DEV)
	.venv/bin/uv lock --upgrade
