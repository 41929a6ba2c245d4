"""Golden values: what must stay the same to the bit while code moves. On one machine, single-threaded:

    python tools/golden.py write FILE      # before
    python tools/golden.py compare FILE    # after: names each value that differs, and ends with 1

`--only NAME ...` takes some of the groups: sounds, pictures, shards, statistics, models, model, training."""
import argparse, hashlib, importlib, json, os, re, subprocess, sys, tempfile, wave
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.update(
    OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', PYTHONPATH=str(ROOT), HF_HUB_OFFLINE='1',
    JUPYTER_PREFER_ENV_PATH='1', PYDEVD_DISABLE_FILE_VALIDATION='1')
sys.path[:0] = [str(ROOT), str(ROOT/'tests')]

import numpy as np, torch   # noqa: E402, they read the settings above

# where a name may live: the first room that has it counts
ROOMS = dict(
    CLASSES='landscapes foley', intensity='foley', sound='foley',
    render='world', condition='world', clip='world', caption='landscapes world',
    build='dataset', Shards='shards clips',
    frechet='metrics distances', kernel_distance='metrics distances', class_accuracy='metrics', sync='metrics',
    bootstrap='metrics', jackknife='metrics', nearest='metrics distances',
    SoundVideo='model', load_model='core')

STAGES = 'judge generator clip sound inversion trajectory'.split()
STEPS = 20

def find(name):
    "The thing of this name, from the first room that has it"
    for room in ROOMS[name].split():
        try: found = getattr(importlib.import_module(f'sgsvg.{room}'), name, None)
        except ModuleNotFoundError: continue
        if found is not None: return found
    sys.exit(f'golden: no {name} in {ROOMS[name]}; put its room into ROOMS')

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

def write_wav(path, x, sr):
    with wave.open(str(path), 'wb') as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(sr)
        f.writeframes((x.clamp(-1, 1)*32767).round().short().numpy().tobytes())
    return path

def sounds(place):
    "Foley: curves and waves of every class."
    for c, name in enumerate(find('CLASSES')):
        e = find('intensity')(c, 45, 15, 7)
        yield name, sha(e, find('sound')(c, e, 15, 7, 16000))

def pictures(place):
    "The world: every class at two sizes, conditions, captions, and a clip."
    g = torch.Generator().manual_seed(3)
    z = torch.randn(3, 16, generator=g)
    e, phase = torch.tensor([0., .5, 1.]), torch.rand(3, 2, generator=g)
    for c, name in enumerate(find('CLASSES')):
        cls = torch.full((3,), c)
        for size in (48, (64, 96)): yield f'{name} {size}', sha(find('render')(z, cls, e, phase, size))
        yield f'{name} condition', sha(find('condition')(cls, e, phase))
        yield f'{name} caption', find('caption')(c, e[1], z[0], torch.Generator().manual_seed(c))
    c = find('clip')(5, 3, seconds=1., size=48)
    yield 'clip', sha(c.frames, c.wave, c.sr, c.cls, c.e, c.z, c.phase, c.caption)

def shards(place):
    "A small set, built and read back."
    from films import film
    for i, cls in enumerate(('rain', 'rain', 'wind', 'fire')):
        (place/'films'/cls).mkdir(parents=True, exist_ok=True)
        # with x264 and AAC not always the same bytes
        film(place/'films'/cls/f'{i}.mov', seconds=4.5, fps=20, seed=i, codec='mpeg4', threads=1)
    card = find('build')(place/'films', None, place/'set', seconds=2, fps=10, size=32, workers=1, per_shard=4)
    yield from sorted(card['sha256'].items())
    told = 'clips', 'sources', 'hours', 'classes', 'splits', 'asked_for', 'left_out', 'put_right'
    yield 'card', {k: card[k] for k in told}
    yield 'report', sha((place/'set'/'report.csv').read_bytes())
    for split in card['splits']:
        read = find('Shards')(place/'set', split=split, seconds=1., sr=16000)
        yield f'{split} read', sha(*(x for c in read for x in (c.frames, c.wave, c.e, c.caption)))

def statistics(place):
    "Numbers of `metrics` on fixed features."
    g = torch.Generator().manual_seed(11)
    a, b = torch.randn(60, 24, generator=g), torch.randn(60, 24, generator=g)*1.1+.2
    curve = torch.rand(40, generator=g)
    yield 'frechet', find('frechet')(a, b)
    yield 'kernel_distance', find('kernel_distance')(a, b)
    probs = [a[:10, :9].softmax(1), b[:8, :9].softmax(1)]
    yield 'class_accuracy', repr(find('class_accuracy')(probs, torch.tensor([1, 4])))
    yield 'sync', find('sync')(curve, .3*curve+.1*torch.rand(40, generator=g))
    yield 'bootstrap', repr(find('bootstrap')(curve.tolist(), generator=torch.Generator().manual_seed(0)))
    yield 'jackknife', repr(find('jackknife')(lambda i: a[i].mean().item(), 60))
    yield 'nearest', sha(*find('nearest')(a[:5], b))

def models(place):
    "What is in the model files that come with the package."
    for name in ('default', 'judge'):
        tensors, meta = find('load_model')(ROOT/f'sgsvg/assets/{name}.safetensors')
        yield f'{name} tensors', sha(*(x for k in sorted(tensors) for x in (k, tensors[k])))
        yield f'{name} meta', sha(json.dumps(meta, sort_keys=True))

def three_sounds(place):
    yield 'demo', ROOT/'sgsvg/assets/demo.ogg'
    thunder = find('CLASSES').index('thunder')
    e = find('intensity')(thunder, 60, 15, 2)
    yield 'thunder', write_wav(place/'thunder.wav', find('sound')(thunder, e, 15, 2, 22050)[0], 22050)
    t = torch.arange(4*32000, dtype=torch.float64)/32000
    sweep = .5*torch.sin(2*torch.pi*(100*t+700*t*t))*(t/4)
    yield 'sweep', write_wav(place/'sweep.wav', sweep.float(), 32000)

def model(place):
    "The embedded model: path and frames of three sounds, and how its nets are built."
    m = find('SoundVideo').load(device='cpu')
    weights = []
    for part, net in m.nets().items():
        yield f'{part} built', f'{type(net).__name__} {json.dumps(net.kwargs, sort_keys=True)}'
        for k, v in sorted(net.state_dict().items()): weights += [part, k, v]
    yield 'weights', sha(*weights)
    for name, file in three_sounds(place):
        path, loud = (torch.cat(x, d) for x, d in zip(zip(*m.paths(file, 3., seed=5)), (1, 0)))
        yield f'{name} path', sha(path.float())
        yield f'{name} loudness', sha(loud)
        frames = m.draw(path[:,::5])
        yield f'{name} frames', sha(((frames+1)*127.5).round().clamp(0, 255).to(torch.uint8))

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
        tensors, meta = find('load_model')(place/f'runs/{stage}/model.safetensors')
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

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('do', choices=('write', 'compare'))
    p.add_argument('file', type=Path)
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
    wrong = [k for k in kept.keys() | found.keys() if kept.get(k) != found.get(k)]
    for k in sorted(wrong): print(f'{k}\n  was {kept.get(k)}\n  is  {found.get(k)}')
    print(f'{len(kept.keys() | found.keys())-len(wrong)} values are the same, {len(wrong)} are not')
    sys.exit(bool(wrong))

if __name__ == '__main__': main()
