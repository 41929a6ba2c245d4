"`sgsvg train`: the notebooks' stages from a shell, on the world and on somebody's footage."
import json, shutil, signal, subprocess, sys, time

import pytest, torch
from safetensors.torch import load_file

from films import drift, film
from repo import EXPERIMENTS
from sgsvg import cli, dataset
from sgsvg.batches import ShardSource
from sgsvg.clipspace import SoundEncoder, load_clip
from sgsvg.core import save_model
from sgsvg.stylegan2 import Generator

TINY = 'tiny=true', 'device=cpu'
CODE = 'import sys; from sgsvg.cli import main; sys.exit(main())'

@pytest.fixture(scope='module')
def footage(tmp_path_factory):
    "A set of six short clips of two classes, 32 pixels."
    d = tmp_path_factory.mktemp('footage')
    for i in range(6):
        to = d/'own'/('raining', 'wind_noise')[i % 2]
        to.mkdir(parents=True, exist_ok=True)
        film(to/f'{i}.mp4', 5, fps=15, seed=i, size=(48, 32), picture=drift)
    card = dataset.build(d/'own', None, d/'set', seconds=5, fps=15, size=32, holdout=0, workers=1)
    assert card['clips'] == 6, card['left_out']
    return d/'set'

@pytest.fixture
def sgsvg(tmp_path, monkeypatch, capsys):
    "Call the command in an empty folder: `(status, stdout, stderr)`"
    monkeypatch.chdir(tmp_path)
    def call(*argv):
        status = cli.main([str(a) for a in argv])
        return status, *capsys.readouterr()
    return call

def refused(result, *words):
    status, out, err = result
    assert (status, out, err.count('\n')) == (1, '', 1) and 'unexpected' not in err, result
    for w in words: assert w in err, err

def test_every_notebook_that_trains_is_a_stage():
    assert set(cli._stages()) == {p.stem.removeprefix('train_') for p in EXPERIMENTS if p.stem.startswith('train_')}

@pytest.mark.parametrize('words, line', [
    (['genrator'], 'unknown stage genrator (did you mean generator?)'),
    (['generator', 'sedd=3'], 'unknown parameter sedd (did you mean seed?)'),
    (['generator', 'lr-=3'], 'unknown parameter lr- (did you mean lr?)'),
    (['generator', 'steps=soon'], "the parameter steps is 'soon', but a whole number is needed"),
    (['generator', '--source', 'wrld', *TINY], "there is no source 'wrld'"),
    (['generator', '--source', 'world=0', *TINY], 'a number above 0'),
    (['generator', '--source', 'recordings:nowhere', *TINY], 'nowhere'),
    (['inversion', 'generator=nothing'], "'nothing' is neither a finished run"),
])
def test_refused_before_any_work(words, line, sgsvg, tmp_path):
    refused(sgsvg('train', *words), line)
    assert not list(tmp_path.rglob('state'))

@pytest.mark.parametrize('how', [[], ['stylegan=3', 'labels=none']], ids=['StyleGAN2', 'StyleGAN3 without labels'])
def test_a_generator_of_footage(how, footage, sgsvg, tmp_path):
    status, out, err = sgsvg('train', 'generator', '--source', footage, *TINY, *how)
    assert (status, out) == (0, 'runs/generator/model.safetensors\n'), err
    params = json.loads((tmp_path/'runs'/'generator'/'config.json').read_text())['params']
    assert (params['source'], params['steps']) == ('set', 4)
    assert {'g', 'd'} <= json.loads((tmp_path/'runs'/'generator'/'metrics.jsonl').read_text().split('\n')[0]).keys()

def test_the_size_is_the_footages(footage, sgsvg):
    assert sgsvg('train', 'generator', *TINY, 'size=64', 'frames=128', 'id=larger')[0] == 0
    line = 'has frames of 32 pixels, and the generator draws 64: build the set again with --size 64'
    refused(sgsvg('train', 'generator', '--source', footage, *TINY, 'tune=larger', 'id=b'), line)

def test_stopped_and_taken_up(footage, tmp_path):
    "SIGTERM ends it with a checkpoint and status 0; called again it ends with the weights of a run left alone."
    words = ['train', 'generator', '--source', str(footage), *TINY, 'steps=30', 'save_every=1000', 'sample_every=1000']
    def call(id): return [sys.executable, '-c', CODE, *words, f'id={id}']
    first = subprocess.Popen(call('a'), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = tmp_path/'runs'/'a'/'metrics.jsonl'
    until = time.monotonic() + 120
    while (not lines.exists() or lines.read_text().count('\n') < 3) and time.monotonic() < until: time.sleep(.05)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out) == (0, 'runs/a/state\n'), err
    assert len(list((tmp_path/'runs'/'a'/'state').glob('step-*'))) == 1
    for id in 'ab': assert subprocess.run(call(id), cwd=tmp_path, capture_output=True).returncode == 0
    a, b = (load_file(tmp_path/'runs'/id/'model.safetensors') for id in 'ab')
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)

def test_shards_that_vanish_in_mid_run(footage, sgsvg, tmp_path):
    "One line at the end, and the last checkpoint stays."
    shutil.copytree(footage, tmp_path/'set')
    long = 'steps=100000', 'save_every=2', 'sample_every=100000'
    words = [sys.executable, '-c', CODE, 'train', 'generator', '--source', 'set', *TINY, *long]
    run = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state, until = tmp_path/'runs'/'generator'/'state', time.monotonic() + 120
    while not list(state.glob('step-*')) and time.monotonic() < until: time.sleep(.05)
    for shard in (tmp_path/'set').glob('*.tar'): shard.unlink()
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (1, '') and 'copy the shard, or build the data set again' in err.splitlines()[-1]
    assert list(state.glob('step-*'))

def test_every_stage_on_footage(footage, sgsvg, tmp_path):
    "The chain of somebody who has clips and nothing else: no stage asks for the truth."
    more = ['draw_from=0', 'lambda_b=.01', 'manifold_weight=.1']
    asked = dict(generator=[], clip=[], sound=[], inversion=['manifold_weight=.1'], trajectory=more)
    for stage, words in asked.items():
        status, out, err = sgsvg('train', stage, '--source', footage, *TINY, *words)
        assert status == 0 and out.endswith(f'runs/{stage}/model.safetensors\n'), err
    assert sgsvg('train', 'trajectory', '--source', footage, *TINY, *more, 'id=published', 'truth=no')[0] == 0
    def terms(id): return json.loads((tmp_path/'runs'/id/'metrics.jsonl').read_text().split('\n')[0]).keys()
    assert terms('trajectory') - terms('published') == {'latent', 'motion'}
    assert {'clip', 'g', 'd', 'reg', 'manifold'} <= terms('published')
    assert len(list((tmp_path/'runs').glob('moments-*'))) == 1

@pytest.fixture(scope='module')
def nets(tmp_path_factory):
    "A small StyleGAN of somebody else's, without labels; a CLIP, a sound encoder for it, and one for another."
    d = tmp_path_factory.mktemp('nets')
    def keep(name, file, net):
        tensors = {f'{name}.{k}': v for k,v in net.state_dict().items()}
        of = {name: {'class': type(net).__name__, 'kwargs': net.kwargs}}
        save_model(d/f'{file}.safetensors', tensors, dict(nets=of, config=dict(params=dict(holdout=''))))
    small = dict(z_dim=16, w_dim=16, img_resolution=32, channel_base=256, channel_max=16, num_layers=2)
    keep('generator', 'gan', Generator(**small))
    keep('clip', 'clip', load_clip('world'))
    for width in (128, 64): keep('sound', f'sound{width}', SoundEncoder(embed_dim=width, channels=(8, 8, 16, 16)))
    return d

def chain(nets, sound='sound128'):
    return [f'{k}={nets/f}.safetensors' for k,f in dict(generator='gan', clip='clip', sound=sound).items()]

def test_the_papers_variant_on_somebodys_stylegan(footage, nets, sgsvg):
    how = *TINY, 'variant=paper', '--source', footage, *chain(nets)
    for stage, words in dict(inversion=['clip_weight=1'], trajectory=['draw_from=0']).items():
        status, out, err = sgsvg('train', stage, *how, *words)
        assert (status, out.splitlines()[-1]) == (0, f'runs/{stage}/model.safetensors'), err

def test_a_generator_without_a_fine_band(footage, nets, sgsvg, tmp_path):
    how = *TINY, 'variant=released', '--source', footage
    line = 'a generator of 8 style layers has no fine band from 8 on'
    refused(sgsvg('train', 'inversion', *how, *chain(nets)), line)
    assert not (tmp_path/'runs'/'inversion').exists()

def test_a_clip_of_another_width(footage, nets, sgsvg):
    line = 'the sound encoder answers in 64 numbers, and the CLIP in 128'
    refused(sgsvg('train', 'inversion', *TINY, '--source', footage, *chain(nets, sound='sound64')), line)

def test_more_than_nine_classes_and_no_captions(sgsvg, tmp_path):
    "Ten kinds of things, none of which has a caption: their names are the words. They do not mix with the world."
    names = 'bees birds brook crowd frogs rain river surf thunder wind'.split()
    for k, name in enumerate(2*names):
        (tmp_path/'own'/name).mkdir(parents=True, exist_ok=True)
        film(tmp_path/'own'/name/f'{k}.mp4', 4, fps=15, seed=k, size=(48, 32), picture=drift)
    dataset.build(tmp_path/'own', None, tmp_path/'set', seconds=4, fps=15, size=32, holdout=0, workers=1)
    source = ShardSource(tmp_path/'set', tmp_path/'pool.safetensors', seconds=2.)
    assert source.classes == tuple(names)
    assert set(source.batch(40, 1, torch.Generator().manual_seed(0), ('caption',))['caption']) <= set(names)
    own = 'train', 'generator', '--source', tmp_path/'set', *TINY
    assert sgsvg(*own)[0] == 0
    refused(sgsvg(*own, '--source', 'world', 'id=b'), 'and the world paints its nine alone')
