"Every block of CONTRIBUTING.md works where it says that it belongs: it is put there, in a copy of the package."
import json, os, re, shutil, subprocess, sys

import pytest

from repo import ROOT

TEXT = (ROOT/'CONTRIBUTING.md').read_text(encoding='utf-8')
PARTS = dict(p.split('\n', 1) for p in TEXT.split('\n## ')[1:])
BLOCKS = {title: re.findall(r'^```python\n# (.*?)\n(.*?)^```', p, re.M | re.S) for title, p in PARTS.items()}

def put(module, where, code):
    "`code` into `module`: a new one, after the cell that sets a name, or at the end."
    text = module.read_text(encoding='utf-8') if module.exists() else ''
    name = re.fullmatch(r'after (\w+)', where)
    assert name or where in ('at the end', 'a new room'), where
    assert bool(text) == (where != 'a new room')
    at = len(text)
    if name: at = text.index('\n# %%', re.search(rf'^{name[1]} = ', text, re.M).start())
    module.write_text(f'{text[:at]}\n{code}\n{text[at:]}', encoding='utf-8')

def put_cell(path, where, code):
    "`code` as cells of a notebook."
    nb = json.loads(path.read_text()) if path.exists() else dict(cells=[], metadata={}, nbformat=4, nbformat_minor=5)
    tags = ['parameters'] if 'parameters' in where else []
    nb['cells'] += [dict(cell_type='code', source=s, metadata=dict(tags=tags)) for s in code.split('\n\n')]
    path.write_text(json.dumps(nb))

@pytest.mark.parametrize('title', [t for t, blocks in BLOCKS.items() if blocks])
def test_it_works_as_it_stands(title, tmp_path):
    shutil.copytree(ROOT/'sgsvg', tmp_path/'sgsvg', ignore=shutil.ignore_patterns('assets', '__pycache__'))
    (tmp_path/'sgsvg'/'assets').symlink_to(ROOT/'sgsvg'/'assets')
    (tmp_path/'nbs'/'experiments').mkdir(parents=True)
    tries = []
    for where, code in BLOCKS[title]:
        file, _, place = where.partition(', ')
        if file == 'try it': tries.append(code)
        elif 'experiments' in file: put_cell(tmp_path/file, place, code)
        else: put(tmp_path/'sgsvg'/f'{file.split("/")[1][3:-6]}.py', place, code)
    assert len(tries) == 1
    env = os.environ | {'PYTHONPATH': str(tmp_path)}
    done = subprocess.run([sys.executable, '-c', tries[0]], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

def test_each_is_short():
    lines = {t: sum(code.count('\n') for where, code in blocks if where != 'try it') for t, blocks in BLOCKS.items()}
    assert max(lines.values()) < 50 and {t for t, n in lines.items() if n} == {
        'A class', 'A baseline', 'A metric', 'A stage'}, lines
