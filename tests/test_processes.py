"Two processes train as one on the whole batch, every stage; they end together, and go on together."
import json, os, signal, socket, subprocess, sys, time
from pathlib import Path

import pytest, torch
from safetensors.torch import load_file

from torch import nn
from sgsvg import train
from sgsvg.processes import place, share, whole_batch
from sgsvg.runs import Run

HERE = Path(__file__)
STEP = 16    # critics take part, and their gradients are penalised
SGSVG = '-c', 'import sys; from sgsvg.cli import main; sys.exit(main())'

# ---- what the processes do

def steps(folder, pieces, *names):
    "A step of each stage in float32; the first process writes all that they have changed."
    from tiny import STAGES
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

class Line(train.Stage):
    "Learns to add."
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        self.nets, self.emas = dict(net=net), dict(net=train.ema_of(net, .9))
        self.opts = dict(net=torch.optim.Adam(net.parameters(), .01))
        self.scheds = dict(net=torch.optim.lr_scheduler.CosineAnnealingLR(self.opts['net'], 50))

    def batch(self, step, generator): return torch.randn(8, 4, generator=generator)[share(8)]

    def step(self, x):
        loss = (self.nets['net'](x)[:,0] - x.sum(1)).square().mean()
        self.update('net', loss)
        self.update_ema()
        return dict(loss=loss)

def fitted(folder, id, n):
    try: train.fit(Line(), Run(folder, id, {}), int(n), save_every=2, log_every=1, device='cpu')
    except train.SgsvgError as e: sys.exit(f'sgsvg: {e}')

def resumed(folder):
    "A run in one go, and one that was stopped in between, on a slow disk."
    save = train.save_state
    def slowly(*args):
        time.sleep(.3)
        save(*args)
    train.save_state = slowly
    for id, n in (('whole', 6), ('pieces', 4), ('pieces', 6)): fitted(folder, id, n)

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
    out = [p.communicate(timeout=400) for p in processes]
    assert [p.returncode for p in processes] == [status]*len(processes), out
    return out

def said(out):
    "The lines of errors, of all processes, without bars."
    return [line for _,err in out for line in err.splitlines() if line.startswith('sgsvg: ')]

# ---- two are one

@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    "Every stage by one process, by two, and some in two pieces."
    one, two, pieces = (tmp_path_factory.mktemp(o) for o in ('one', 'two', 'pieces'))
    ended([*together(1, HERE, 'steps', one, 1, *STAGES), *together(1, HERE, 'steps', pieces, 2, *IN_PIECES)])
    ended(together(2, HERE, 'steps', two, 1, *STAGES))
    return dict(one=one, two=two, pieces=pieces)

STAGES = ('generator', 'adversarial', 'adversarial3', 'clip', 'sound', 'inversion', 'inversion_paper', 'trajectory',
          'trajectory_paper', 'trajectory_released', 'judge', 'ears')     # of `tiny`
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
    assert apart(a, b) < 1e-4

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
    state, until = d/'run'/'state', time.monotonic() + 100
    while not list(state.glob('step-*')) and time.monotonic() < until: time.sleep(.02)
    both[1].kill()
    began = time.monotonic()
    out = both[0].communicate(timeout=60)
    return d, out, time.monotonic() - began, both[0].returncode

def test_a_process_that_dies_ends_the_others(stopped):
    d, out, seconds, status = stopped
    assert status == 1 and seconds < 30
    line, = said([out])
    assert 'another process of this training has ended; the last good checkpoint is' in line, out
    assert train.load_state(Line(), Run(d, 'run', {}))['processes'] == 2

def test_another_number_of_processes_is_refused(stopped):
    run = Run(stopped[0], 'run', {})
    before = sorted(p.name for p in run.state.iterdir())
    says = 'was started with 2 processes, now there is 1: start as many again'
    with pytest.raises(train.SgsvgError, match=says): train.fit(Line(), run, 100000, device='cpu')
    assert sorted(p.name for p in run.state.iterdir()) == before

def test_resume_gives_the_same_bits(tmp_path):
    ended(together(2, HERE, 'resumed', tmp_path))
    a, b = (load_file(tmp_path/o/'state'/'step-000000006.safetensors') for o in ('pieces', 'whole'))
    assert all(torch.equal(a[k], b[k]) for k in a)
    lines = [json.loads(o) for o in (tmp_path/'pieces'/'metrics.jsonl').read_text().splitlines()]
    assert [o['step'] for o in lines] == [1, 2, 3, 4, 5, 6]      # one process writes

# ---- the command

def test_the_command(tmp_path):
    "The first process makes what all read; the others follow, say nothing, and leave when it is trained."
    words = 'train', 'judge', 'tiny=true', 'device=cpu'
    (out, _), (nothing, silence) = ended(together(2, *SGSVG, *words, cwd=tmp_path))
    assert out.endswith('runs/judge/model.safetensors\n') and nothing == '' and silence == '', (out, nothing, silence)

def test_the_command_refuses_with_one_voice(tmp_path):
    line, = said(ended(together(2, *SGSVG, 'train', 'judge', 'stps=3', cwd=tmp_path), 1))
    assert 'did you mean steps?' in line

def test_sigterm_to_one_stops_both(tmp_path):
    both = together(2, HERE, 'fitted', tmp_path, 'run', 10**6)
    lines, until = tmp_path/'run'/'metrics.jsonl', time.monotonic() + 100
    while (not lines.exists() or lines.read_text().count('\n') < 3) and time.monotonic() < until: time.sleep(.02)
    both[1].send_signal(signal.SIGTERM)
    ended(both)
    done = len(lines.read_text().splitlines())
    assert (tmp_path/'run'/'state'/f'step-{done:09d}.safetensors').exists()

if __name__ == '__main__':
    what, *words = sys.argv[1:]
    globals()[what](*words)
