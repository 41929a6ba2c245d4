"""Golden values: what must stay the same to the bit while code moves. On one machine, single-threaded:

    python tools/golden.py write FILE      # before
    python tools/golden.py compare FILE    # after: names each value that differs, and ends with 1

On another machine, which rounds in another way, `compare FILE --near` asks for means and spreads within 1e-3 alone.
`tests/golden.json` has the cheap groups, and the tests compare with it.

`--only NAME ...` takes some of the groups: sounds, pictures, shards, statistics, models, model, training."""
import argparse, hashlib, json, operator, os, re, subprocess, sys, tempfile, wave
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.update(
    OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', PYTHONPATH=str(ROOT), HF_HUB_OFFLINE='1',
    JUPYTER_PREFER_ENV_PATH='1', PYDEVD_DISABLE_FILE_VALIDATION='1')
sys.path[:0] = [str(ROOT), str(ROOT/'tests')]

import numpy as np, torch   # noqa: E402, they read the settings above
from sgsvg.core import load_model   # noqa: E402
from sgsvg.dataset import build   # noqa: E402
from sgsvg.foley import intensity, sound   # noqa: E402
from sgsvg.landscapes import CLASSES, caption   # noqa: E402
from sgsvg.metrics import bootstrap, class_accuracy, frechet, jackknife, kernel_distance, nearest, sync   # noqa: E402
from sgsvg.model import SoundVideo   # noqa: E402
from sgsvg.shards import Shards   # noqa: E402
from sgsvg.world import clip, condition, render   # noqa: E402

STAGES = 'judge generator clip sound inversion trajectory ears'.split()
STEPS = 20

def sha(*parts):
    "One hash of tensors, arrays, bytes, texts and numbers"
    h = hashlib.sha256()
    for p in parts:
        if isinstance(p, torch.Tensor): p = p.detach().cpu().contiguous().numpy()
        if isinstance(p, np.ndarray):
            h.update(f'{p.dtype}{p.shape}'.encode())
            p = np.ascontiguousarray(p).tobytes()
        h.update(p if isinstance(p, bytes) else repr(p).encode())
    return h.hexdigest()[:32]

def bits(*parts):
    "A hash, and means and spreads: what another machine, which rounds in another way, must find as well"
    tensors = [p.detach().double() for p in parts if isinstance(p, torch.Tensor)]
    about = [x for t in tensors for x in (t.mean().item(), t.std(correction=0).item())]
    return dict(sha=sha(*parts), about=about)

def write_wav(path, x, sr):
    with wave.open(str(path), 'wb') as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(sr)
        f.writeframes((x.clamp(-1, 1)*32767).round().short().numpy().tobytes())
    return path

def sounds(place):
    "Foley: curves and waves of every class."
    for c, name in enumerate(CLASSES):
        e = intensity(c, 45, 15, 7)
        yield name, bits(e, sound(c, e, 15, 7, 16000))

def pictures(place):
    "The world: every class at two sizes, conditions, captions, and a clip."
    g = torch.Generator().manual_seed(3)
    z = torch.randn(3, 16, generator=g)
    e, phase = torch.tensor([0., .5, 1.]), torch.rand(3, 2, generator=g)
    for c, name in enumerate(CLASSES):
        cls = torch.full((3,), c)
        for size in (48, (64, 96)): yield f'{name} {size}', bits(render(z, cls, e, phase, size))
        yield f'{name} condition', bits(condition(cls, e, phase))
        yield f'{name} caption', caption(c, e[1], z[0], torch.Generator().manual_seed(c))
    c = clip(5, 3, seconds=1., size=48)
    yield 'clip', bits(c.frames, c.wave, c.sr, c.cls, c.e, c.z, c.phase, c.caption)

def shards(place):
    "A small set, built and read back."
    from films import film
    for i, cls in enumerate(('rain', 'rain', 'wind', 'fire')):
        (place/'films'/cls).mkdir(parents=True, exist_ok=True)
        # with x264 and AAC not always the same bytes
        film(place/'films'/cls/f'{i}.mov', seconds=4.5, fps=20, seed=i, codec='mpeg4', threads=1)
    card = build(place/'films', None, place/'set', seconds=2, fps=10, size=32, workers=1, per_shard=4)
    yield from sorted(card['sha256'].items())
    told = 'clips', 'sources', 'hours', 'classes', 'splits', 'asked_for', 'left_out', 'put_right'
    yield 'card', {k: card[k] for k in told}
    yield 'report', sha((place/'set'/'report.csv').read_bytes())
    for split in card['splits']:
        read = Shards(place/'set', split=split, seconds=1., sr=16000)
        yield f'{split} read', sha(*(x for c in read for x in (c.frames, c.wave, c.e, c.caption)))

def statistics(place):
    "Numbers of `metrics` on fixed features."
    g = torch.Generator().manual_seed(11)
    a, b = torch.randn(60, 24, generator=g), torch.randn(60, 24, generator=g)*1.1+.2
    curve = torch.rand(40, generator=g)
    yield 'frechet', frechet(a, b)
    yield 'kernel_distance', kernel_distance(a, b)
    probs = [a[:10, :9].softmax(1), b[:8, :9].softmax(1)]
    yield 'class_accuracy', {k: v.tolist() for k,v in class_accuracy(probs, torch.tensor([1, 4])).items()}
    yield 'sync', sync(curve, .3*curve+.1*torch.rand(40, generator=g))
    yield 'bootstrap', list(bootstrap(curve.tolist(), generator=torch.Generator().manual_seed(0)))
    yield 'jackknife', list(jackknife(lambda i: a[i].mean().item(), 60))
    yield 'nearest', bits(*nearest(a[:5], b))

def models(place):
    "What is in the model files that come with the package."
    for name in ('default', 'judge'):
        tensors, meta = load_model(ROOT/f'sgsvg/assets/{name}.safetensors')
        yield f'{name} tensors', sha(*(x for k in sorted(tensors) for x in (k, tensors[k])))
        yield f'{name} meta', sha(json.dumps(meta, sort_keys=True))

def three_sounds(place):
    yield 'demo', ROOT/'sgsvg/assets/demo.ogg'
    thunder = CLASSES.index('thunder')
    e = intensity(thunder, 60, 15, 2)
    yield 'thunder', write_wav(place/'thunder.wav', sound(thunder, e, 15, 2, 22050)[0], 22050)
    t = torch.arange(4*32000, dtype=torch.float64)/32000
    sweep = .5*torch.sin(2*torch.pi*(100*t+700*t*t))*(t/4)
    yield 'sweep', write_wav(place/'sweep.wav', sweep.float(), 32000)

def model(place):
    "The embedded model: path and frames of three sounds, and how its nets are built."
    m = SoundVideo.load(device='cpu')
    weights = []
    for part, net in m.nets().items():
        yield f'{part} built', f'{type(net).__name__} {json.dumps(net.kwargs, sort_keys=True)}'
        for k, v in sorted(net.state_dict().items()): weights += [part, k, v]
    yield 'weights', bits(*weights)
    for name, file in three_sounds(place):
        path, loud = (torch.cat(x, d) for x, d in zip(zip(*m.paths(file, 3., seed=5)), (1, 0)))
        yield f'{name} path', bits(path.float())
        yield f'{name} loudness', bits(loud)
        with torch.no_grad(): frames = m.generator.synthesis(path[0,::5])   # float32, also where bfloat16 is fast
        yield f'{name} frames', bits(((frames+1)*127.5).round().clamp(0, 255).to(torch.uint8))

def longer(notebook, to):
    "A copy of an experiment whose smoke test takes `STEPS` steps"
    nb = json.loads(notebook.read_text(encoding='utf-8'))
    changed = 0
    for c in nb['cells']:
        s = ''.join(c['source'])
        if c['cell_type'] != 'code' or 'tiny' not in s or 'steps=' not in s: continue
        s, n = re.subn(r'\bsteps=\d+', f'steps={STEPS}', s)
        changed += n
        c['source'] = s
    if changed != 1:
        sys.exit(f'golden: {notebook.name} has {changed} places that say how many steps a smoke test takes; '
                 'one is expected')
    to.write_text(json.dumps(nb), encoding='utf-8')
    return to

def training(place):
    "Weights after a short training of each stage, each on what the ones before it left."
    import papermill as pm
    for stage in STAGES:
        nb = longer(ROOT/f'nbs/experiments/train_{stage}.ipynb', place/f'train_{stage}.ipynb')
        known = pm.inspect_notebook(str(nb))
        wanted = dict(tiny=True, root=str(place/'runs'), device='cpu')
        given = {k: v for k, v in wanted.items() if k in known}
        out = str(place/f'out_{stage}.ipynb')
        pm.execute_notebook(str(nb), out, given, kernel_name='python3', cwd=str(place), progress_bar=False)
        tensors, meta = load_model(place/f'runs/{stage}/model.safetensors')
        yield f'{stage} weights', sha(*(x for k in sorted(tensors) for x in (k, tensors[k])))
        yield f'{stage} nets', json.dumps(meta['nets'], sort_keys=True)
        last = json.loads((place/f'runs/{stage}/metrics.jsonl').read_text().splitlines()[-1])
        yield f'{stage} last step', {k: v for k, v in last.items() if k.startswith('loss') or k == 'step'}

GROUPS = dict(
    sounds=sounds, pictures=pictures, shards=shards, statistics=statistics,
    models=models, model=model, training=training)

def values(groups):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    found = {}
    for name in groups:
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as d:
            for k, v in GROUPS[name](Path(d)): found[f'{name}: {k}'] = json.loads(json.dumps(v))
        print(f'{name}: {sum(k.startswith(name+":") for k in found)} values', flush=True)
    return found

def near(a, b):
    "Are two values the same up to rounding? A hash is passed over where its means and spreads stand beside it."
    if type(a) is not type(b): return False
    if isinstance(a, float): return abs(a - b) < 1e-3*max(1, abs(a))
    if isinstance(a, list): return len(a) == len(b) and all(map(near, a, b))
    if not isinstance(a, dict): return a == b
    keys = a.keys() - {'sha'} if 'about' in a else a.keys()
    return a.keys() == b.keys() and all(near(a[k], b[k]) for k in keys)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('do', choices=('write', 'compare'))
    p.add_argument('file', type=Path)
    p.add_argument('--near', action='store_true', help='as another machine computes it')
    p.add_argument('--only', nargs='+', choices=GROUPS, default=list(GROUPS))
    args = p.parse_args()
    found = values(args.only)
    if args.do == 'write':
        describe = ['git', 'describe', '--always', '--dirty']
        commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True).stdout.strip()
        record = dict(commit=commit, torch=torch.__version__, values=found)
        args.file.write_text(json.dumps(record, indent=1)+'\n')
        return
    kept = json.loads(args.file.read_text())['values']
    kept = {k: v for k, v in kept.items() if k.split(':')[0] in args.only}
    same = near if args.near else operator.eq
    wrong = [k for k in kept.keys() | found.keys() if not same(kept.get(k), found.get(k))]
    for k in sorted(wrong): print(f'{k}\n  was {kept.get(k)}\n  is  {found.get(k)}')
    print(f'{len(kept.keys() | found.keys())-len(wrong)} values are the same, {len(wrong)} are not')
    sys.exit(bool(wrong))

if __name__ == '__main__': main()
