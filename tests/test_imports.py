"One direction of import, the files that must be there, and those that must not."
import ast, re, sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, requires

import pytest
from packaging.specifiers import SpecifierSet

from repo import EXPERIMENTS, NOTEBOOKS, ROOMS, ROOT, WALKTHROUGHS, cells, rel, tracked

NUMBER = {nb.stem[3:]: int(nb.stem[:2]) for nb in ROOMS}
MODULES = sorted((ROOT/'sgsvg').glob('[!_]*.py'))
DISTRIBUTIONS = cache(packages_distributions)

def installed(name):
    try: return distribution(name)
    except PackageNotFoundError: return None

def code(path):
    "The Python of a module or notebook; lines that only IPython understands are left out."
    if path.suffix == '.py': return path.read_text(encoding='utf-8')
    plain = [c['source'] for c in cells(path) if not c['source'].startswith('%%')]
    return '\n'.join(re.sub(r'^(\s*)[%!].*', r'\1pass', s, flags=re.M) for s in plain)

def imported(path):
    "Every dotted name that `path` imports, `from a import b` as `a.b`, relative ones as of `sgsvg`."
    for n in ast.walk(ast.parse(code(path))):
        if isinstance(n, ast.Import): yield from (a.name for a in n.names)
        if isinstance(n, ast.ImportFrom):
            base = '.'.join(filter(None, ['sgsvg' if n.level else '', n.module or '']))
            yield from (f'{base}.{a.name}' for a in n.names)

def rooms(path):
    "The rooms that `path` imports."
    parts = (n.split('.') for n in imported(path))
    return {p[1] for p in parts if p[0] == 'sgsvg' and len(p) > 1 and p[1] in NUMBER}

@pytest.mark.parametrize('path', MODULES + ROOMS, ids=rel)
def test_imports_go_down(path):
    own = NUMBER[path.stem.removeprefix(path.stem[:3]) if path.suffix == '.ipynb' else path.stem]
    assert sorted(r for r in rooms(path) if NUMBER[r] >= own) == []

@pytest.mark.parametrize('path', MODULES + NOTEBOOKS, ids=rel)
def test_nobody_imports_a_leaf_notebook(path):
    leaves = {'experiments', 'walkthroughs', *(p.stem for p in EXPERIMENTS + WALKTHROUGHS)} - NUMBER.keys()
    own = [n.removeprefix('sgsvg.').split('.')[0] for n in imported(path) if n.startswith('sgsvg.')]
    assert leaves.isdisjoint(own) and not {'experiments', 'walkthroughs'} & {n.split('.')[0] for n in imported(path)}

@pytest.mark.parametrize('path', MODULES + NOTEBOOKS, ids=rel)
def test_nobody_imports_a_private_name(path):
    names = (n.split('.')[-1] for n in imported(path) if n.startswith('sgsvg.'))
    assert sorted(n for n in names if n.startswith('_') and not n.startswith('__')) == []

@pytest.mark.parametrize('path', MODULES + NOTEBOOKS, ids=rel)
def test_imports_are_declared(path):
    needed = (r for r in requires('sgsvg') if not re.search('extra == .(test|browser|dev)', r))   # what users can have
    wanted = {re.split(r'[^\w.-]', r)[0].lower().replace('_', '-') for r in needed}
    known = wanted | {'ipython', 'ipykernel', 'nbformat', 'nbclient'}  # these come with jupyterlab and papermill
    tops = {n.split('.')[0] for n in imported(path)} - sys.stdlib_module_names - {'sgsvg'}
    offered = {t: {d.lower().replace('_', '-') for d in DISTRIBUTIONS().get(t, [])} for t in tops}
    assert sorted(t for t, by in offered.items() if known.isdisjoint(by)) == []

@pytest.mark.parametrize('name', '''
    README.md LICENSE Makefile setup.py settings.ini constraints.txt pytest.ini MANIFEST.in .gitignore .ci/run
    nbs/index.ipynb nbs/_quarto.yml nbs/experiments nbs/walkthroughs
    sgsvg/__init__.py sgsvg/_modidx.py tests'''.split())
def test_it_is_there(name): assert (ROOT/name).exists()

def test_the_pins_take_any_python_3_11():
    "A distribution's Python is often an early 3.11."
    pins = dict(l.split('==') for l in (ROOT/'constraints.txt').read_text().split() if '==' in l)
    needs = {n: d.metadata['Requires-Python'] for n in pins if (d := installed(n))}
    assert [f'{n}: {v}' for n, v in needs.items() if v and not SpecifierSet(v).contains('3.11.0')] == []

def test_ci_runs(): assert (ROOT/'.ci/run').stat().st_mode & 0o111

# spelled so that this file does not match itself
HOSTS = (
    r'\b(?:pypi|pythonhosted|npmjs|anaconda|crates)\.(?:org|io|com)\b', r'\bdownload\.py[t]orch\.org',
    r'\b(?:deb|security)\.debia[n]\.org', r'/simple/torc[h]')
REGISTRY = re.compile('(?i)' + '|'.join(HOSTS))
MACHINE = re.compile(r'(?<![\w.:~-])/(?:work|root|home|opt|Users|mnt)/[\w.]')
MEDIA = set('.wav .mp3 .flac .ogg .opus .m4a .aac .webm .mp4 .mov .mkv .avi'.split())
OUR_OWN = {'sgsvg/assets/demo'}  # the bundled sound, synthesised by nbs/21_foley.ipynb

@pytest.fixture(scope='module')
def files():
    found = tracked()
    if found is None: pytest.skip('not a git repository')
    return found

def test_no_registry_hosts_or_machine_paths(files):
    bad = []
    for f in files:
        try: text = f.read_text(encoding='utf-8')
        except UnicodeDecodeError: continue
        text = re.sub(r'"[\w+/=\\]{400,}"', '""', text)  # pictures inside notebooks
        bad += [f'{rel(f)}: {m[0]}' for p in (REGISTRY, MACHINE) for m in p.finditer(text)]
    assert bad == []

def test_no_recordings(files):
    assert [rel(f) for f in files if f.suffix.lower() in MEDIA and rel(f).rsplit('.', 1)[0] not in OUR_OWN] == []

def test_files_are_small(files): assert [rel(f) for f in files if f.stat().st_size > 32 << 20] == []
