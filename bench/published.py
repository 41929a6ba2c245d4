"""One step of every stage at the published size, on the CPU: StyleGAN3-t of 256 pixels (16 codes of 512), the IR-SE-50
pyramid, CLIP ViT-B/32, sound of 44.1 kHz in 256 bands, stretches of 6 frames. All weights are random, all sounds and
frames the world's; what is measured is time and memory, not what comes out. Each stage runs in a process of its own:

    python bench/published.py [results/speed/published.json] [stage ...]

`seconds` is the second step's (the first one also plans), `peak_mb` the most that its process held, `teraflop` the
operations of a third step's convolutions and products, forward and backward, `megabytes` a clip of ten seconds in
shards."""
import json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.utils.flop_counter import FlopCounterMode

from sgsvg import train
from sgsvg.audio import RELEASED_MEL
from sgsvg.batches import WorldSource, labels
from sgsvg.clipspace import ClipSpace, SoundEncoder, clip_config
from sgsvg.core import keep_memory
from sgsvg.critics import ProjectedCritic
from sgsvg.dataset import build
from sgsvg.inversion import PSPInversion
from sgsvg.landscapes import CLASSES
from sgsvg.losses import reg_targets
from sgsvg.runs import Run
from sgsvg.sources import SoundPool, class_texts
from sgsvg.stages_embedding import Moments, SoundStage, embedded_moments
from sgsvg.stages_generator import AdversarialStage
from sgsvg.stages_inversion import InversionStage
from sgsvg.stages_trajectory import Stretches, TrajectoryStage, codes_of, new_critics
from sgsvg.stylegan3 import CONFIGS, Generator
from sgsvg.trajectory import new_trajectory
from sgsvg.variants import PAPER
from sgsvg.video import write
from sgsvg.world import clip

T, SIZE = 6, 256
STEPS = 2

def sounds():
    pool = SoundPool(seconds=T/15, spec=RELEASED_MEL)
    pool.add_world(9, seed=0)
    return pool.stack()

def generator(): return Generator(**CONFIGS['t'], c_dim=0, img_resolution=SIZE).eval().requires_grad_(False)

def listener(): return SoundEncoder(embed_dim=512, n_mels=RELEASED_MEL.n_mels, width=RELEASED_MEL.width)

def space():
    made = ClipSpace(clip_config('ViT-B-32'), listener())
    return made.eval().requires_grad_(False)

def encoder(g): return PSPInversion(g.num_ws, g.w_dim, PAPER.bands(g.num_ws))

def settings(**kw): return SimpleNamespace(**dict(steps=STEPS + 1, lr=.001, lr_critic=.001) | kw)

def generator_stage():
    p = settings(batch_size=2, lr_mapping=.002, ema=.99, mapping_until=STEPS, style_mixing=0., r1_weight=.1)
    g = generator().train().requires_grad_(True)
    source = WorldSource(sounds(), SIZE)
    return AdversarialStage(g, ProjectedCritic(c_dim=0), source, labels(0, source), p)

def embedding_stage():
    source = WorldSource(sounds(), SIZE)
    moments = Moments(source.sounds, embedded_moments(space(), source, 32))
    return SoundStage(listener(), moments, settings(batch_size=32))

def inversion_stage():
    g, clip = generator(), space()
    p = settings(batch_size=2, drawn=4, clip_weight=1., lambda_b=.1, body_lr=1., latent_weight=0., motion_weight=0.,
                 manifold_weight=0., views=0)
    pull = reg_targets[PAPER.regulariser](g.mapping.w_avg, None)
    return InversionStage(encoder(g), g, clip, class_texts(clip, 2), sounds(), None, pull, PAPER, p)

def trajectory_stage():
    g, clip, heard = generator(), space(), sounds()
    p = settings(batch_size=1, T=T, misheard=0., misheard_run=4., draw_from=0, drawn=1, drawn_frames=T,
                 clip_weight=1., adversarial_weight=1., lambda_b=.1, r1_weight=1., latent_weight=0., motion_weight=0.,
                 manifold_weight=0., views=0)
    pull = reg_targets[PAPER.regulariser](g.mapping.w_avg, None)
    stretches = Stretches(heard, codes_of(encoder(g).eval(), heard), g.z_dim, p)
    walker, critics = new_trajectory(PAPER, g.num_ws, g.w_dim), new_critics(PAPER, SIZE)
    return TrajectoryStage(walker, critics, g, clip, class_texts(clip, 2), stretches, pull, PAPER, p,
                           footage=WorldSource(heard, SIZE))

STAGES = dict(generator=generator_stage, embedding=embedding_stage, inversion=inversion_stage,
              trajectory=trajectory_stage)

def weights(net): return round(sum(q.numel() for q in net.parameters())/1e6, 1)

def measure(name):
    "A stage's steps, in this process."
    keep_memory()
    torch.manual_seed(0)
    stage, took = STAGES[name](), []
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder, name, {})
        train._set_up(stage, 'cpu', 1)
        for step in range(1, STEPS + 1):
            start = time.perf_counter()
            train._step(stage, run, 0, step)
            took.append(round(time.perf_counter() - start, 1))
        with FlopCounterMode(display=False) as counted: train._step(stage, run, 0, STEPS + 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
    operations = dict(teraflop=round(counted.get_total_flops()/1e12, 2))
    return dict(seconds=took[-1], first=took[0], peak_mb=round(peak), batch_size=stage.p.batch_size, **operations,
                millions={k: weights(net) for k,net in stage.nets.items()})

def megabytes(seconds=10.):
    "Of a clip of each class in shards; footage with more detail than the world's takes more."
    with tempfile.TemporaryDirectory() as folder:
        for cls, name in enumerate(CLASSES):
            c = clip(cls, cls, seconds, size=SIZE, sr=RELEASED_MEL.sr)
            (Path(folder)/'films'/name).mkdir(parents=True)
            write(Path(folder)/'films'/name/'0.mp4', c.frames, 15, (c.wave.numpy(), c.sr))
        build(Path(folder)/'films', None, Path(folder)/'set', seconds=seconds, size=SIZE)
        return sum(p.stat().st_size for p in (Path(folder)/'set').glob('*.tar'))/1e6/len(CLASSES)

def main(out=None, *names):
    here = dict(cores=os.cpu_count(), threads=torch.get_num_threads(), torch=torch.__version__)
    found = here | dict(load=os.getloadavg()[0], megabytes=round(megabytes(), 2), stages={})
    for name in names or STAGES:
        code = f'import json, published; print(json.dumps(published.measure({name!r})))'
        here = Path(__file__).parent
        done = subprocess.run([sys.executable, '-c', code], cwd=here, text=True, stdout=subprocess.PIPE)
        if done.returncode: raise SystemExit(f'{name} failed')
        found['stages'][name] = json.loads(done.stdout.splitlines()[-1])
        print(name, found['stages'][name], flush=True)
    if out: Path(out).write_text(json.dumps(found, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
