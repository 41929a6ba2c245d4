"Every switch of a variant, one at a time, changes what it says and nothing else."
from dataclasses import fields, replace

import pytest, torch
from torch.nn.functional import normalize

from sgsvg.clipspace import ClipSpace
from sgsvg.core import SgsvgError
from sgsvg.critics import VIDEO_CRITICS
from sgsvg.inversion import Inversion, PSPInversion
from sgsvg.losses import adversarial, clip_terms, latent_reg, reg_targets
from sgsvg.trajectory import Trajectory, new_trajectory, step_noise
from sgsvg.variants import OURS, PAPER, RELEASED, SWITCHES, Variant, differences, variant

NUM_WS, W_DIM, T = 12, 16, 8
SMALL = dict(units=(1,1,1,1), channels=(8,8,8,16), size=32)

def seeded(*shape, seed=0): return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

def noise_of(v, w, seed):
    "What a run with variant `v` hands to the trajectory."
    if v.noise!='step': return seeded(1, 1, NUM_WS, W_DIM, seed=seed)
    return step_noise(w, generator=torch.Generator().manual_seed(seed))

@torch.no_grad()
def path(v, w_a=None, seed=1):
    torch.manual_seed(0)
    net = new_trajectory(v, NUM_WS, W_DIM, hidden=8, layers=1).eval()
    w_a = seeded(1, T, NUM_WS, W_DIM) if w_a is None else w_a
    return net(w_a, noise_of(v, w_a, seed), 15)[0]

def same(a, b): return torch.allclose(a, b, atol=1e-6)

@pytest.mark.parametrize('base', (PAPER, OURS), ids=('paper', 'ours'))
def test_sound(base):
    "`once` is deaf after the first frame, the others are not; a leak forgets an early sound that the sum keeps."
    w_a = seeded(1, T, NUM_WS, W_DIM)
    later, early = w_a.clone(), w_a.clone()
    later[:, 4:] += 1
    early[:, :2] += 1
    for word in SWITCHES['sound']:
        v = replace(base, sound=word)
        assert same(path(v, later), path(v, w_a)) == (word=='once')
    def left_of(v): return (path(v, early) - path(v, w_a))[:, -1].norm()
    left = {k: left_of(replace(base, sound=k)) for k in ('sum', 'leaky')}
    assert left['leaky'] < .2*left['sum']
    assert same(path(replace(RELEASED, mixing=1., sound='once'))[:, :1], w_a[:, :1])

def test_noise():
    "`none` ignores the seed; `scene` and `step` do not; only `scene` brings the clock."
    for word in SWITCHES['noise']:
        v = replace(PAPER, noise=word)
        assert same(path(v, seed=1), path(v, seed=2)) == (word=='none')
        assert bool(new_trajectory(v, NUM_WS, W_DIM).clock) == (word=='scene')
    w = seeded(1, T, NUM_WS, W_DIM)
    step, scene = (noise_of(replace(PAPER, noise=k), w, 0).expand_as(w) for k in ('step', 'scene'))
    assert not step[:, 1:].equal(step[:, :-1]) and scene[:, 1:].equal(scene[:, :-1])

@pytest.mark.parametrize('cuts', ((3,6), (4,8)))
def test_cuts(cuts):
    "A change of one style layer's code moves its own band and no other."
    v, w_a = replace(PAPER, cuts=cuts), seeded(1, T, NUM_WS, W_DIM)
    for lo,hi in v.bands(NUM_WS):
        other = w_a.clone()
        other[:, :, lo] += 1
        moved = (path(v, other) - path(v, w_a)).abs().amax((0,1,3)) > 1e-6
        assert moved.nonzero().flatten().tolist() == list(range(lo, hi))

def test_clip():
    "`every` frame pulls by sound and text, `last` by text alone."
    v, a, t = (normalize(seeded(*s, seed=i), dim=-1).requires_grad_() for i,s in enumerate(((2,T,6), (2,T,6), (2,6))))
    for word in SWITCHES['clip']:
        how = replace(PAPER, clip=word)
        loss = clip_terms[how.clip](v, a, t)
        gv, ga, gt = torch.autograd.grad(loss, (v, a, t), materialize_grads=True, allow_unused=True)
        assert (gv.abs().sum((0,2))>0).tolist() == [word=='every']*(T-1) + [True]
        assert bool(ga.any()) == (word=='every') and bool(gt.any())
        space = ClipSpace(normalise=how.normalise)
        seen = ((space.mean>0)&(space.mean<1)).all() and (space.std<1).all()
        assert seen == (word=='every')
        if not seen: assert not space.mean.any() and (space.std==1).all()
    v, t = torch.tensor([[[0., 1.], [.6, .8]]]), torch.tensor([[1., 0.]])
    assert clip_terms['last'](v, None, t).item() == pytest.approx(.001*(1-.6)**2)

def test_adversarial():
    "The forms differ at a generator that already convinces: least squares pulls it back, log pushes on, hinge too."
    x = torch.tensor([3.], requires_grad=True)
    def slope_of(v): return torch.autograd.grad(adversarial[v.adversarial].g(x), x)[0].item()
    slope = {k: slope_of(replace(PAPER, adversarial=k)) for k in SWITCHES['adversarial']}
    assert slope['lsq'] > 0 > slope['log'] > slope['hinge'] == -1

def test_video_critic():
    "`frames` gives a shuffled clip the same mark, `clip` does not."
    x, order = seeded(1, 6, 3, 32, 32).clamp(-1, 1), torch.tensor([3,0,5,1,4,2])
    torch.manual_seed(0)
    for word in SWITCHES['video_critic']:
        cls = VIDEO_CRITICS[replace(PAPER, video_critic=word).video_critic]
        critic = (cls(width=4) if word=='frames' else cls(resolution=32, width=4)).eval()
        with torch.no_grad(): assert torch.allclose(critic(x), critic(x[:, order]), atol=1e-5) == (word=='frames')

def test_regulariser():
    "A code at `w_avg` feels no pull to the `mean`, and one to the centre of `five` random codes."
    w_avg = seeded(W_DIM, seed=1)
    ws = w_avg + seeded(5, 1, W_DIM, seed=2).expand(-1, NUM_WS, -1)
    w = w_avg.expand(1, NUM_WS, -1).clone().requires_grad_()
    def pull_of(v): return torch.autograd.grad(latent_reg(w, reg_targets[v.regulariser](w_avg, ws)), w)[0]
    pull = {k: pull_of(replace(PAPER, regulariser=k)) for k in SWITCHES['regulariser']}
    assert not pull['mean'].any()
    assert torch.allclose(pull['five'], -2*.7*(ws - w_avg).mean(0)/w.numel(), atol=1e-6)

def test_heads():
    """`flattened` reads almost nothing of its feature map, `conv` and `tokens` all of it;
    `flattened` and `tokens` share their weights; `grid` is not the pyramid's."""
    share, keys = {}, {}
    bands = (0,3), (3,7), (7,NUM_WS)
    with pytest.raises(SgsvgError, match='unknown style heads'): PSPInversion(NUM_WS, W_DIM, bands, heads='grid')
    for word in [w for w in SWITCHES['heads'] if w!='grid']:
        torch.manual_seed(0)
        net = PSPInversion(NUM_WS, W_DIM, bands, heads=replace(PAPER, heads=word).heads, **SMALL).eval()
        x = seeded(1, 16, 8, 8).requires_grad_()
        g, = torch.autograd.grad((net.heads[-1](x)*seeded(1, W_DIM)).sum(), x)
        share[word], keys[word] = (g!=0).float().mean().item(), net.state_dict().keys()
    assert share['flattened'] == 1/64 and min(share['conv'], share['tokens']) > .95
    assert keys['flattened'] == keys['tokens'] != keys['conv']
    def pyramid(keys): return any(k.startswith('laterals') for k in keys)
    assert pyramid(keys['conv']) and not pyramid(Inversion(NUM_WS, W_DIM).state_dict())

def test_mixing():
    "The next latent is a share of the new one; in training it is the new one."
    a, b = path(replace(RELEASED, mixing=1.)), path(RELEASED)
    assert torch.allclose(b[:, 1], .4*a[:, 1] + .6*a[:, 0], atol=1e-5) and not same(a, b)
    net = new_trajectory(replace(PAPER, mixing=.4), NUM_WS, W_DIM, hidden=8, layers=1)
    w_a = seeded(1, T, NUM_WS, W_DIM)
    with torch.no_grad(): trained, run = (net.train(m)(w_a, 0*w_a, 15)[0] for m in (True, False))
    assert not same(trained, run)

def test_every_switch_is_tested():
    "One test above per switch, and a table entry for every word."
    assert [f.name for f in fields(Variant) if f'test_{f.name}' not in globals()] == []
    tables = dict(clip=clip_terms, adversarial=adversarial, video_critic=VIDEO_CRITICS, regulariser=reg_targets)
    for k,table in tables.items(): assert set(table) == set(SWITCHES[k])

def test_ours_is_what_ships():
    "The defaults of the trajectory and of the inversion's bands are those of `ours`."
    ours = new_trajectory(OURS, NUM_WS, W_DIM)
    assert type(ours) is Trajectory and ours.kwargs == Trajectory(NUM_WS, W_DIM).kwargs
    assert tuple(Inversion(NUM_WS, W_DIM).kwargs['bands']) == ours.kwargs['bands']

@pytest.mark.parametrize('a,b', ((PAPER, RELEASED), (PAPER, OURS), (RELEASED, OURS)))
def test_one_switch_at_a_time(a, b):
    "From one variant to the other by single switches: each step is one difference."
    for k,(_, to) in differences(a, b).items():
        assert list(differences(a, nxt := replace(a, **{k: to}))) == [k]
        a = nxt
    assert a == b

BAD = dict(name='theirs'), dict(clips='every'), dict(sound='twice'), dict(cuts=(8,4)), dict(mixing=2.)

@pytest.mark.parametrize('kw', BAD, ids=str)
def test_bad_settings(kw):
    with pytest.raises(SgsvgError): variant(**kw)
