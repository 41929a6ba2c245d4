"""Every experiment runs from start to end, tiny, on the CPU: the block of the reference, as it stands there.

All of it is one chain, so this file runs in one process."""
import json, os, re, subprocess, sys

import papermill as pm
import pytest, torch

from repo import EXPERIMENTS, NBS, cells
from sgsvg.clipspace import SoundEncoder, load_clip
from sgsvg.core import load_model, save_model
from sgsvg.evaluation import read_figures
from sgsvg.model import SoundVideo, build_part, kind
from sgsvg.runs import file_hash
from sgsvg.stylegan2 import Generator
from sgsvg.trajectory import new_trajectory
from sgsvg.variants import variant

REFERENCE = '\n'.join(c['source'] for c in cells(NBS/'reference.ipynb', 'markdown'))
BLOCK = next(b for b in re.findall(r'^```bash\n(.*?)^```', REFERENCE, re.M | re.S) if 'papermill' in b)
STEPS = re.findall(r'^go (\w+)', BLOCK, re.M)
OTHERS = [p for p in EXPERIMENTS if p.stem not in STEPS]

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    "A folder in which a shell ran the block; the `papermill` that it found there added `-p tiny True`."
    place = tmp_path_factory.mktemp('experiments')
    (place/'nbs').symlink_to(NBS)
    program = place/'.venv'/'bin'/'papermill'
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m papermill --no-progress-bar "$@" -p tiny True\n')
    program.chmod(0o755)
    env = {**os.environ, 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(['bash', '-ec', BLOCK], cwd=place, env=env, capture_output=True, text=True)
    (place/'log').write_text(done.stdout + done.stderr)
    return place

def run(nb, place, **wanted):
    known = pm.inspect_notebook(str(nb))
    given = dict(tiny=True, root=str(place/'runs'), device='cpu', **wanted)
    pm.execute_notebook(str(nb), str(place/nb.name), {k: v for k, v in given.items() if k in known},
                        kernel_name='python3', cwd=str(place), progress_bar=False, execution_timeout=500)

@pytest.mark.timeout(1500)
@pytest.mark.parametrize('name', STEPS)
def test_the_block(name, place):
    "The notebook ran to its end, on the CPU, tiny, and left what the page says."
    executed, log = place/'runs'/f'{name}.ipynb', (place/'log').read_text()[-3000:]
    assert executed.exists(), log
    ran = json.loads(executed.read_text())['metadata']['papermill']
    assert ran['end_time'] and not ran['exception'], log
    if name.startswith('train_'):
        tensors, meta = load_model(place/'runs'/name[6:]/'model.safetensors')
        params = json.loads((place/'runs'/name[6:]/'config.json').read_text())['params']
        assert tensors and meta['config']['params'] == params
        assert (params['tiny'], params['steps'], params['device']) == (True, 4, 'cpu')
        frozen = {k: v['sha256'] for k, v in params.items() if isinstance(v, dict)}
        assert frozen == {k: file_hash(place/'runs'/k/'model.safetensors') for k in frozen}

def test_the_block_makes_what_it_says(place):
    "A model, a video and a table, all of the tiny nets; nothing besides."
    model = place/'out'/'model.safetensors'
    nets = SoundVideo.load(model).nets()
    assert set(nets) == {'generator', 'inversion', 'trajectory', 'clip', 'sound'}
    assert nets['generator'].img_resolution == 32
    results = read_figures(place/'out'/'results.json')
    assert (results['clips'], results['resolution'], results['model_sha256']) == (9, 32, file_hash(model))
    assert results['judge_sha256'] == file_hash(place/'runs'/'judge'/'model.safetensors')
    left = sorted(p.name for p in (place/'out').iterdir())
    assert left == ['demo.mp4', 'demo.png', 'model.json', 'model.safetensors', 'results.json']
    assert sorted(p.name for p in place.iterdir()) == ['.venv', 'log', 'nbs', 'out', 'runs']

def test_a_packed_model_lends_its_nets(place, tmp_path):
    "Packed once more, with one net anew: the records of the others come along."
    whole, nb = place/'out'/'model.safetensors', next(p for p in EXPERIMENTS if p.stem=='pack')
    others = {k: str(whole) for k in ('generator', 'inversion', 'clip', 'sound')}
    run(nb, place, **others, trajectory='trajectory', out=str(tmp_path/'again.safetensors'))
    first, again = (json.loads(p.read_text())['runs'] for p in (whole.with_suffix('.json'), tmp_path/'again.json'))
    assert first == again

@pytest.mark.parametrize('nb', OTHERS, ids=lambda p: p.stem)
def test_experiment(nb, place): run(nb, place)

@pytest.mark.parametrize('name', ('paper', 'released'))
def test_variant(name, tmp_path):
    "The stages that have switches, on untrained nets; the generator has enough style layers for every variant's bands."
    torch.manual_seed(0)
    g = Generator(z_dim=16, c_dim=14, w_dim=16, img_resolution=64, channel_base=256, channel_max=8, num_layers=2)
    for part,net in dict(generator=g, clip=load_clip(), sound=SoundEncoder(channels=(8,8,8,8))).items():
        (tmp_path/'runs'/part).mkdir(parents=True)
        tensors = {f'{part}.{k}': v for k,v in net.state_dict().items()}
        meta = dict(nets={part: {'class':kind(net), 'kwargs':net.kwargs}})
        save_model(tmp_path/'runs'/part/'model.safetensors', tensors, meta)
    found = {}
    for part in ('inversion', 'trajectory'):
        run(next(p for p in EXPERIMENTS if p.stem==f'train_{part}'), tmp_path, variant=name, lambda_b=.01)
        tensors, meta = load_model(tmp_path/'runs'/part/'model.safetensors')
        assert meta['config']['params']['variant']==name
        found[part] = build_part(part, tensors, meta)
    v = variant(name)
    assert found['inversion'].kwargs.get('heads', 'conv')==v.heads
    assert tuple(found['inversion'].bands)==v.bands(g.num_ws)
    want, walks = new_trajectory(v, g.num_ws, g.w_dim), found['trajectory']
    assert type(walks) is type(want)
    for k in ('carry', 'gain', 'first_code_only', 'mix', 'noise_gain'):
        assert getattr(walks, k, None)==getattr(want, k, None)
