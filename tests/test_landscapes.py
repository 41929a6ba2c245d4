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

def test_a_tenth_class_is_one_row_and_two_functions(tmp_path):
    shutil.copytree(ROOT/'sgsvg', tmp_path/'sgsvg', ignore=shutil.ignore_patterns('assets', '__pycache__'))
    for room, text in (('foley', SYNTHESISER), ('painters', PAINTER)):
        with open(tmp_path/f'sgsvg/{room}.py', 'a', encoding='utf-8') as f: f.write(text)
    table = tmp_path/'sgsvg/landscapes.py'
    before, after = table.read_text(encoding='utf-8').split('CLASSES = tuple(')
    table.write_text(f'{before}{ROW}CLASSES = tuple({after}', encoding='utf-8')
    env = os.environ | {'PYTHONPATH': str(tmp_path)}
    done = subprocess.run([sys.executable, '-c', dedent(TRY)], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

@pytest.mark.parametrize('of', landscapes.LANDSCAPES, ids=lambda of: of.key)
def test_a_record_has_its_synthesiser_and_its_painter(of):
    assert callable(foley.SYNTHESISERS[of.key]) and callable(painters.PAINTERS[of.key])

def test_nothing_is_left_over():
    keys = {of.key for of in landscapes.LANDSCAPES}
    assert keys == set(foley.SYNTHESISERS) == set(painters.PAINTERS)
    assert len(keys) == len(set(landscapes.CLASSES)) == len(landscapes.LANDSCAPES)
    assert len(landscapes.ALIKE) == sum(len(of.alike) for of in landscapes.LANDSCAPES)
