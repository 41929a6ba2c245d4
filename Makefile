# Linux, Python 3.11 or 3.12 and make are enough. `make` alone tells what there is.
VENV := .venv
PY   := $(VENV)/bin/python

export SGSVG_SOUND = $(value SOUND)
export PYTHONNOUSERSITE = 1
export JUPYTER_PREFER_ENV_PATH = 1
export PYDEVD_DISABLE_FILE_VALIDATION = 1

.NOTPARALLEL:
.PHONY: help setup demo test test-studio lab export readme site clean distclean

help:
	@echo 'make demo [SOUND=any.mp3]  a sound to a video: out/demo.mp4, out/demo.png, out/demo.ipynb'
	@echo 'make test                  every test'
	@echo 'make test-studio           the studio in a browser; screenshots in out/studio'
	@echo 'make lab [FRESH=1]         JupyterLab on copies of the notebooks in lab/; FRESH sets changed ones anew and keeps them beside'
	@echo 'make export                notebooks to modules, notebooks cleaned'
	@echo 'make readme                README.md and its pictures, from nbs/index.ipynb and the imports'
	@echo 'make site                  the notebooks as web pages, in _docs/'
	@echo 'make clean, distclean      remove what was made; distclean also removes $(VENV)'
	@echo 'All set up $(VENV) by themselves. PYTHON=python3.12 names the Python to take, TORCH_INDEX=ADDRESS a PyTorch without CUDA.'

setup:
	@sh .ci/setup

demo:
	@sh .ci/demo

test:
	@sh .ci/setup test
	@$(PY) -m pytest -q

test-studio:
	@sh .ci/studio

lab: setup
	@$(PY) tools/lab.py $(if $(FRESH),--fresh)

export: setup
	@$(VENV)/bin/nbdev_export
	@$(VENV)/bin/nbdev_clean

readme: setup
	@$(PY) tools/draw.py
	@$(PY) tools/used.py
	@$(PY) tools/make_readme.py

site:
	@sh .ci/setup site
	@$(PY) tools/site.py

clean:
	@rm -rf out build dist *.egg-info _docs _proc .pytest_cache .hypothesis .ruff_cache .benchmarks
	@find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)
