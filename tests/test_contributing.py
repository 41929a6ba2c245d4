"Every block of CONTRIBUTING.md works where it says that it belongs: it is put there, in a copy, and exported."
import json, os, re, shutil, subprocess, sys

import pytest

from repo import ROOMS, ROOT

TEXT = (ROOT/'CONTRIBUTING.md').read_text(encoding='utf-8')
PARTS = dict(p.split('\n', 1) for p in TEXT.split('\n## ')[1:])
BLOCKS = {title: re.findall(r'^```python\n# (.*?)\n(.*?)^```', p, re.M | re.S) for title, p in PARTS.items()}
ENV = {k: v for k, v in os.environ.items() if k != 'IN_TEST'}   # nbdev exports nothing while it is set

def cell(code, **metadata):
    return dict(cell_type='code', source=code, metadata=metadata, outputs=[], execution_count=None)

def save(path, cells): path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))

def bare(path):
    "The cells of a notebook, without outputs."
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return [c | dict(source=''.join(c['source'])) | ({} if c['cell_type'] == 'markdown' else dict(outputs=[]))
            for c in cells]

def copy(to):
    "What an export needs, in the folder `to`."
    (to/'nbs'/'experiments').mkdir(parents=True)
    for nb in ROOMS: save(to/'nbs'/nb.name, bare(nb))
    for f in 'settings.ini', 'setup.py': shutil.copy(ROOT/f, to)
    shutil.copytree(ROOT/'sgsvg', to/'sgsvg', ignore=shutil.ignore_patterns('assets', '__pycache__'))
    (to/'sgsvg'/'assets').symlink_to(ROOT/'sgsvg'/'assets')

def place(cells, where):
    "Before which of the cells a block belongs: after the one that sets a name, or at the end, before the exercises."
    if name := re.fullmatch(r'after (\w+)', where):
        return next(i for i, c in enumerate(cells, 1) if re.search(rf'^{name[1]} = ', c['source'], re.M))
    assert where == 'at the end', where
    return next((i for i, c in enumerate(cells) if c['source'].startswith('## Exercises')), len(cells))

def put(path, where, code):
    "`code` into a notebook, as one cell; as several where it is said of an experiment's other cells."
    new = where in ('a new room', 'the cell with the tag parameters')
    assert new != path.exists(), path
    cells = [] if new else bare(path)
    if where == 'its other cells': cells += map(cell, code.split('\n\n'))
    elif new: cells = [cell(code, tags=['parameters'] if 'parameters' in where else [])]
    else: cells.insert(place(cells, where), cell(code))
    save(path, cells)

def run(code, folder):
    done = subprocess.run([sys.executable, '-c', code], cwd=folder, env=ENV | {'PYTHONPATH': str(folder)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

@pytest.mark.parametrize('title', [t for t, blocks in BLOCKS.items() if blocks])
def test_it_works_as_it_stands(title, tmp_path):
    copy(tmp_path)
    tries = [code for where, code in BLOCKS[title] if where == 'try it']
    for where, code in BLOCKS[title]:
        file, _, at = where.partition(', ')
        if file != 'try it': put(tmp_path/file, at, code)
    assert len(tries) == 1
    run('from nbdev.doclinks import nbdev_export; nbdev_export()', tmp_path)
    run(tries[0], tmp_path)

def test_each_is_short():
    def length(code): return sum(not line.startswith('#|') for line in code.splitlines())
    lines = {t: sum(length(code) for where, code in blocks if where != 'try it') for t, blocks in BLOCKS.items()}
    assert max(lines.values()) < 50 and {t for t, n in lines.items() if n} == {
        'A class', 'A baseline', 'A metric', 'A stage'}, lines
