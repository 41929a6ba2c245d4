"From the authors' files, and from NVIDIA's, to a video: tiny files in their formats, `sgsvg import`, `sgsvg generate`."
import pickle, re, sys
from types import ModuleType
from unittest.mock import patch

import av, numpy as np, pytest, torch
from torch import nn

from media import tone, write_sound
from sgsvg import cli, core, stylegan2, stylegan3
from sgsvg.audio import RELEASED_MEL, stream_windows
from sgsvg.filters import fir
from sgsvg.inversion import PSPInversion
from sgsvg.model import SoundVideo
from sgsvg.pretrained import load_stylegan

W_DIM = 8
STARTS = (0, 3, 7, 21)      # the first unit of each stage, in the authors' flat count

def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    return status, *capsys.readouterr()

# --- the authors' files ---

THEIRS = (
    (r'^stem\.', 'input_layer.'), (r'\.short\.', '.shortcut_layer.'),
    (r'\.body\.5\.net\.1\.', '.res_layer.5.fc1.'), (r'\.body\.5\.net\.3\.', '.res_layer.5.fc2.'),
    (r'\.body\.', '.res_layer.'), (r'^laterals\.0\.', 'latlayer1.'), (r'^laterals\.1\.', 'latlayer2.'),
    (r'^(heads\.[0-2])\.net\.10\.', r'\1.linear.'), (r'^(heads\.[3-6])\.net\.12\.', r'\1.linear.'),
    (r'\.net\.14\.', '.linear.'), (r'\.net\.', '.convs.'),
    (r'^(heads\.\d+)\.encoder\.', r'\1.transformer_encoder.'), (r'^heads\.', 'styles.'))

def their_name(k):
    "A name of `PSPInversion` as in `audio_inversion_.pth`."
    k = re.sub(r'^levels\.(\d)\.(\d+)\.', lambda m: f'body.{STARTS[int(m[1])]+int(m[2])}.', k)
    for ours,theirs in THEIRS: k = re.sub(ours, theirs, k)
    return f'encoder.{k}'

class Walker(nn.Module):
    "One recurrent net as the trainer (or with `remix`, the generator script) saves it."
    def __init__(self, n, remix, hidden=4, layers=2):
        super().__init__()
        self.rnn = nn.GRU(n, hidden, layers, bidirectional=True)
        self.fc = nn.Linear(2*hidden, n)
        if remix: self.audio_noise_fc = nn.Linear(2*layers*hidden, 2*layers*hidden)

def write_theirs(folder, heads, remix, prefix):
    "The four files and a StyleGAN3; also the encoder and the generator."
    torch.manual_seed(0)
    encoder = PSPInversion(16, W_DIM, channels=(4,4,8,8), heads=heads).eval()
    g = stylegan3.Generator(z_dim=8, w_dim=W_DIM, img_resolution=32, channel_base=256, channel_max=8)
    g.mapping.w_avg.normal_()
    g.synthesis.input.affine.weight.data.normal_()
    sd = {their_name(k): v for k,v in encoder.state_dict().items() if k!='w_avg'}
    places = {f'encoder.styles.{k}.positional_encoding.pe': torch.zeros(5, 1, 8) for k in range(16)}
    if heads!='conv': sd |= places
    walkers = {f'{b}former_': Walker(n*W_DIM, remix).state_dict() for b,n in (('coarse', 4), ('mid', 4), ('fine', 8))}
    files = dict(lhq=g.state_dict(), audio_inversion_=sd) | walkers
    for name,sd in files.items():
        torch.save({prefix*(name!='lhq') + k: v for k,v in sd.items()}, folder/f'{name}.pth')
    return [folder/f'{name}.pth' for name in files], encoder, g

@pytest.mark.parametrize('heads,remix,prefix', (('conv', True, ''), ('flattened', False, 'module.')))
def test_authors(heads, remix, prefix, tmp_path, capsys):
    files, encoder, g = write_theirs(tmp_path, heads, remix, prefix)
    model, film = tmp_path/'authors.safetensors', tmp_path/'out.mp4'
    sound = write_sound(tmp_path/'tone.wav', tone(.4, 44100), 44100)
    status, out, err = run(capsys, 'import', *files, model)
    assert (status, err) == (0, '') and 'not used' not in out and 'missing' not in out
    assert run(capsys, 'generate', sound, '-o', film, '--model', model, '--device', 'cpu') == (0, f'{film}\n', '')
    with av.open(str(film)) as c:
        assert [s.codec_context.name for s in c.streams] == ['h264', 'aac']
        assert sum(1 for _ in c.decode(video=0)) == 12                  # 30 frames a second
    m = SoundVideo.load(model, 'cpu')
    assert (m.variant, m.mel, m.fps, m.trajectory.mix) == ('released', RELEASED_MEL, 30, .4)
    affine = m.generator.synthesis.input.affine
    assert not affine.weight.any() and torch.allclose(affine.bias, g.freeze_input().synthesis.input.affine.bias)
    path = torch.cat([p for p,_ in m.paths(sound)], 1)
    window = next(stream_windows(sound, 30, m.mel, middle=True))[0][:1]
    start = encoder(window) + (g.mapping.w_avg if heads!='conv' else 0)
    assert torch.allclose(path[:,0], start, atol=1e-5)    # the encoder's weights arrived
    w, state = path[:,0], [None]*3
    for t in range(1, 4):
        to, state = m.trajectory.step(w, torch.zeros(1, 0), state)
        w = .4*to + .6*w
        assert torch.allclose(path[:,t], w, atol=1e-5)

def test_a_generator_alone_is_no_model(tmp_path, capsys):
    files, *_ = write_theirs(tmp_path, 'conv', False, '')
    sound = write_sound(tmp_path/'tone.wav', tone(.4, 44100), 44100)
    assert run(capsys, 'import', files[0], tmp_path/'g.safetensors')[0] == 0
    status, out, err = run(capsys, 'generate', sound, '-o', tmp_path/'out.mp4', '--model', tmp_path/'g.safetensors')
    assert (status, out, err.count('\n')) == (1, '', 1) and 'has no inversion' in err and 'sgsvg import' in err
    status, out, err = run(capsys, 'generate', sound, '-o', tmp_path/'out.mp4', '--model', files[0])
    assert (status, out, err.count('\n')) == (1, '', 1) and 'sgsvg import' in err

# --- NVIDIA's files ---

def _reconstruct_persistent_obj(meta): raise AssertionError
class EasyDict(dict): pass

class Persistent:
    "A module that pickles as NVIDIA's do."
    def __init__(self, net, kwargs=()): self.net,self.kwargs = net,EasyDict(kwargs)
    def __reduce__(self):
        name = type(self.net).__name__
        filters = dict(resample_filter=fir()) if name in ('StyledConv', 'SynthesisBlock') else {}
        state = dict(
            _parameters=dict(self.net._parameters), _buffers=dict(self.net._buffers)|filters,
            _modules={k: Persistent(m) for k,m in self.net.named_children()},
            _init_args=(), _init_kwargs=self.kwargs)
        made = dict(type='class', version=6, module_src='1/0', class_name=name, state=state)
        return sys.modules['torch_utils.persistence']._reconstruct_persistent_obj, (made,)

def nvidia(g, **more):
    "Bytes of a `.pkl` with `g` as its `G_ema`."
    kw = {k: g.kwargs[k] for k in ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels')}
    synthesis = EasyDict({k: g.kwargs[k] for k in ('channel_base', 'channel_max')}, num_fp16_res=4)
    init = kw | dict(mapping_kwargs=EasyDict(num_layers=g.kwargs['num_layers']), synthesis_kwargs=synthesis) | more
    found, fakes = dict(_reconstruct_persistent_obj=_reconstruct_persistent_obj, EasyDict=EasyDict), {}
    for name,k in (('torch_utils.persistence', '_reconstruct_persistent_obj'), ('dnnlib.util', 'EasyDict')):
        fakes |= {name.split('.')[0]: ModuleType(name.split('.')[0]), name: ModuleType(name)}
        setattr(fakes[name], k, found[k])
        found[k].__module__ = name
    whole = dict(G=None, D=None, G_ema=Persistent(g, init), augment_pipe=None, training_set_kwargs=EasyDict(path='x'))
    with patch.dict(sys.modules, fakes): return pickle.dumps(whole, 4)

def stylegan2_of(**kw):
    small = dict(z_dim=8, c_dim=3, w_dim=8, img_resolution=16, channel_base=64, channel_max=8, num_layers=2)
    return stylegan2.Generator(**small | kw)

def test_pkl(tmp_path, capsys):
    "Import, look, load; a class by its index."
    g = stylegan2_of()
    (tmp_path/'net.pkl').write_bytes(nvidia(g))
    status, out, err = run(capsys, 'import', tmp_path/'net.pkl', tmp_path/'net.safetensors')
    assert (status, err) == (0, '') and 'the same as ours' in out
    status, out, err = run(capsys, 'info', tmp_path/'net.safetensors')
    numbers = sum(v.numel() for v in g.state_dict().values())
    assert (status, err) == (0, '') and 'StyleGAN2' in out and f'{numbers:,}' in out
    from sgsvg.pretrained import load_stylegan
    again, z = load_stylegan(tmp_path/'net.safetensors'), torch.randn(2, 8)
    with torch.no_grad(): assert torch.equal(again(z, 1), g(z, torch.eye(3)[[1,1]]))

BAD = dict(
    wrong_resolution=(lambda: nvidia(stylegan2_of(), img_resolution=32), 'synthesis.b32'),
    no_power_of_two=(lambda: nvidia(stylegan2_of(), img_resolution=100), 'power of two'),
    other_labels=(lambda: nvidia(stylegan2_of(), c_dim=5), 'mapping.embed.weight'),
    no_g_ema=(lambda: nvidia(stylegan2_of()).replace(b'G_ema', b'G_emb'), 'has no G_ema, only G_emb'),
    truncated=(lambda: nvidia(stylegan2_of())[:-5000], 'cut short'),
    unknown_class=(
        lambda: nvidia(stylegan2_of()).replace(b'\x8c\x09Generator', b'\x8c\x09Penerator'),
        'G_ema is a Penerator'),
)

@pytest.mark.parametrize('case', BAD)
def test_bad_network(case, tmp_path, capsys):
    data, words = BAD[case]
    (tmp_path/'net.pkl').write_bytes(data())
    status, out, err = run(capsys, 'import', tmp_path/'net.pkl', tmp_path/'o.safetensors')
    assert (status, out, err.count('\n')) == (1, '', 1) and words in err and 'unexpected' not in err, err
    assert not (tmp_path/'o.safetensors').exists()

def test_half_precision(tmp_path, capsys):
    (tmp_path/'net.pkl').write_bytes(nvidia(stylegan2_of().half()))
    assert run(capsys, 'import', tmp_path/'net.pkl', tmp_path/'o.safetensors')[0] == 0
    tensors, _ = core.load_model(tmp_path/'o.safetensors')
    assert {v.dtype for v in tensors.values()} == {torch.float32}

@pytest.mark.parametrize('value', (np.nan, np.inf))
def test_numbers_that_are_none(value, tmp_path, capsys):
    "A diverged snapshot, or one that half precision could not hold, is refused in whatever file it stands."
    g = stylegan2_of()
    g.synthesis.b8.conv1.weight.data[0, 0, 0, 0] = value
    torch.save(dict(g_ema=g.state_dict()), tmp_path/'net.pt')
    (tmp_path/'net.pkl').write_bytes(nvidia(g))
    core.save_model(tmp_path/'net.safetensors', {f'generator.{k}': v for k,v in g.state_dict().items()},
                    dict(nets=dict(generator={'class': 'Generator', 'kwargs': g.kwargs})))
    for name in ('net.pt', 'net.pkl', 'net.safetensors'):
        status, out, err = run(capsys, 'import', tmp_path/name, tmp_path/'o.safetensors')
        assert (status, out) == (1, '') and 'holds NaN or infinite numbers in synthesis.b8.conv1.weight:' in err
        assert err.count('\n') == 1 and not (tmp_path/'o.safetensors').exists()

def test_no_such_class(tmp_path):
    g = stylegan2_of()
    with pytest.raises(core.SgsvgError, match='no class 3: the network has 3'): g(torch.randn(1, 8), 3)

def test_the_authors_files_as_safetensors(tmp_path, capsys):
    "Converted by somebody, prefixes and all: the same model."
    from safetensors.torch import save_file
    files = write_theirs(tmp_path, 'conv', False, 'module.')[0]
    for f in files:
        tensors = {k: v.contiguous() for k,v in torch.load(f).items()}
        save_file(tensors, f.with_suffix('.safetensors'), metadata=dict(format='pt'))
    for ending in ('.pth', '.safetensors'):
        given = [f.with_suffix(ending) for f in files]
        status, out, err = run(capsys, 'import', *given, tmp_path/f'model{ending[1:]}.safetensors')
        assert (status, err) == (0, ''), err
    (a, _), (b, _) = (core.load_model(tmp_path/f'model{k}.safetensors') for k in ('pth', 'safetensors'))
    assert a.keys() == b.keys() and all(torch.equal(v, b[k]) for k,v in a.items())

def test_grey_generators_and_loose_ones(tmp_path, capsys):
    "A generator of one channel makes no video; a state dict under the name G_ema is one."
    files = write_theirs(tmp_path, 'conv', False, '')[0]
    small = dict(z_dim=8, w_dim=W_DIM, img_resolution=32, channel_base=256, channel_max=8)
    torch.save(stylegan3.Generator(**small, img_channels=1).state_dict(), files[0])
    status, out, err = run(capsys, 'import', *files, tmp_path/'o.safetensors')
    assert (status, out) == (1, '') and 'of 1 channels' in err and not (tmp_path/'o.safetensors').exists()
    torch.save(dict(G_ema=stylegan2_of().state_dict()), tmp_path/'g.pt')
    assert run(capsys, 'import', tmp_path/'g.pt', tmp_path/'o.safetensors')[0] == 0

# --- state dicts as people keep them ---

def under(prefix, sd): return {f'{prefix}.{k}': v for k,v in sd.items()}

WRAPPINGS = dict(
    lightning=lambda sd: dict(
        state_dict=under('generator.module._orig_mod', sd) | {'critic.fc.weight': torch.ones(2)},
        callbacks={'best_k_models': {'/a/long/path/'*30 + 'epoch=3.ckpt': torch.tensor(.5)}},
        optimizer_states=[dict(state={0: dict(step=3)})]),
    model=lambda sd: dict(model=dict(net=sd), epoch=3),
    twice_averaged=lambda sd: dict(
        ema=under('online_model', {k: 0*v for k,v in sd.items()}) | under('ema_model', sd)),
    swa=lambda sd: {'n_averaged': torch.tensor(7)} | under('module', sd),
    params=lambda sd: dict(params={k: 0*v for k,v in sd.items()}, params_ema=sd),
    compiled_parts=lambda sd: {k.replace('synthesis.', 'synthesis._orig_mod.module.'): v for k,v in sd.items()})

@pytest.mark.parametrize('dtype', (torch.float16, torch.bfloat16, torch.float64))
@pytest.mark.parametrize('wrapping', WRAPPINGS)
def test_wrapped(wrapping, dtype, tmp_path, capsys):
    "Every wrapping in every precision: the net with its numbers rounded, to the bit; the rows say what was left out."
    torch.manual_seed(1)
    small = dict(z_dim=8, w_dim=8, img_resolution=16, channel_base=128, channel_max=8, num_layers=4)
    for g in (stylegan2_of(c_dim=0, architecture='resnet', use_noise=False), stylegan3.Generator(**small)):
        sd = {k: v.to(dtype) for k,v in g.state_dict().items()}
        for name,layer in g.synthesis.named_children():
            for k in ('up_filter', 'down_filter'):
                if getattr(layer, k, None) is not None: sd[f'synthesis.{name}.{k}'] = getattr(layer, k).to(dtype)
        torch.save(WRAPPINGS[wrapping](sd), tmp_path/'net.pt')
        status, out, err = run(capsys, 'import', tmp_path/'net.pt', tmp_path/'net.safetensors')
        assert (status, err) == (0, '') and ('left out   state_dict.critic' in out) == (wrapping == 'lightning')
        g.load_state_dict({k: v.float() for k,v in sd.items() if 'filter' not in k})
        z = torch.randn(2, 8)
        with torch.no_grad(): assert torch.equal(load_stylegan(tmp_path/'net.safetensors')(z), g.eval()(z))
