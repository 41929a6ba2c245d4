"Two processes train as one on the whole batch, every stage; they end together, and go on together."
import json, os, signal, socket, subprocess, sys, time
from pathlib import Path

import pytest, torch
from safetensors.torch import load_file

from tiny import STAGES
from sgsvg import train
from sgsvg.processes import place, whole_batch
from sgsvg.runs import Run

HERE = Path(__file__)
STEP = 16    # critics take part, and their gradients are penalised
SGSVG = '-c', 'import sys; from sgsvg.cli import main; sys.exit(main())'

# ---- what the processes do

def steps(folder, pieces, *names):
    "A step of each stage in float32; the first process writes all that they have changed."
    train.amp_dtype = lambda device: None
    for name in names:
        stage = STAGES[name](folder)
        train._set_up(stage, 'cpu', int(pieces))
        for net in stage.nets.values(): whole_batch(net)   # PyTorch's own normalisation rounds more than is compared
        for opt in stage.opts.values():
            for group in opt.param_groups: group['eps'] = .01   # where a gradient is 0, Adam would follow its rounding
        run = Run(folder, name, {})
        terms = train._step(stage, run, 0, STEP)
        if place()[0] == 0: train.save_state(stage, run, dict(step=STEP, terms=terms))

def fitted(folder, id, n, every='2'):
    train.fit(STAGES['judge'](folder), Run(folder, id, {}), int(n), save_every=int(every), log_every=1, device='cpu')

# ---- starting them

def together(n, *words, cwd=None):
    "Start `n` processes of Python as a launcher would: they find each other by the environment."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    there = dict(os.environ, WORLD_SIZE=str(n), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), OMP_NUM_THREADS='1',
                 PYTHONPATH=os.pathsep.join(sys.path), GLOO_SOCKET_IFNAME='lo')
    def start(rank):
        own = there | dict(RANK=str(rank), LOCAL_RANK=str(rank))
        return subprocess.Popen([sys.executable, *map(str, words)], env=own, text=True, cwd=cwd,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return [start(r) for r in range(n)]

def ended(processes, status=0):
    "What each has said, on stdout and stderr."
    out = [p.communicate(timeout=120) for p in processes]
    assert [p.returncode for p in processes] == [status]*len(processes), out
    return out

def said(out):
    "The lines of errors, of all processes; bars and warnings of others left out."
    lines = [line for _,err in out for line in err.splitlines()]
    return [line for line in lines if line.startswith(('sgsvg: ', 'sgsvg.core.SgsvgError', 'sgsvg.processes.Lost'))]

# ---- two are one

@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    "Every stage by one process, by two, and some in two pieces."
    one, two, pieces = (tmp_path_factory.mktemp(o) for o in ('one', 'two', 'pieces'))
    ended([*together(1, HERE, 'steps', one, 1, *STAGES), *together(1, HERE, 'steps', pieces, 2, *IN_PIECES)])
    ended(together(2, HERE, 'steps', two, 1, *STAGES))
    return dict(one=one, two=two, pieces=pieces)

IN_PIECES = 'generator', 'adversarial', 'inversion', 'judge', 'ears'   # where no row looks at another

def apart(a, b):
    "The largest difference of two checkpoints, each kind of tensor on its own scale."
    assert a.keys() == b.keys()
    kinds = {}
    for k in (k for k in a if a[k].is_floating_point() and a[k].numel()):
        kind = ('opts', *k.split('.')[1::2]) if k.startswith('opts') else k.split('.')[0]
        worst, scale = kinds.get(kind, (0., 0.))
        kinds[kind] = max(worst, (a[k] - b[k]).abs().max().item()), max(scale, a[k].abs().max().item())
    return max(worst/scale for worst,scale in kinds.values() if scale)

def state(folder, name): return load_file(folder/name/'state'/f'step-{STEP:09d}.safetensors')

@pytest.mark.parametrize('how, name', [*(('two', o) for o in STAGES), *(('pieces', o) for o in IN_PIECES)])
def test_the_same_step(how, name, trained):
    "Weights, averages, the optimisers' memory and buffers, to float tolerance."
    a, b = (state(trained[o], name) for o in ('one', how))
    assert apart(a, b) < 5e-4

def test_the_same_terms(trained):
    for name in STAGES:
        one, two = (train.load_model(trained[o]/name/'state'/f'step-{STEP:09d}.safetensors')[1]['progress']
                    for o in ('one', 'two'))
        for k,v in one['terms'].items(): assert two['terms'][k] == pytest.approx(v, rel=1e-3, abs=1e-5), (name, k)

# ---- stopping and going on

@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
    "A run of two processes, of which the second was killed; what they said, and how long the first took to notice."
    d = tmp_path_factory.mktemp('stopped')
    both = together(2, HERE, 'fitted', d, 'run', 100000)
    state, until = d/'run'/'state', time.monotonic() + 60
    while not list(state.glob('step-*')) and time.monotonic() < until: time.sleep(.02)
    both[1].kill()
    began = time.monotonic()
    out = both[0].communicate(timeout=60)
    return d, out, time.monotonic() - began, both[0].returncode

def test_a_process_that_dies_ends_the_others(stopped):
    d, out, seconds, status = stopped
    assert status == 1 and seconds < 10
    line, = said([out])
    assert 'another process of this training has ended; the last good checkpoint is' in line, out
    assert train.load_state(STAGES['judge'](d), Run(d, 'run', {}))['processes'] == 2

def test_another_number_of_processes_is_refused(stopped):
    d = stopped[0]
    before = sorted(p.name for p in (d/'run'/'state').iterdir())
    line, = said(ended(together(1, HERE, 'fitted', d, 'run', 100000), 1))
    assert 'was started with 2 processes, now there is 1: start as many again' in line
    line, = said(ended(together(3, HERE, 'fitted', d, 'run', 100000), 1))
    assert 'was started with 2 processes, now there are 3: start as many again' in line
    assert sorted(p.name for p in (d/'run'/'state').iterdir()) == before

def test_rows_that_cannot_be_divided(tmp_path):
    line, = said(ended(together(3, HERE, 'fitted', tmp_path, 'run', 4), 1))
    assert '8 rows of a batch cannot be divided among 3' in line

def test_resume_gives_the_same_bits(tmp_path):
    for n in (3, 6): ended(together(2, HERE, 'fitted', tmp_path, 'pieces', n, 1))
    ended(together(2, HERE, 'fitted', tmp_path, 'whole', 6, 1))
    a, b = (load_file(tmp_path/o/'state'/'step-000000006.safetensors') for o in ('pieces', 'whole'))
    assert all(torch.equal(a[k], b[k]) for k in a)
    lines = [json.loads(o) for o in (tmp_path/'whole'/'metrics.jsonl').read_text().splitlines()]
    assert [o['step'] for o in lines] == [1, 2, 3, 4, 5, 6]      # one process writes

# ---- the command

def test_the_command(tmp_path):
    "The first process makes what all read; the others follow, say nothing, and leave when it is trained."
    words = 'train', 'judge', 'tiny=true', 'device=cpu'
    (out, err), (nothing, silence) = ended(together(2, *SGSVG, *words, cwd=tmp_path))
    assert out.endswith('runs/judge/model.safetensors\n') and nothing == '' and silence == '', (out, nothing, silence)

def test_the_command_refuses_with_one_voice(tmp_path):
    line, = said(ended(together(2, *SGSVG, 'train', 'judge', 'stps=3', cwd=tmp_path), 1))
    assert 'did you mean steps?' in line

def test_sigterm_to_one_stops_both(tmp_path):
    words = 'train', 'judge', 'tiny=true', 'device=cpu', 'steps=100000', 'save_every=100000', 'sample_every=100000'
    both = together(2, *SGSVG, *words, cwd=tmp_path)
    lines, until = tmp_path/'runs'/'judge'/'metrics.jsonl', time.monotonic() + 60
    while (not lines.exists() or lines.read_text().count('\n') < 3) and time.monotonic() < until: time.sleep(.05)
    both[1].send_signal(signal.SIGTERM)
    assert ended(both)[0][0] == 'runs/judge/state\n'
    assert len(list((tmp_path/'runs'/'judge'/'state').glob('step-*'))) == 1

if __name__ == '__main__':
    what, *words = sys.argv[1:]
    globals()[what](*words)
