"A class of sound is one record: a tenth is one row and two functions, a synthesiser and a painter."
import os, shutil, subprocess, sys
from textwrap import dedent

import pytest

from repo import ROOT
from sgsvg import foley, landscapes, painters

ROW = """
LANDSCAPES += (Landscape('snow', 'snow falling',
    words=('falling snow', 'snowfall'), alike=('snow, sleet',),
    movement=Drift(every=(2.,4.), tremble=(.1,.3)), softest=(.2,.5), steady=True, tells=('land',)),)
"""
SYNTHESISER = """
@synthesiser('snow')
def _snow(n, sr, a, g):
    return _coloured(_noise(n,g), sr, [(100,-12), (2000,0), (9000,-20)])
"""
PAINTER = """
@painter('snow')
def snow(v):
    flakes = dots(v, spread(v, 60, 0)-.5, (spread(v, 60, 1)+flat(v.fast)).frac(), .01, flat(v.e))
    return screen(land(v), flakes)
"""
TRY = """
    import torch
    from sgsvg import landscapes, recordings
    from sgsvg.foley import intensity, sound
    from sgsvg.world import clip, condition, random_truth, render
    n = landscapes.class_number('Snow_falling', 'here')
    assert n == 9 and len(landscapes.CLASSES) == 10 and 'snow falling' in landscapes.STEADY
    assert landscapes.class_named(['Snow, sleet'], landscapes.ALIKE) == 'snow falling'
    z, phase = torch.randn(1, 16, generator=torch.Generator().manual_seed(1)), torch.zeros(1, 2)
    still, driving = (render(z, torch.tensor([n]), torch.tensor([e]), phase, 64) for e in (0., 1.))
    assert still.isfinite().all() and (still-driving).abs().mean() > .002   # it snows
    assert condition(torch.tensor([n]), torch.ones(1), phase).shape == (1, 15)
    assert (random_truth(500).cls == n).any()
    c = clip(3, n, seconds=1., size=48)
    assert 'snow' in c.caption and c.wave.shape == (1, 22050) and c.wave.std() > .01
    assert torch.equal(c.wave, sound(n, intensity(n, 15, 15, 3), 15, 3))
    assert 'sky' not in ' '.join(landscapes.caption(n, .5, z[0]*k) for k in range(1, 40))
"""
TRAIN = """
    import torch
    from sgsvg.baselines import BASELINES
    from sgsvg.ears import HEARD, Ear
    from sgsvg.evaluation import EvalClip, Reading, show_confusion
    from sgsvg.inversion import HeardInversion
    from sgsvg.judge import Judge, examine
    from sgsvg.landscapes import CLASSES, N_CONDITION
    from sgsvg.mixtures import Material, sample_window
    from sgsvg.model import SoundVideo
    from sgsvg.stages_ears import confusion
    from sgsvg.stylegan2 import Generator
    from sgsvg.trajectory import Follow
    from sgsvg.world import condition, random_truth, render
    g = Generator(z_dim=16, c_dim=N_CONDITION, w_dim=8, img_resolution=16, channel_base=64, channel_max=8)
    codes, ear = dict(num_ws=g.num_ws, w_dim=8), Ear((4,6,8,16))
    net = SoundVideo(g, HeardInversion(**codes), Follow(**codes, bands=((0,2),(2,4),(4,6))), ear=ear.eval())
    film = torch.cat(list(net.frames((torch.randn(1, 22050), 22050), seconds=.5)))
    assert film.shape[0] == 8 and BASELINES['random'](net).walk(5, 15, 0).shape[1] == 5
    z, cls, e, phase = random_truth(30, torch.Generator().manual_seed(0))
    judge = Judge(size=16, channels=(8,8,8,8), hidden=8).eval()
    assert len(examine(judge, [(render(z, cls, e, phase, 16), cls, e)])['classes']) == len(HEARD) - 1 == 10
    clips = [EvalClip(c, 'made up', None, None, None, 0) for c in (9, 0)]
    show_confusion(dict(world=Reading(clips, [torch.eye(10)]*2)))
    quiet = -7*torch.ones(96, 300).half()
    of = Material([{}]*10, [[quiet]]*10, [quiet])
    assert sample_window(of, torch.Generator().manual_seed(0))[1].shape == (11,)
    assert confusion(ear, [(torch.randn(1, 44100), 9)]).shape == (10, 11)
"""

@pytest.fixture(scope='module')
def ten(tmp_path_factory):
    "A package with a tenth class, and what runs code in it."
    tmp_path = tmp_path_factory.mktemp('ten')
    shutil.copytree(ROOT/'sgsvg', tmp_path/'sgsvg', ignore=shutil.ignore_patterns('assets', '__pycache__'))
    for room, text in (('foley', SYNTHESISER), ('painters', PAINTER)):
        with open(tmp_path/f'sgsvg/{room}.py', 'a', encoding='utf-8') as f: f.write(text)
    table = tmp_path/'sgsvg/landscapes.py'
    before, after = table.read_text(encoding='utf-8').split('CLASSES = tuple(')
    table.write_text(f'{before}{ROW}CLASSES = tuple({after}', encoding='utf-8')
    env = os.environ | {'PYTHONPATH': str(tmp_path)}
    def run(code):
        words = [sys.executable, '-c', dedent(code)]
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    return run

@pytest.mark.parametrize('code', (TRY, TRAIN), ids=('world', 'nets'))
def test_a_tenth_class_is_one_row_and_two_functions(ten, code):
    done = ten(code)
    assert done.returncode == 0, done.stderr

@pytest.mark.parametrize('of', landscapes.LANDSCAPES, ids=lambda of: of.key)
def test_a_record_has_its_synthesiser_and_its_painter(of):
    assert callable(foley.SYNTHESISERS[of.key]) and callable(painters.PAINTERS[of.key])

def test_nothing_is_left_over():
    keys = {of.key for of in landscapes.LANDSCAPES}
    assert keys == set(foley.SYNTHESISERS) == set(painters.PAINTERS)
    assert len(keys) == len(set(landscapes.CLASSES)) == len(landscapes.LANDSCAPES)
    assert len(landscapes.ALIKE) == sum(len(of.alike) for of in landscapes.LANDSCAPES)
