"Wrong parameters stop a notebook before any work: for every experiment and walkthrough."
import ast, json, os, subprocess, sys

import pytest
from papermill.translators import PythonTranslator

from repo import EXPERIMENTS, NBS, WALKTHROUGHS, cells
from sgsvg import runs
from sgsvg.core import SgsvgError, save_model
from sgsvg.runs import Run, file_hash

def takes_parameters(nb): return any('parameters' in c['metadata'].get('tags', []) for c in cells(nb))

ALL = [nb for nb in EXPERIMENTS + WALKTHROUGHS if takes_parameters(nb)]   # the studio's lesson has none
TRAINED = ('generator', 'clip', 'sound', 'inversion', 'trajectory')   # what the default names stand for
every = pytest.mark.parametrize('nb', ALL, ids=lambda p: p.stem)

def opening(nb):
    "The sources of the parameters cell and of the next code cell, and of all that follow."
    code = cells(nb)
    at = next(i for i, c in enumerate(code) if 'parameters' in c['metadata'].get('tags', []))
    return code[at]['source'], code[at+1]['source'], [c['source'] for c in code[at+2:]]

def start(nb, **given):
    "What `settings` returns in `nb` if papermill is given `given`."
    parameters, call, _ = opening(nb)
    parts = [parameters, *([PythonTranslator.codify(given)] if given else []), call]
    space = {}
    with pytest.MonkeyPatch.context() as m:
        m.setattr(runs, '_history', lambda _: parts)
        for part in parts: exec(part, space)
    return space['p']

def kinds(nb):
    "The parameters of `nb`, each with its kind."
    body = ast.parse(opening(nb)[0]).body
    return {n.target.id: n.annotation.id for n in body if isinstance(n, ast.AnnAssign)}

def refusal(nb, **given):
    "The one line that `given` ends in."
    with pytest.raises(SgsvgError) as e: start(nb, **given)
    assert len(str(e.value).splitlines()) == 1
    return str(e.value)

@pytest.fixture
def trained(tmp_path, monkeypatch):
    "A working folder, empty but for nets in `shelf/`."
    for name in TRAINED:
        (tmp_path/'shelf'/name).mkdir(parents=True)
        save_model(tmp_path/'shelf'/name/'model.safetensors', {}, dict(name=name))
    (tmp_path/'here').mkdir()
    monkeypatch.chdir(tmp_path/'here')
    return tmp_path/'shelf'

def placed(nb, root): return dict(root=str(root)) if 'root' in kinds(nb) else {}

@every
def test_misspelt(nb, trained):
    for name in kinds(nb):
        slip = name + name[-1]
        assert f'unknown parameter {slip} (did you mean {name}?)' in refusal(nb, **{slip: 7})
    assert 'unknown parameter qqqq: the parameters of this notebook are' in refusal(nb, qqqq=7)
    assert os.listdir() == []

@every
def test_wrong_type(nb, trained):
    for name, kind in kinds(nb).items():
        said = f'the parameter {name} is'
        if kind != 'str': assert f"{said} 'abc', but" in refusal(nb, **{name: 'abc'})
        if kind == 'int': assert f'{said} 2.5, but a whole number is needed' in refusal(nb, **{name: 2.5})
        if kind == 'str': assert f'{said} None, but text is needed' in refusal(nb, **{name: None})
    assert os.listdir() == []

@every
def test_harmless_type(nb, trained):
    known = kinds(nb)
    given = {k: {'int': 3.0, 'float': '1e-3'}[v] for k, v in known.items() if v in ('int', 'float')}
    if 'id' in known: given['id'] = 20240501
    if 'size' in given: given['size'] = 32.
    p = start(nb, **given, **placed(nb, trained))
    right = dict(int=3, float=.001, str='20240501')
    for k in given:
        want, got = right[known[k]], getattr(p, k)
        assert got == (32 if k == 'size' else want) and type(got) is type(want)

@every
def test_what_makes_no_sense(nb, trained):
    "Refused before any work: no file, no folder."
    numbers = [k for k, v in kinds(nb).items() if v in ('int', 'float')]
    for name in numbers: assert f'{name} is -3' in refusal(nb, **{name: -3}, **placed(nb, trained))
    for name in {'steps', 'batch_size', 'size', 'clips'} & set(numbers):
        assert f'{name} is 0' in refusal(nb, **{name: 0}, **placed(nb, trained))
    if 'variant' in kinds(nb): assert 'did you mean paper?' in refusal(nb, variant='papr', **placed(nb, trained))
    assert os.listdir() == []

@every
def test_given_and_tiny(nb, trained):
    "`tiny` changes what was not given, and nothing else; a default that was given stays as well."
    place = placed(nb, trained)
    full, tiny = (start(nb, tiny=t, **place).record for t in (False, True))
    changed = {k for k in tiny if tiny[k] != full[k]} - {'tiny'}
    assert changed or nb.stem in ('pack', 'summary')
    for name in changed: assert start(nb, tiny=True, **place, **{name: full[name]}).record == {**tiny, name: full[name]}

@every
def test_everything_is_recorded(nb, trained):
    p = start(nb, **placed(nb, trained))
    assert list(p.record) == list(kinds(nb)) and json.dumps(p.record)
    assert p.record.get('device') in (None, 'cpu', 'cuda')

@every
def test_root_moves_the_inputs(nb, trained, tmp_path):
    wanted = [k for k in TRAINED if kinds(nb).get(k) and f'\n{k}: str = {k!r}' in opening(nb)[0]]
    if 'root' not in kinds(nb) or not wanted: pytest.skip('trains on nothing that was trained')
    p = start(nb, root=str(trained))
    for k in wanted:
        file = trained/k/'model.safetensors'
        assert getattr(p, k) == file and p.record[k] == dict(file=str(file), sha256=file_hash(file))
    empty = tmp_path/'empty'
    assert f'is neither a finished run under {empty} nor a file' in refusal(nb, root=str(empty))
    assert os.listdir() == [] and not empty.exists()
    elsewhere = start(nb, root=str(trained), **{wanted[0]: str(trained/'clip'/'model.safetensors')})
    assert getattr(elsewhere, wanted[0]) == trained/'clip'/'model.safetensors'

@every
def test_inputs_that_are_missing(nb, trained):
    for k in ('model', 'judge', 'start', 'sound', 'recordings', 'footage'):
        if k in kinds(nb):
            assert 'nowhere' in refusal(nb, **{k: 'nowhere'}, **placed(nb, trained))
    if 'device' in kinds(nb): assert 'unknown device' in refusal(nb, device='gpu', **placed(nb, trained))

@every
def test_settings_come_first(nb):
    "Only the room `runs` is imported before; nothing later takes a parameter's name, or asks for `tiny`."
    _, call, later = opening(nb)
    imports = [n for n in ast.walk(ast.parse(call)) if isinstance(n, (ast.Import, ast.ImportFrom))]
    assert [n.module for n in imports] == ['sgsvg.runs']
    body = [n for source in later for n in ast.parse(source).body]
    top = [n for n in body if not isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    bound = {t.id for n in top for t in ast.walk(n) if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)}
    assert 'p' not in bound
    plain = {t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    assert plain.isdisjoint(kinds(nb))
    used = {n.id for n in ast.walk(ast.Module(body, [])) if isinstance(n, ast.Name)}
    assert used.isdisjoint({'tiny', 'globals'})

def papermill(nb, out, *args):
    command = [sys.executable, '-m', 'papermill', '--no-progress-bar', str(nb), str(out), *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=out.parent)

@pytest.mark.parametrize('nb, args, line', [
    ('experiments/train_generator.ipynb', 'sedd 7', 'unknown parameter sedd (did you mean seed?)'),
    ('walkthroughs/first_video.ipynb', 'seconds abc', "the parameter seconds is 'abc', but a number is needed"),
], ids=('misspelt', 'wrong type'))
def test_papermill_ends_with_one_line(nb, args, line, tmp_path):
    line = f'SgsvgError: {line}'
    done = papermill(NBS/nb, tmp_path/'out.ipynb', '-p', *args.split())
    assert done.returncode and done.stderr.strip().splitlines()[-1].startswith(line)
    outputs = [o for c in cells(tmp_path/'out.ipynb') for o in c['outputs']]
    errors = [o for o in outputs if o['output_type'] == 'error']
    assert [len(o['traceback']) for o in errors] == [1] and errors[0]['traceback'][0].startswith(line)
    assert os.listdir(tmp_path) == ['out.ipynb']

def test_importing_runs_is_cheap():
    heavy = ('torchvision', 'torchaudio', 'matplotlib', 'accelerate', 'open_clip', 'timm', 'av')
    code = f'import sys, sgsvg.runs; print([m for m in {heavy} if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == '[]\n'

# as notebooks recorded it when they knew a net by its name
OLD = dict(start='default.safetensors', steps=20000, batch_size=16, frames=24000, size=128, channel_base=6144,
           channel_max=192, w_dim=128, lr=.003, lr_mapping=.3, lr_critic=.001, l1_weight=2., perceptual_weight=1.,
           adversarial_weight=.1, adversarial_from=6000, mapping_until=4000, ema=.998, seed=0, device='auto')

def test_a_run_of_an_older_notebook_goes_on(tmp_path):
    nb = next(p for p in EXPERIMENTS if p.stem == 'train_generator')
    place = tmp_path/'runs'/'generator128'
    (place/'state').mkdir(parents=True)
    save_model(place/'state'/'step-000000500.safetensors', {}, {})
    record = dict(id='generator128', params=OLD, device='cpu', threads=2, versions={}, commit=None, started='before')
    (place/'config.json').write_text(json.dumps(record))
    given = {**OLD, 'start': 'default', 'id': 'generator128', 'root': str(tmp_path/'runs')}
    p = start(nb, **given)
    config = Run(p.root, p.id, p.record).config
    assert config['started'] == 'before' and len(config['resumed']) == 1
    assert config['params']['start']['sha256'] == file_hash(p.start) and OLD.keys() <= config['params'].keys()
    other = start(nb, **{**given, 'lr': .004})
    with pytest.raises(SgsvgError, match='was started with lr=0.003, now it is 0.004'):
        Run(other.root, other.id, other.record)

def test_a_run_that_did_nothing_does_not_block_its_name(tmp_path):
    Run(tmp_path, 'evaluate', dict(model='a'))
    assert Run(tmp_path, 'evaluate', dict(model='b')).config['params'] == dict(model='b')
    Run(tmp_path, 'evaluate', dict(model='b')).log(0, x=1)
    with pytest.raises(SgsvgError, match="was started with model='b', now it is 'a'"):
        Run(tmp_path, 'evaluate', dict(model='a'))

def test_a_folder_of_another_notebook(tmp_path):
    "The line says so where the names of the parameters do; one that only gained a parameter is taken for the same."
    Run(tmp_path, 'a', dict(lr=1, hidden=8, steps=3)).log(0, x=1)
    with pytest.raises(SgsvgError, match=r'now it is 2 \(it has hidden and no model: a run of another notebook'):
        Run(tmp_path, 'a', dict(lr=2, model='m', steps=3))
    with pytest.raises(SgsvgError, match='now it is 2: choose another id'):
        Run(tmp_path, 'a', dict(lr=2, hidden=8, steps=3, model='m'))

def test_another_net_is_another_run(tmp_path):
    "A frozen net is known by its bytes: the same ones under another name go on, others do not."
    files = [tmp_path/f'{i}.safetensors' for i in range(3)]
    for f, v in zip(files, 'aab'): save_model(f, {}, dict(v=v))
    nets = [dict(clip=dict(file=f.name, sha256=file_hash(f))) for f in files]
    Run(tmp_path, 'sound', nets[0]).log(1, loss=1)
    assert len(Run(tmp_path, 'sound', nets[1]).config['resumed']) == 1
    with pytest.raises(SgsvgError, match='was started with clip=1.safetensors .*, now it is 2.safetensors'):
        Run(tmp_path, 'sound', nets[2])
