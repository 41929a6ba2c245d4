"`sgsvg sweep`: what is refused, what a failure costs, kills, and executors that are not ours."
import csv, json, random, signal, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psutil, pytest, torch
from safetensors.torch import load_file

from media import disk
from sgsvg import cli, sweep

PARAMETERS = """id: str = 'toy'       # name of the run
root: str = 'runs'    # folder of all runs
generator: str = ''   # a trained net
x: float = 1.0        # a number
size: int = 8         # one of three
wait: float = 0.0     # seconds
fill: int = 0         # bytes to write
fail: bool = False    # break
steps: int = 30       # of a training
max_minutes: float = 0.0   # stop after this time
seed: int = 0         # of everything
device: str = 'auto'  # auto, cpu or cuda
tiny: bool = False    # a smoke test"""
SETTINGS = """import time
from sgsvg.core import SgsvgError
from sgsvg.runs import Run, save_net, settings
p = settings(tiny=dict(steps=3), optional=('generator',), choices=dict(size=(8, 16, 32)))"""
TOY = """run = Run(p.root, p.id, p.record)
run.rewind(0)
(run.path/'fill').write_bytes(bytes(p.fill))
time.sleep(p.wait)
if p.fail: raise SgsvgError('broken on purpose')
run.log(1, y=p.x + p.seed)"""
TRAINS = """import torch
from sgsvg.train import Stage, fit
class Small(Stage):
    def __init__(self):
        super().__init__()
        torch.manual_seed(p.seed)
        net = torch.nn.Linear(3, 3)
        net.kwargs = {}
        self.nets, self.opts = dict(net=net), dict(net=torch.optim.Adam(net.parameters(), .01))
    def batch(self, step, generator): return torch.randn(4, 3, generator=generator)
    def step(self, x):
        time.sleep(p.wait)
        loss = (self.nets['net'](x) - x).square().mean()
        self.update('net', loss)
        return dict(loss=loss)
run, stage = Run(p.root, p.id, p.record), Small()
finished = fit(stage, run, p.steps, p.seed, 5, 1000, 1, 'cpu', p.max_minutes or None)
if finished: save_net(run, 'net', stage.nets['net'])"""

def notebook(path, work):
    "A notebook of three cells, the first with the tag `parameters`."
    cells = [dict(cell_type='code', id=f'c{i}', source=s, outputs=[], execution_count=None,
                  metadata=dict(tags=['parameters'] if i == 0 else []))
             for i, s in enumerate((PARAMETERS, SETTINGS, work))]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    return str(path)

@pytest.fixture
def toy(tmp_path): return notebook(tmp_path/'toy.ipynb', TOY)

@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    "Call the command in an empty folder: `(status, stdout, stderr)`"
    monkeypatch.chdir(tmp_path)
    def call(grid, *argv):
        (tmp_path/'grid.yaml').write_text(grid if isinstance(grid, str) else json.dumps(grid))   # JSON is YAML
        status = cli.main(['sweep', 'grid.yaml', *map(str, argv)])
        return status, *capsys.readouterr()
    return call

def rows_of(out):
    with open(Path(out)/'results.csv', newline='') as f: return list(csv.DictReader(f))

# ---- refused before any run

@pytest.mark.parametrize('grid, line', [
    (dict(grid=dict(xx=[1])), 'unknown parameter xx (did you mean x?)'),
    (dict(set=dict(sed=1)), 'unknown parameter sed (did you mean seed?)'),
    (dict(grid=dict(x=[1, 'much'])), "x is 'much', but a number is needed"),
    (dict(list=[{}, dict(steps=2.5)]), 'steps is 2.5, but a whole number is needed'),
    (dict(grid=dict(size=[8, 12])), 'the parameter size is 12'),
    (dict(zip=dict(x=[1, 2], wait=[1])), 'the lists must be equally long'),
    (dict(set=dict(generator='none')), "generator: 'none' is neither a finished run"),
    (dict(grid=dict(seed=[1, 2]), seeds=2), 'seed varies in two places'),
    (dict(grid=dict(root=['a', 'b'])), 'root: the sweep names folders'),
    (dict(grid=dict(x=3)), 'x must be a list of values'),
    (dict(seeds=0), 'seeds must be a number of seeds'),
    (dict(seeds=True), 'seeds must be a number of seeds'),
    ('{notebook: toy.ipynb, set: {wait: .nan}}', 'the parameter wait is nan, but a number is needed'),
    ('{notebook: toy.ipynb, grid: {x: [1, -.inf]}}', 'the parameter x is -inf, but a number is needed'),
    ('{notebook: toy.ipynb, set: {size: 2026-01-01}}', 'but a whole number is needed'),
    (dict(set=[1]), 'set must have the form name: value'),
    (dict(sets={}), 'unknown key sets'),
    (dict(notebook='train_clap'), 'there is no notebook train_clap'),
    ('notebook: [', 'is not YAML'),
    ('- 1', 'names no notebook'),
])
def test_refused_before_any_run(grid, line, toy, call, tmp_path):
    if isinstance(grid, dict): grid = dict(notebook=toy) | grid
    status, out, err = call(grid, 'runs/a')
    assert (status, out, err.count('\n')) == (1, '', 1) and line in err and 'unexpected' not in err, err
    assert not (tmp_path/'runs').exists()

def test_an_experiment_is_found_by_its_name(call, tmp_path):
    "Its choices are checked as well, and a dry run makes nothing."
    grid = dict(notebook='train_clip', set=dict(tiny=True), grid=dict(lr=[.1, .2]), seeds=3)
    assert call(grid, 'runs/a', '--dry-run') == (0, '6 runs: 6 missing\nno run is finished yet, so that nothing can '
                                                'be said about the time\n', '')
    assert not (tmp_path/'runs').exists()
    grid['set'] = dict(variant='papr')
    assert 'unknown parameter variant' in call(grid, 'runs/a', '--dry-run')[2]

def test_a_folder_that_holds_something_else(toy, call, tmp_path):
    (tmp_path/'run').mkdir()
    (tmp_path/'run'/'config.json').write_text('{}')
    assert 'run is the folder of a run' in call(dict(notebook=toy), 'run')[2]
    (tmp_path/'swept').mkdir()
    (tmp_path/'swept'/'sweep.json').write_text('{"notebook": "train_clip"}')
    assert 'swept holds a sweep of train_clip' in call(dict(notebook=toy), 'swept')[2]
    (tmp_path/'file').touch()
    assert 'cannot create file/in' in call(dict(notebook=toy), 'file/in')[2]

def test_two_sweeps_on_one_folder(toy, call, tmp_path):
    (tmp_path/'a').mkdir()
    hold = "import fcntl, sys; f = open('a/lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, '-c', hold], cwd=tmp_path, stdin=-1, stdout=-1) as other:
        other.stdout.readline()
        status, out, err = call(dict(notebook=toy), 'a')
        other.communicate(b'\n')
    assert (status, out) == (1, '') and err == \
        'sgsvg: another sweep works in a: wait for its end, or choose another folder\n'
    assert sorted(p.name for p in (tmp_path/'a').iterdir()) == ['lock']

# ---- runs

def test_failures_stay_and_the_rest_goes_on(toy, call, tmp_path):
    "Of four, one fails by itself, one in a folder of another stage; then the grid grows, and only what is new is run."
    grid = dict(notebook=toy, list=[{}, dict(fail=True), dict(x=2), dict(x=3)])
    strange = tmp_path/'runs'/'a'/sweep.plan(grid, tmp_path/'runs'/'a').jobs[2]['id']
    strange.mkdir(parents=True)
    (strange/'config.json').write_text(json.dumps(dict(params=dict(x=7.))))
    (strange/'metrics.jsonl').write_text('{"step": 1}\n')
    status, out, err = call(grid, 'runs/a', '--jobs', 2)
    assert (status, out) == (1, 'runs/a/results.csv\nruns/a/summary.ipynb\n')
    assert err.splitlines()[-1].startswith('sgsvg: 2 of 4 runs failed (SgsvgError: broken on purpose)')
    rows = rows_of('runs/a')
    assert [row['state'] for row in rows] == ['finished', 'failed', 'failed', 'finished']
    assert 'was started with x=7.0, now it is 2.0' in rows[2]['error']
    assert [rows[i]['y'] for i in (0, 3)] == ['1.0', '3.0']
    told = call(grid, 'runs/a', '--dry-run')[1]
    assert told.startswith('4 runs: 2 finished, 2 failed\nabout 0.') and 'minutes with 1 at once' in told
    assert json.loads((tmp_path/'runs'/'a'/'summary.ipynb').read_text())['metadata']['papermill']['exception'] is None
    when = {p: p.stat().st_mtime_ns for p in (tmp_path/'runs'/'a').glob('*/status.json')}
    grid['list'] = [{}, dict(x=3), dict(x=4)]
    assert call(grid, 'runs/a')[0] == 0
    assert [row['x'] for row in rows_of('runs/a')] == ['1.0', '3.0', '4.0']
    grid['list'] = [dict(x=3)]
    assert 'finished runs in runs/a that are not of this grid: 2; they stay' in call(grid, 'runs/a')[2]
    assert [row['x'] for row in rows_of('runs/a')] == ['3.0']
    assert all(p.stat().st_mtime_ns == t for p, t in when.items())

def test_a_notebook_that_changed_is_told(toy, call, tmp_path):
    call(dict(notebook=toy, grid=dict(x=[1, 2])), 'a')
    book = json.loads(Path(toy).read_text())
    book['cells'][-1]['source'] += '\nmore = 1'
    Path(toy).write_text(json.dumps(book))
    said = call(dict(notebook=toy, grid=dict(x=[1, 2, 3])), 'a')[2]
    assert '2 runs were finished by an earlier state of toy.ipynb: delete their folders to do them anew' in said
    assert [row['state'] for row in rows_of('a')] == ['finished']*3

def test_a_full_disk(toy, call, tmp_path):
    "What is finished stays; with some space the rest is done, and nothing twice."
    with disk(tmp_path/'small', 'size=2m') as small:
        (small/'junk').write_bytes(bytes(1 << 20))
        grid = dict(notebook=toy, list=[{}, dict(fill=1 << 20)])
        status, out, err = call(grid, 'small/a')
        assert status == 1 and 'the disk is full' in err.splitlines()[-1] and 'unexpected' not in err, err
        first = next((small/'a').glob('*/status.json'))
        when = first.stat().st_mtime_ns
        (small/'junk').unlink()
        for fill in (small/'a').glob('*/fill'): fill.unlink()
        status, out, err = call(grid, 'small/a')
        assert status == 0, err
        assert [row['state'] for row in rows_of(small/'a')] == ['finished']*2 and first.stat().st_mtime_ns == when

# ---- trainings

def training(place, **how):
    "A grid of two seeds of a training of thirty steps, three seconds or more."
    return dict(notebook=notebook(place/'small.ipynb', TRAINS), set=dict(wait=.1, **how), seeds=2)

@pytest.fixture(scope='module')
def straight(tmp_path_factory):
    "The training that nobody disturbed: run -> folder."
    place = tmp_path_factory.mktemp('straight')
    assert {row['state'] for row in sweep.sweep(training(place), place/'a', 2)} == {'finished'}
    return {p.parent.name: p.parent for p in (place/'a').glob('*/status.json')}

def same(out, straight):
    "Every run ended with the weights and the lines of one that was left alone, and there is no other run."
    rows = rows_of(out)
    assert {row['run'] for row in rows} == set(straight) and {row['state'] for row in rows} == {'finished'}
    assert {p.parent.name for p in Path(out).glob('*/config.json')} == set(straight)
    for run, folder in straight.items():
        a, b = (load_file(d/'model.safetensors') for d in (Path(out)/run, folder))
        assert all(torch.equal(a[k], b[k]) for k in b)
        lines = [json.loads(o) for o in (Path(out)/run/'metrics.jsonl').read_text().splitlines()]
        assert [o['step'] for o in lines] == list(range(1, 31))

def test_stopped_half_written_and_taken_up(straight, tmp_path):
    "After its time a training stops; its newest checkpoint is cut short; it goes on from the one before."
    rows = sweep.sweep(training(tmp_path, max_minutes=.02), tmp_path/'a', 2)
    assert {row['state'] for row in rows} == {'stopped'}
    for row in rows:
        newest = sorted((tmp_path/'a'/row['run']/'state').glob('step-*'))[-1]
        newest.write_bytes(newest.read_bytes()[:100])
    sweep.sweep(training(tmp_path), tmp_path/'a', 2)
    same(tmp_path/'a', straight)

CALL = 'import json, sys; from sgsvg.sweep import sweep; sweep(json.loads(sys.argv[1]), sys.argv[2], 2)'

def begun(words, out, cwd, what='state/step-*'):
    "A sweep under way in a process, once a training has a checkpoint; and all that it has started."
    run = subprocess.Popen([sys.executable, *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not list(Path(out).glob(f'*/{what}')) and time.monotonic() < until: time.sleep(.05)
    return run, psutil.Process(run.pid).children(recursive=True)

@pytest.mark.parametrize('everything', [True, False], ids=['all of it', 'the sweep alone'])
def test_kill_9(everything, straight, tmp_path):
    "Called again, it ends as if nothing had been; where workers outlived the kill, they are waited for."
    grid = training(tmp_path)
    run, others = begun(['-c', CALL, json.dumps(grid), 'a'], tmp_path/'a', tmp_path)
    time.sleep(random.random())
    for p in [run, *(others if everything else [])]: p.kill()
    run.wait()
    sweep.sweep(grid, tmp_path/'a', 2)
    same(tmp_path/'a', straight)

def test_a_worker_that_dies(straight, tmp_path):
    "Its run and its neighbour's are called again, in new processes."
    run, others = begun(['-c', CALL, json.dumps(training(tmp_path)), 'a'], tmp_path/'a', tmp_path)
    for p in others:
        if any('loky' in word for word in p.cmdline()) and not any('tracker' in word for word in p.cmdline()): p.kill()
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    same(tmp_path/'a', straight)

# a shell starts what runs in the background deaf to Ctrl-C
HEARS = ['-c', 'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); '
               'from sgsvg.cli import main; sys.exit(main())']

def test_ctrl_c(straight, tmp_path):
    "One line, nothing is left running, and the next call goes on."
    (tmp_path/'grid.yaml').write_text(json.dumps(training(tmp_path)))
    run, others = begun([*HEARS, 'sweep', 'grid.yaml', 'a', '--jobs', '2'], tmp_path/'a', tmp_path)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err.splitlines()[-1]) == (130, '', 'sgsvg: interrupted')
    assert psutil.wait_procs(others, timeout=5)[1] == []
    sweep.sweep(training(tmp_path), tmp_path/'a', 2)
    same(tmp_path/'a', straight)

@pytest.mark.parametrize('jobs', [1, 2])
def test_ctrl_c_with_runs_that_wait(jobs, toy, tmp_path):
    "It ends at once, the runs that wait are not started, and the table has what was finished."
    grid = dict(notebook=toy, zip=dict(seed=list(range(8)), wait=[0] + [40]*7))
    (tmp_path/'grid.yaml').write_text(json.dumps(grid))
    words = [*HEARS, 'sweep', 'grid.yaml', 'a', '--jobs', str(jobs)]
    run, others = begun(words, tmp_path/'a', tmp_path, 'status.json')
    until = time.monotonic() + 60
    while len(list((tmp_path/'a').glob('*/lock'))) < 1 + jobs and time.monotonic() < until: time.sleep(.05)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=20)
    assert (run.returncode, out, err.splitlines()[-1]) == (130, '', 'sgsvg: interrupted') and 'Traceback' not in err
    assert psutil.wait_procs(others, timeout=5)[1] == []
    assert [row['state'] for row in rows_of(tmp_path/'a')] == ['finished'] + ['missing']*7
    assert len(list((tmp_path/'a').glob('*/lock'))) == 1 + jobs

# ---- executors of others

def standard(folder): return ProcessPoolExecutor(2, get_context('spawn'))

def by_submitit(folder):
    pytest.importorskip('submitit')
    return sweep.slurm(folder/'logs', dict(cluster='local', timeout_min=5))

def by_executorlib(folder): return pytest.importorskip('executorlib').SingleNodeExecutor(max_workers=2)

@pytest.mark.parametrize('make', [standard, by_submitit, by_executorlib])
def test_an_executor_of_others(make, toy, tmp_path):
    executor = make(tmp_path)
    rows = sweep.sweep(dict(notebook=toy, list=[{}, dict(fail=True)]), tmp_path/'a', executor=executor)
    assert [row['state'] for row in rows] == ['finished', 'failed']
    if hasattr(executor, 'shutdown'): executor.shutdown()

def test_slurm_that_is_not_there(toy, call, tmp_path, monkeypatch):
    "One line: where submitit is missing, where Slurm is, and for an option that it has not."
    monkeypatch.setitem(sys.modules, 'submitit', None)
    assert call(dict(notebook=toy), 'a', '--slurm')[2] == "sgsvg: Slurm needs submitit: pip install 'sgsvg[slurm]'\n"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    pytest.importorskip('submitit')
    for words in ([], ['cluster=local', 'timeout=3']):
        status, out, err = call(dict(notebook=toy), 'a', '--slurm', *words)
        assert (status, out, err.count('\n')) == (1, '', 1) and 'unexpected' not in err, err
