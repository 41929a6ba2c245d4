"What a room may never import, whatever its number; and what no file may have."
import subprocess, sys

import pytest

from repo import EXPERIMENTS, ROOMS, ROOT, WALKTHROUGHS, rel
from test_imports import rooms

NUMBER = {nb.stem[3:]: int(nb.stem[:2]) for nb in ROOMS}
WORLD = {r for r, n in NUMBER.items() if 20 < n < 30}
DATA = {r for r, n in NUMBER.items() if 20 <= n < 40 or r == 'sources'}
NETS = {r for r, n in NUMBER.items() if 40 <= n < 60}

def below(first, last): return [r for r, n in NUMBER.items() if first <= n <= last]

def reached(room):
    "Every room that comes with `room`, itself left out"
    found, todo = set(), [room]
    while todo:
        new = rooms(ROOT/f'sgsvg/{todo.pop()}.py')-found
        found |= new
        todo += new
    return found

@pytest.mark.parametrize('room', below(40, 49))
def test_nets_import_no_data(room): assert reached(room).isdisjoint(DATA)

@pytest.mark.parametrize('room', below(30, 39))
def test_footage_imports_no_painters(room): assert reached(room).isdisjoint(WORLD)

@pytest.mark.parametrize('room', sorted(r for r in NUMBER if r.startswith('stages_')))
def test_stages_import_no_painters(room): assert reached(room).isdisjoint(WORLD | {'sources', 'dataset', 'model'})

def test_train_imports_no_nets(): assert reached('train').isdisjoint(NETS)

@pytest.mark.parametrize('room', sorted({'metrics', 'judge'} & NUMBER.keys()))
def test_a_judge_does_not_import_what_it_judges(room):
    judged = {'model', 'clipspace'} | {r for r in NUMBER if r.startswith('stages')}
    assert reached(room).isdisjoint(judged)

def test_sweep_imports_ground_alone():
    assert all(NUMBER[r] < 10 for r in rooms(ROOT/'sgsvg/sweep.py'))

def test_studio_reaches_nets_through_the_product(): assert rooms(ROOT/'sgsvg/studio.py').isdisjoint(NETS)

@pytest.mark.parametrize('room', NUMBER)
def test_nobody_imports_the_command(room): assert 'cli' not in rooms(ROOT/f'sgsvg/{room}.py')

@pytest.mark.parametrize('path', EXPERIMENTS + WALKTHROUGHS, ids=rel)
def test_no_notebook_imports_the_command(path): assert 'cli' not in rooms(path)

def test_lint():
    ruff = [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise', '.']
    found = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
