"Notebooks and modules are one thing: what is exported is what is committed."
import ast, filecmp, io, json, os, re, shutil, subprocess, sys, tokenize
from collections import Counter

import pytest

import ablation, draw, used
from make_readme import readme, story
from repo import EXPERIMENTS, NBS, NOTEBOOKS, ROOMS, ROOT, cells, default_exp, rel
from sgsvg.bench import BenchCard, bench_page
from sgsvg.comparison import comparison_page

MODULES = sorted(p for p in (ROOT/'sgsvg').glob('*.py') if not p.name.startswith('_'))

def test_rooms_match_modules():
    assert {nb.stem[3:] for nb in ROOMS} == {m.stem for m in MODULES}

@pytest.mark.parametrize('nb', ROOMS, ids=lambda p: p.stem)
def test_room_exports_its_own_module(nb): assert default_exp(nb) == nb.stem[3:]

def test_one_notebook_per_module():
    twice = [n for n, k in Counter(filter(None, map(default_exp, NOTEBOOKS))).items() if k > 1]
    assert not twice, f'exported by two notebooks: {twice}'

def test_only_rooms_export():
    assert [rel(nb) for nb in NOTEBOOKS if default_exp(nb) and nb not in ROOMS] == []

@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "A copy of the repository, exported and then cleaned anew."
    to = tmp_path_factory.mktemp('copy')
    left_out = shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints', 'assets', 'runs')
    for d in 'nbs', 'sgsvg': shutil.copytree(ROOT/d, to/d, ignore=left_out)
    for f in 'settings.ini', 'setup.py': shutil.copy(ROOT/f, to/f)
    for m in MODULES: (to/rel(m)).unlink()
    (to/'sgsvg/_modidx.py').unlink(missing_ok=True)
    env = {k: v for k, v in os.environ.items() if k != 'IN_TEST'}  # nbdev exports nothing while it is set
    code = 'from nbdev.doclinks import nbdev_export; from nbdev.clean import nbdev_clean; nbdev_export(); nbdev_clean()'
    subprocess.run([sys.executable, '-c', code], cwd=to, env=env, check=True)
    return to

def differing(copy, files):
    def same(f): return (copy/f).is_file() and filecmp.cmp(ROOT/f, copy/f, shallow=False)
    return [f for f in files if not same(f)]

def test_export_changes_nothing(copy):
    made = sorted(p.relative_to(copy).as_posix() for p in (copy/'sgsvg').glob('*.py'))
    assert made == sorted(rel(p) for p in (ROOT/'sgsvg').glob('*.py'))
    assert differing(copy, made) == [], 'run `make export`'

def test_clean_changes_nothing(copy): assert differing(copy, map(rel, NOTEBOOKS)) == [], 'run `make export`'

def test_notebooks_are_small():
    assert [f'{rel(nb)}: {nb.stat().st_size:,} bytes' for nb in NOTEBOOKS if nb.stat().st_size >= 1_000_000] == []

@pytest.mark.parametrize('nb', NOTEBOOKS, ids=rel)
def test_no_bars_and_no_warnings_are_stored(nb):
    stored = [o for c in cells(nb) for o in c.get('outputs', [])]
    assert [o for o in stored if o['output_type'] == 'error' or o.get('name') == 'stderr'] == []
    bars = [o for o in stored if 'it/s]' in str(o.get('data', {}).get('text/plain')) and 'image/png' not in o['data']]
    assert bars == [], 'take the progress bars out of the stored outputs'

def test_no_folder_is_passed_over():
    hidden = [rel(d) for d in NBS.rglob('_*') if d.is_dir()]
    assert hidden == [], 'nbdev neither tests nor cleans folders with a leading _'

def statements(source):
    "Per logical line of `source`: its syntax tree and its comment."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    return [(s, comments.get(s.end_lineno, '')) for s in ast.parse(source).body]

@pytest.mark.parametrize('nb', EXPERIMENTS, ids=lambda p: p.stem)
def test_parameters(nb):
    tagged = [c for c in cells(nb) if 'parameters' in c['metadata'].get('tags', [])]
    assert len(tagged) == 1, 'exactly one cell is tagged `parameters`'
    found = statements(tagged[0]['source'])
    for s, comment in found:
        line = ast.unparse(s)
        whole = isinstance(s, ast.AnnAssign) and s.value is not None and isinstance(s.target, ast.Name)
        assert whole, f'not `name: type = value`: {line}'
        assert s.lineno == s.end_lineno and len(comment) > 3, f'needs one line and a comment: {line}'
    lines = [s.lineno for s, _ in found]
    assert len(set(lines)) == len(lines), 'one parameter a line'
    assert {'tiny', 'root'} <= {s.target.id for s, _ in found}

def test_the_story_is_made_from_the_figures():
    folder = ROOT/'results'/'default'
    assert (folder/'README.md').read_text(encoding='utf-8') == story(folder), 'run `make readme`'

def test_pages_of_results_are_made_from_their_numbers():
    results = ROOT/'results'
    made, bench = (json.loads((results/n/f'{n}.json').read_text(encoding='utf-8')) for n in ('compare', 'bench'))
    def changed(n): return ablation.page(n, ablation.written(results/f'ablation/{n}.csv'))
    pages = {f'ablation/{n}.md': changed(n) for n in ablation.FIGURES}
    pages['compare/compare.md'] = comparison_page(made, made['makers'], made['paired'], made['sound']) + '\n'
    pages['bench/bench.md'] = bench_page(bench['rows'], BenchCard(**bench['card'])) + '\n'
    assert [f for f,text in pages.items() if (results/f).read_text(encoding='utf-8') != text] == []

def test_readme_is_made_from_the_index():
    assert (ROOT/'README.md').read_text(encoding='utf-8') == readme(NBS/'index.ipynb'), 'run `make readme`'

def made(nb):
    "What the Markdown of each code cell is now, and what is stored."
    names = {}
    for c in cells(nb):
        *body, last = ast.parse(c['source']).body
        exec(compile(ast.Module(body, []), nb.name, 'exec'), names)
        now = eval(compile(ast.Expression(last.value), nb.name, 'eval'), names).data
        yield now, ''.join(c['outputs'][0]['data']['text/markdown'])

@pytest.mark.parametrize('name', ['index', 'reference'])
def test_tables_are_made_from_the_files(name, monkeypatch):
    monkeypatch.chdir(NBS)
    again = f'run nbs/{name}.ipynb again, then `make readme`'
    for now, stored in made(NBS/f'{name}.ipynb'): assert now == stored, again

@pytest.mark.parametrize('name', ['house', 'method'])
def test_pictures_are_drawn_from_the_tree(name):
    assert (NBS/f'images/{name}.svg').read_text(encoding='utf-8') == getattr(draw, name)(), 'run `make readme`'

def test_every_room_says_who_uses_it():
    wrong = [p.name for p, title in used.sentences().items() if title != cells(p, 'markdown')[0]['source']]
    assert wrong == [], 'run `make readme`'

def test_the_house_has_every_room_and_lane():
    found = draw.house()
    assert [r for r in draw.numbers() if f'>{r}</text>' not in found] == []
    high, low = draw.imports(), draw.numbers()
    between = {(low[a]//10, low[b]//10) for a in high for b in high[a] if low[a]//10 != low[b]//10}
    assert found.count('<circle') == len(between) and all(a > b for a, b in between)

def labels(source):
    "The words that a cell's own `print` calls say whatever the numbers are."
    plain = re.sub(r'^[%!].*', '', source, flags=re.M)
    calls = [s.value for s in ast.parse(plain).body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
    said = [a for c in calls if getattr(c.func, 'id', '') == 'print' for a in c.args]
    parts = [v for a in said for v in (a.values if isinstance(a, ast.JoinedStr) else [a])]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]

def printed(cell): return ''.join(''.join(o['text']) for o in cell['outputs'] if o.get('name') == 'stdout')

@pytest.mark.parametrize('nb', NOTEBOOKS, ids=rel)
def test_stored_outputs_say_what_the_code_prints(nb):
    found = [(c['source'], printed(c)) for c in cells(nb)]
    assert [(word, said) for source, said in found if said for word in labels(source) if word not in said] == []

@pytest.mark.parametrize('nb', [nb for nb in NOTEBOOKS if nb not in ROOMS], ids=rel)
def test_stored_settings_are_those_of_the_notebook(nb):
    "Names of models and files, as the cell of parameters has them."
    tagged = [ast.parse(c['source']).body for c in cells(nb) if 'parameters' in c['metadata'].get('tags', [])]
    given = {s.target.id: s.value.value for s in sum(tagged, []) if isinstance(s.value, ast.Constant)}
    shown = [c['outputs'][0]['data']['text/plain'] for c in cells(nb) if c['source'].endswith('\np') and c['outputs']]
    lines = dict(line.split(' = ', 1) for text in shown for line in ''.join(text).split('\n'))
    told = {k: v for k, v in given.items() if isinstance(v, str) and v and k in lines}
    assert [k for k, v in told.items() if v not in lines[k]] == []

def test_cells_of_the_front_tables_are_short():
    rows = [line for line in (ROOT/'README.md').read_text(encoding='utf-8').split('\n') if line.startswith('|')]
    assert [c for row in rows for c in row.split('|') if len(c.split()) > 12] == []

def test_readme_links_lead_somewhere():
    to = re.findall(r'\]\(([^)\s]+)\)', (ROOT/'README.md').read_text(encoding='utf-8'))
    assert [t for t in to if not re.match(r'https?:|#', t) and not (ROOT/t.split('#')[0]).exists()] == []
