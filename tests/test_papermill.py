"Every experiment runs from start to end, tiny, on the CPU, each on what the ones before it left (so this file runs in one process)."
import papermill as pm
import pytest, torch

from repo import EXPERIMENTS
from sgsvg.clipspace import SoundEncoder, load_clip
from sgsvg.core import load_model, save_model
from sgsvg.model import build, kind
from sgsvg.stylegan2 import Generator
from sgsvg.variants import variant

ORDER = 'train_judge train_generator train_clip train_sound train_inversion train_trajectory pack generate evaluate'.split()
rank = {n: i for i, n in enumerate(ORDER)}
ordered = sorted(EXPERIMENTS, key=lambda p: (rank.get(p.stem, len(ORDER)), p.stem))

@pytest.fixture(scope='module')
def place(tmp_path_factory): return tmp_path_factory.mktemp('experiments')

def run(nb, place, **wanted):
    known = pm.inspect_notebook(str(nb))
    pm.execute_notebook(str(nb), str(place/nb.name), {k: v for k, v in dict(tiny=True, root=str(place/'runs'), device='cpu', **wanted).items() if k in known},
                        kernel_name='python3', cwd=str(place), progress_bar=False, execution_timeout=500)

@pytest.mark.parametrize('nb', ordered, ids=lambda p: p.stem)
def test_experiment(nb, place): run(nb, place)

@pytest.mark.parametrize('name', ('paper', 'released'))
def test_variant(name, tmp_path):
    "The stages that have switches, on untrained nets; the generator has enough style layers for every variant's bands."
    torch.manual_seed(0)
    g = Generator(z_dim=16, c_dim=14, w_dim=16, img_resolution=64, channel_base=256, channel_max=8, num_layers=2)
    for part,net in dict(generator=g, clip=load_clip(), sound=SoundEncoder(channels=(8,8,8,8))).items():
        (tmp_path/'runs'/part).mkdir(parents=True)
        save_model(tmp_path/'runs'/part/'model.safetensors', {f'{part}.{k}': v for k,v in net.state_dict().items()}, dict(nets={part: {'class':kind(net), 'kwargs':net.kwargs}}))
    found = {}
    for part in ('inversion', 'trajectory'):
        run(next(p for p in EXPERIMENTS if p.stem==f'train_{part}'), tmp_path, variant=name, lambda_b=.01)
        tensors, meta = load_model(tmp_path/'runs'/part/'model.safetensors')
        assert meta['config']['params']['variant']==name
        found[part] = build(part, tensors, meta)
    v = variant(name)
    assert found['inversion'].kwargs.get('heads', 'conv')==v.heads and tuple(found['inversion'].bands)==v.bands(g.num_ws)
    assert {k: found['trajectory'].kwargs[k] for k in ('once', 'mix', 'noise_gain', 'carry')} == {k: v.trajectory(g.num_ws)[k] for k in ('once', 'mix', 'noise_gain', 'carry')}
