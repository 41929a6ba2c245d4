"""The front page's pictures: `python tools/front.py [MODEL]` writes filmstrip.jpg and moving.webp into nbs/images.

Nine sounds of the world that no training used, one of each class, become nine films.
Eight moments of each stand in a row, with the loudness of the sound below.
Three of them move, each above the curve of its sound.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sgsvg.audio import loudness
from sgsvg.evaluation import Card, generated, world_clips
from sgsvg.landscapes import CLASSES
from sgsvg.model import SoundVideo
from sgsvg.video import filmstrip, to_uint8

HERE = Path(__file__).parents[1]
MOMENTS = 8
FIRST = 5000    # seed: the evaluation has other sounds
NAMES = 200     # pixels for the names of the classes


MOVING = 'thunder', 'splashing water', 'explosion'
SIDE, CURVE, GAP = 224, 44, 8          # pixels
DONE, COMING, MARK = (32, 96, 160), (176, 190, 205), (208, 64, 32)


def films(net):
    "For each class a film (T,3,H,W) and the loudness (T,) of its sound."
    card = Card.of(net, clips=len(CLASSES), seconds=6., seed=FIRST)
    clips = world_clips(card)
    for clip, film in zip(clips, generated(net, card, clips)):
        yield film, loudness(clip.wave, card.sr, card.fps)[:card.T]


def curve(heard, t):
    "The loudness as bars, those that were heard in another colour, with a mark at frame `t`."
    panel = Image.new('RGB', (SIDE, CURVE), 'white')
    draw = ImageDraw.Draw(panel)
    wide = SIDE/len(heard)
    for k, e in enumerate(heard.tolist()):
        box = k*wide, CURVE - 2 - e*(CURVE-6), (k+1)*wide - 1, CURVE - 1
        draw.rectangle(box, fill=DONE if k <= t else COMING)
    draw.line((t*wide, 0, t*wide, CURVE), fill=MARK, width=2)
    return panel


def named(row, name):
    "A row of moments with the name of its class before it."
    page = Image.new('RGB', (NAMES + row.shape[1], row.shape[0]), 'white')
    ImageDraw.Draw(page).text((NAMES - 12, row.shape[0]//2), name, 'black', ImageFont.load_default(18), anchor='rm')
    page.paste(Image.fromarray(row), (NAMES, 0))
    return np.asarray(page)


def moment(shown, t):
    "Frame `t` of some films side by side, each above its curve."
    page = Image.new('RGB', (len(shown)*(SIDE+GAP) - GAP, SIDE + CURVE), 'white')
    for k, (film, heard) in enumerate(shown):
        picture = Image.fromarray(to_uint8(film[t])).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        page.paste(picture, (k*(SIDE+GAP), 0))
        page.paste(curve(heard, t), (k*(SIDE+GAP), SIDE))
    return page


def main(model='default'):
    made = list(films(SoundVideo.load(model, device='cpu')))
    rows = [named(filmstrip(film, MOMENTS, heard), name) for (film, heard), name in zip(made, CLASSES)]
    to = HERE/'nbs'/'images'
    Image.fromarray(np.concatenate(rows)).save(to/'filmstrip.jpg', quality=88)
    shown = [made[CLASSES.index(name)] for name in MOVING]
    first, *rest = [moment(shown, t) for t in range(len(shown[0][0]))]
    first.save(to/'moving.webp', save_all=True, append_images=rest, duration=67, loop=0, quality=60, method=6)


if __name__ == '__main__': main(*sys.argv[1:2])
