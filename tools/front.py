"""The front page's picture: `python tools/front.py [MODEL]` writes nbs/images/filmstrip.jpg.

Nine sounds of the world that no training used, one of each class, become nine films.
Eight moments of each stand in a row, with the loudness of the sound below.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from sgsvg.audio import loudness
from sgsvg.evaluation import Card, generated, world_clips
from sgsvg.model import SoundVideo
from sgsvg.video import filmstrip

HERE = Path(__file__).parents[1]
MOMENTS = 8
FIRST = 5000    # seed: the evaluation has other sounds


def strips(net):
    "A picture (H,W,3) for each class: moments of one film, and its sound's loudness."
    card = Card.of(net, clips=9, seconds=6., seed=FIRST)
    clips = world_clips(card)
    for clip, film in zip(clips, generated(net, card, clips)):
        heard = loudness(clip.wave, card.sr, card.fps)[:card.T]
        yield filmstrip(film, MOMENTS, heard)


if __name__ == '__main__':
    rows = list(strips(SoundVideo.load(*sys.argv[1:2] or ['default'], device='cpu')))
    Image.fromarray(np.concatenate(rows)).save(HERE/'nbs'/'images'/'filmstrip.jpg', quality=88)
