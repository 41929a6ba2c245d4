"Training survives `kill -9`: the same bits as a run that was left alone."
import json, math, os, signal, subprocess, sys, time
from pathlib import Path
import papermill as pm, pytest, torch
from torch import nn
from repo import NBS
from sgsvg.core import SgsvgError
from sgsvg.model import SoundVideo
from sgsvg.runs import Run
from sgsvg.stages_generator import cosine_fall
from sgsvg.train import Stage, ema_of, fit, load_state, one_cycle, pack

STEPS = 120

class ToyGan(Stage):
    """Two nets of channels-last convolutions, two fused optimisers, an average, a schedule, a buffer, a number:
    all that a checkpoint must hold."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        G = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 1, 3, padding=1))
        D = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.SiLU(), nn.Dropout(.2), nn.Conv2d(8, 1, 3))
        for net in (G, D): net.to(memory_format=torch.channels_last)
        self.nets,self.emas = dict(G=G, D=D), dict(G=ema_of(G, .9))
        self.extra = dict(balance=1.)
        self.opts = dict(
            G=torch.optim.Adam(G.parameters(), 1e-3, fused=True),
            D=torch.optim.AdamW(D.parameters(), 1e-3, fused=True))
        self.scheds = dict(G=torch.optim.lr_scheduler.CosineAnnealingLR(self.opts['G'], STEPS))

    def batch(self, step, generator): return torch.rand(4, 1, 8, 8, generator=generator)

    def step(self, real):
        G,D = self.nets['G'],self.nets['D']
        sp = nn.functional.softplus
        with self.autocast():
            fake = G(torch.randn(4, 3, 8, 8))
            d = sp(D(fake.detach()).float()).mean() + sp(-D(real).float()).mean()
        self.update('D', d)
        with self.autocast(): g = sp(-D(fake).float()).mean()*self.extra['balance']
        self.update('G', g)
        self.update_ema()
        self.extra['balance'] = .9*self.extra['balance'] + .1*d.item()
        return dict(d=d, g=g)

    def sample(self, path):
        self.nets['G'].eval()
        path.write_bytes(b'seen')

def train(root, id, **kw):
    stage = ToyGan()
    how = dict(steps=STEPS, seed=5, save_every=5, sample_every=50, log_every=4, device='cpu') | kw
    done = fit(stage, Run(root, id, {}), **how)
    return stage,done

def same(a, b):
    (ta,ra),(tb,rb) = pack(a),pack(b)
    return ta.keys() == tb.keys() and all(torch.equal(ta[k], tb[k]) for k in ta) and ra == rb

@pytest.fixture(autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)

def killed(root, id, at):
    "Train in another process; `kill -9` once `metrics.jsonl` shows step `at`."
    env = os.environ | dict(OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join(sys.path))
    child = subprocess.Popen([sys.executable, __file__, str(root), id], stderr=subprocess.PIPE, env=env)
    path,limit = Path(root)/id/'metrics.jsonl',time.monotonic()+120
    def reached(): return path.exists() and any(json.loads(o)['step'] >= at for o in path.read_text().split('\n')[:-1])
    while not reached() and child.poll() is None and time.monotonic() < limit: time.sleep(.003)
    child.kill()
    assert child.wait() == -signal.SIGKILL, child.stderr.read().decode()

def lines(root, id): return [{k:v for k,v in o.items() if k != 'seconds'} for o in Run(root, id, {}).metrics()]

class Long(Stage):
    "A net whose learning rates follow a schedule of so many steps."
    def __init__(self, steps, schedule):
        super().__init__()
        torch.manual_seed(0)
        net = nn.Linear(2, 2)
        self.nets, self.opts = dict(net=net), dict(net=torch.optim.Adam(net.parameters(), .01))
        self.scheds, self.rates = dict(net=schedule(self.opts['net'], steps)), []
    def batch(self, step, generator): return torch.randn(4, 2, generator=generator)
    def step(self, x):
        self.rates.append((self.opts['net'].param_groups[0]['lr'], *self.opts['net'].param_groups[0]['betas']))
        self.update('net', loss := self.nets['net'](x).square().mean())
        return dict(loss=loss)

def falling(opt, steps): return torch.optim.lr_scheduler.LambdaLR(opt, lambda k: cosine_fall(k, steps))

@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('schedule', [one_cycle, falling])
def test_more_steps_than_before(schedule, tmp_path):
    "A training that is done goes on when it is given more steps, with the longer schedule; fewer change nothing."
    def train(id, steps):
        fit(stage := Long(steps, schedule), Run(tmp_path, id, dict(steps=steps)), steps, device='cpu')
        return stage
    straight = train('straight', 12).rates
    for first in (1, 4):
        train(f'longer{first}', first)
        assert train(f'longer{first}', 12).rates == straight[first:]
    again, shorter = train('longer4', 12), train('longer4', 4)
    assert shorter.rates == [] and same(again, shorter) and same(again, train('longer4', 12))

def test_kill_9_and_resume_gives_the_same_bits(tmp_path):
    killed(tmp_path, 'killed', STEPS//4)
    state = tmp_path/'killed'/'state'
    (state/'.step-000000999.abcd.tmp.safetensors').write_bytes(b'half')
    killed(tmp_path, 'killed', STEPS//2)
    again,done = train(tmp_path, 'killed')
    assert done and len(Run(tmp_path, 'killed', {}).config['resumed']) >= 2
    whole,_ = train(tmp_path, 'whole')
    assert same(whole, again)
    assert lines(tmp_path, 'whole') == lines(tmp_path, 'killed')
    kept = [f'step-{step:09d}.safetensors' for step in (STEPS-5, STEPS)]
    assert sorted(o.name for o in state.iterdir()) == ['lock', *kept]

def test_a_run_that_is_done_does_nothing_more(tmp_path):
    first,_ = train(tmp_path, 'a', steps=6)
    again,done = train(tmp_path, 'a', steps=6)
    assert done and same(first, again)

def test_pieces(tmp_path):
    whole,_ = train(tmp_path, 'whole', steps=5)
    pieces = [train(tmp_path, 'pieces', steps=5, max_minutes=0)[1] for _ in range(5)]
    assert pieces == [False]*4 + [True]
    again,_ = train(tmp_path, 'pieces', steps=5)
    assert same(whole, again)

def test_not_finite_keeps_the_last_good_checkpoint(tmp_path):
    class Poisoned(ToyGan):
        def step(self, batch):
            terms = super().step(batch)
            return terms if self.scheds['G'].last_epoch < 7 else terms | dict(g=math.nan)
    with pytest.raises(SgsvgError, match="step 8: the term 'g' is nan; the last good checkpoint is .*step-000000006"):
        fit(Poisoned(), Run(tmp_path, 'nan', {}), steps=20, save_every=3, device='cpu')
    assert load_state(ToyGan(), Run(tmp_path, 'nan', {}))['step'] == 6

def test_what_is_no_number_in_a_batch_is_named(tmp_path):
    class Blind(ToyGan):
        def batch(self, step, generator):
            x = super().batch(step, generator)
            return dict(truth=dict(z=torch.zeros(4)), frames=x*math.nan if step == 5 else x)
        def step(self, batch): return super().step(batch['frames'])
    with pytest.raises(SgsvgError, match="step 5: .* last good checkpoint is .*-000000003.*batch's frames are no numb"):
        fit(Blind(), Run(tmp_path, 'nan', {}), steps=20, save_every=3, device='cpu')

def test_another_seed_or_another_stage_is_refused(tmp_path):
    train(tmp_path, 'a', steps=3)
    with pytest.raises(SgsvgError, match='was started with seed 5, now it is 6'): train(tmp_path, 'a', seed=6)
    class Wider(ToyGan):
        def __init__(self):
            super().__init__()
            self.nets['D'] = nn.Conv2d(1, 3, 5)
    with pytest.raises(SgsvgError, match='of another stage'):
        fit(Wider(), Run(tmp_path, 'a', {}), steps=9, seed=5, device='cpu')

def test_all_checkpoints_damaged(tmp_path):
    train(tmp_path, 'a', steps=6)
    for path in (tmp_path/'a'/'state').glob('*.safetensors'): path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SgsvgError, match='no checkpoint in .* can be read'): train(tmp_path, 'a')

def test_a_stage_is_told_its_step(tmp_path):
    "Also after a resume, and from a checkpoint of a stage that counted for itself: what it counted is left behind."
    class Listed(ToyGan):
        seen = []
        def step(self, batch):
            self.seen.append(self.now)
            return super().step(batch)
    older = Listed()
    older.extra['step'] = 0
    fit(older, Run(tmp_path, 'a', {}), steps=3, device='cpu')
    newer = Listed()
    fit(newer, Run(tmp_path, 'a', {}), steps=5, device='cpu')
    assert Listed.seen == [1, 2, 3, 4, 5] and list(newer.extra) == ['balance']
    assert load_state(older, Run(tmp_path, 'a', {}))['step'] == 5

def test_update_changes_its_own_net_only():
    stage = ToyGan().setup('cpu')
    D, G = stage.nets['D'], stage.nets['G']
    before = {k: [p.detach().clone() for p in net.parameters()] for k,net in stage.nets.items()}
    loss = D(G(torch.randn(4, 3, 8, 8))).square().mean()
    for p in D.parameters(): p.grad = torch.full_like(p, 1e6)     # left from somewhere else: not to be used
    stage.update('D', loss)
    assert all(map(torch.equal, before['G'], G.parameters()))
    assert not any(map(torch.equal, before['D'], D.parameters()))
    assert max(p.grad.abs().max() for p in D.parameters()) < 1e3

def test_record(tmp_path):
    train(tmp_path, 'a', steps=50)
    files = {o.name for o in (tmp_path/'a').iterdir()}
    assert files == {'config.json', 'curves.png', 'metrics.jsonl', 'samples', 'state', 'tb'}
    assert [o.name for o in (tmp_path/'a'/'samples').iterdir()] == ['000000050.png']
    assert str(tmp_path) not in (tmp_path/'a'/'config.json').read_text()
    assert len(lines(tmp_path, 'a')) == 13

if __name__ == '__main__':
    torch.set_num_threads(1)
    train(*sys.argv[1:])

def test_the_tiny_training_as_a_walkthrough(tmp_path):
    "From nothing to a model file and a video, in a few steps."
    given = dict(tiny=True, root=str(tmp_path))
    nb = NBS/'walkthroughs'/'train_tiny.ipynb'
    pm.execute_notebook(str(nb), str(tmp_path/'out.ipynb'), given, kernel_name='python3', progress_bar=False)
    assert (tmp_path/'first.mp4').stat().st_size > 1000
    assert SoundVideo.load(tmp_path/'model.safetensors').generator.img_resolution == 32
