"""Every notebook of a room is a test of that room.
Each runs in a process of its own, forked from one that has the imports."""
import contextlib, multiprocessing, sys
from pathlib import Path

import pytest
from nbdev.config import get_config

from repo import NBS, NOTEBOOKS, ROOMS, ROOT, cells

def skipped(nb): return any('skip_exec: true' in c['source'] for c in cells(nb, 'raw'))

MORE = [p for p in NOTEBOOKS if p not in ROOMS and NBS/'experiments' not in p.parents]
OTHERS, SKIPPED = ([p for p in MORE if skipped(p) == b] for b in (False, True))
processes = multiprocessing.get_context('forkserver')
HEAVY = 'torch torchvision torchaudio timm open_clip torchmetrics matplotlib.pyplot nbdev.test'.split()
processes.set_forkserver_preload(HEAVY)

def execute(nb, flags, log):
    from nbdev.test import test_nb
    multiprocessing.set_start_method('fork', force=True)  # as in a kernel; here it would be the forkserver's
    with log.open('w') as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        passed, _ = test_nb(nb, skip_flags=flags, basepath=ROOT)
    sys.exit(not passed)

@pytest.mark.parametrize('nb', ROOMS + OTHERS, ids=lambda p: p.stem)
def test_notebook(nb, tmp_path):
    log = tmp_path/'log'
    p = processes.Process(target=execute, args=(nb, get_config(path=ROOT).tst_flags.split(), log))
    p.start()
    try: p.join()
    finally: p.kill()  # the time limit ends the test, and this the notebook
    if not p.exitcode: return
    said = log.read_text() if log.exists() else ''
    pytest.fail(f'{nb.name} ended with {p.exitcode}\n{said}', pytrace=False)

@pytest.mark.parametrize('nb', SKIPPED, ids=lambda p: p.stem)
def test_what_is_skipped_here_runs_elsewhere(nb):
    "A notebook that says `skip_exec` would pass above without a single cell, so another test has to run it."
    others = (p.read_text() for p in Path(__file__).parent.glob('test_*.py') if p != Path(__file__))
    assert any(nb.stem in text and 'execute_notebook' in text for text in others)
