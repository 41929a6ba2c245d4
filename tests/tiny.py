"Every stage in a size that takes a fraction of a second a step: `STAGES[name](folder, **settings)` is ready for `fit`."
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.nn.functional import one_hot

from sgsvg import stylegan2, stylegan3, world
from sgsvg.batches import Stills, WorldSource
from sgsvg.clipspace import ClipSpace, SoundEncoder, clip_config
from sgsvg.critics import ProjectedCritic
from sgsvg.inversion import Inversion
from sgsvg.judge import Judge, JudgeStage
from sgsvg.landscapes import CLASSES
from sgsvg.losses import reg_targets
from sgsvg.sources import FramePool, SoundPool, class_texts
from sgsvg.stages_embedding import ClipStage, Moments, SoundStage
from sgsvg.stages_generator import AdversarialStage, GeneratorStage
from sgsvg.stages_inversion import InversionStage, fitting_codes, new_encoder, own_codes, random_codes
from sgsvg.stages_trajectory import Stretches, TrajectoryStage, codes_of, new_critics
from sgsvg.trajectory import new_trajectory
from sgsvg.variants import OURS, PAPER, RELEASED

SMALL = dict(z_dim=16, w_dim=16, img_resolution=32, channel_base=256, channel_max=16)

def frames(folder): return FramePool(Path(folder)/'frames.bin', 128, 32)

def sounds():
    pool = SoundPool(seconds=1.)
    pool.add_world(9, seed=0)
    return pool.stack()

def nets():
    "A generator of the world, and a space for its frames."
    torch.manual_seed(0)
    g = stylegan2.Generator(c_dim=14, num_layers=2, **SMALL).eval().requires_grad_(False)
    cfg = clip_config('world')
    cfg['model_cfg']['embed_dim'] = 32
    cfg['model_cfg']['vision_cfg'].update(layers=1, width=32, head_width=16)
    cfg['model_cfg']['text_cfg'].update(layers=1, width=32, heads=2)
    space = ClipSpace(cfg, SoundEncoder(embed_dim=32, channels=(8, 8, 16, 16)))
    return g, space.eval().requires_grad_(False)

def generator(folder, **kw):
    p = dict(steps=40, batch_size=8, lr=.002, lr_mapping=.002, lr_critic=.001, ema=.9, adversarial_from=7,
             mapping_until=20, l1_weight=2., perceptual_weight=1., adversarial_weight=.1)
    torch.manual_seed(0)
    g = stylegan2.Generator(c_dim=14, num_layers=2, **SMALL)
    def label(b): return world.condition(b['cls'], b['truth']['e'][:,0], b['truth']['phase'][:,0])
    critic = ProjectedCritic(c_dim=14, width=16)
    return GeneratorStage(g, critic, Stills(frames(folder)), label, SimpleNamespace(**p | kw))

def adversarial(folder, kind=stylegan2, **kw):
    p = dict(steps=40, batch_size=8, lr=.002, lr_mapping=.002, lr_critic=.001, ema=.9, mapping_until=20,
             style_mixing=.5, r1_weight=.1)
    torch.manual_seed(0)
    g = kind.Generator(c_dim=9, num_layers=6 if kind is stylegan3 else 2, **SMALL)
    def label(b): return one_hot(b['cls'], 9).float()
    critic = ProjectedCritic(c_dim=9, width=16)
    return AdversarialStage(g, critic, WorldSource(sounds(), 32), label, SimpleNamespace(**p | kw))

def adversarial3(folder, **kw): return adversarial(folder, stylegan3, **kw)

def clip(folder, **kw):
    space = nets()[1].train().requires_grad_(True)
    p = SimpleNamespace(**dict(steps=30, batch_size=16, lr=.003, views=1) | kw)
    return ClipStage(space, Stills(frames(folder)), p)

def sound(folder, **kw):
    pool, dice = sounds(), torch.Generator().manual_seed(1)
    image, text = torch.nn.functional.normalize(torch.randn(2, 60, 32, generator=dice), dim=-1)
    clips, moments = torch.randint(9, (60,), generator=dice), torch.randint(pool.T, (60,), generator=dice)
    source = Moments(pool, dict(clip=clips, moment=moments, image=image, text=text))
    torch.manual_seed(0)
    encoder = SoundEncoder(embed_dim=32, channels=(8, 8, 16, 16))
    return SoundStage(encoder, source, SimpleNamespace(**dict(steps=30, batch_size=16, lr=.003) | kw))

def inversion(folder, how=OURS, **kw):
    p = dict(steps=30, batch_size=8, drawn=4, latent_weight=1., motion_weight=10., clip_weight=.1, lambda_b=.01,
             manifold_weight=0., views=0, lr=.005, body_lr=.3)
    (g, space), pool = nets(), sounds()
    table = fitting_codes(g, world.condition, draws=8)
    pull = reg_targets[how.regulariser](g.mapping.w_avg, random_codes(g, world.condition))
    torch.manual_seed(0)
    encoder = new_encoder(g, space, how, (1, 1, 1, 1))
    p = SimpleNamespace(**p | kw)
    own = own_codes(g, world.condition, 9) if p.manifold_weight else None
    return InversionStage(encoder, g, space, class_texts(space, 2), pool, table, pull, how, p, own)

def inversion_paper(folder, **kw): return inversion(folder, PAPER, **kw)

def inversion_manifold(folder, **kw): return inversion(folder, manifold_weight=.1, views=2, **kw)

def trajectory(folder, how=OURS, footage=None, **kw):
    p = dict(steps=40, batch_size=8, T=6, misheard=.3, misheard_run=4., draw_from=7, drawn=4, drawn_frames=3,
             latent_weight=1., motion_weight=10., clip_weight=.1, adversarial_weight=.05, lambda_b=.01, r1_weight=1.,
             manifold_weight=0., views=0, lr=.01, lr_critic=.001)
    p = SimpleNamespace(**p | kw)
    (g, space), pool = nets(), sounds()
    torch.manual_seed(0)
    encoder = Inversion(g.num_ws, g.w_dim, OURS.bands(g.num_ws), channels=(8, 8, 16, 16)).eval()
    net = new_trajectory(how, g.num_ws, g.w_dim, hidden=16, layers=1)
    pull = reg_targets[how.regulariser](g.mapping.w_avg, random_codes(g, world.condition))
    source = Stretches(pool, codes_of(encoder, pool), g.z_dim, p)
    texts = class_texts(space, 2)
    real = dict(footage=footage) if footage else dict(condition=world.condition, paint=world.render)
    if p.manifold_weight: real['own'] = own_codes(g, world.condition, 9)
    return TrajectoryStage(net, new_critics(how, 32), g, space, texts, source, pull, how, p, **real)

def trajectory_paper(folder, **kw): return trajectory(folder, PAPER, WorldSource(sounds(), 32), **kw)

def trajectory_released(folder, **kw): return trajectory(folder, replace(RELEASED, cuts=PAPER.cuts), **kw)

def trajectory_manifold(folder, **kw): return trajectory(folder, manifold_weight=.1, views=2, **kw)

def judge(folder, **kw):
    torch.manual_seed(0)
    p = SimpleNamespace(**dict(steps=30, batch_size=8, lr=.002) | kw)
    return JudgeStage(Judge(size=32, channels=(8, 8, 16, 16)), frames(folder), p)

def ears(folder, **kw):
    from sgsvg.ears import HEARD
    from sgsvg.stages_ears import EarStage
    dice = torch.Generator().manual_seed(0)
    y = one_hot(torch.arange(40) % len(HEARD), len(HEARD)).float()
    kept = dict(x=torch.randn(40, 3, 16, generator=dice), y=y, clips=torch.randn(36, 16, generator=dice),
                of=torch.arange(len(CLASSES)).repeat(4))
    torch.manual_seed(0)
    p = dict(steps=60, batch_size=16, clip_share=.5, lr=.05, weight_decay=0.)
    return EarStage(kept, SimpleNamespace(**p | kw))

STAGES = {f.__name__: f for f in (generator, adversarial, adversarial3, clip, sound, inversion, inversion_paper,
                                  inversion_manifold, trajectory, trajectory_manifold, trajectory_paper,
                                  trajectory_released, judge, ears)}
