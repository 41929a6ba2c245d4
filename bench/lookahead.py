"""What a short look-ahead costs, on recordings that the default's ear was not trained on: the class heard (against the
label, and against the offline way), how late a change of class is noticed, and how well loudness follows.

    python bench/lookahead.py FOLDER [results/speed/lookahead.json] [clips]

FOLDER holds `labels.csv` (file, class) and the recordings; those in the model's list of held-out ones are taken, in
pairs of two classes, ten seconds each. The notebook `nbs/73_live.ipynb` plots the file."""
import csv, itertools, json, sys
from pathlib import Path

import torch

from sgsvg import audio
from sgsvg.core import load_model, model_file
from sgsvg.ears import HEARD
from sgsvg.live import RATE, Hearing
from sgsvg.model import SoundVideo

AHEAD = 0., .05, .3, 1., 10.     # seconds
PATIENCE = 3., 6., None          # seconds; None: as trained, 12
HALF = 10.                       # seconds of each recording

def held_out(folder):
    "Class -> recordings that the ear did not learn from, long enough."
    names = {Path(n).name for n in load_model(model_file('default'))[1]['provenance']['holdout']}
    found = {}
    for row in csv.DictReader(open(folder/'labels.csv')):
        file = folder/row['file']
        if file.name in names and audio.probe(file).seconds >= HALF: found.setdefault(row['class'], []).append(file)
    return found

def pairs(found, n):
    "`n` pairs of recordings of two classes."
    classes = sorted(found)
    turn = itertools.islice(zip(itertools.cycle(classes), itertools.cycle(classes[1:]+classes[:1])), n)
    return [((a, found[a][i//len(classes) % len(found[a])]), (b, found[b][i//len(classes) % len(found[b])]))
            for i, (a, b) in enumerate(turn)]

def joined(pair):
    "One sound of two, equally loud."
    waves = [audio.to_mono(audio.read(f, RATE, HALF)[0]) for _, f in pair]
    return torch.cat([.1*w/w.square().mean().sqrt().clamp(min=1e-6) for w in waves], 1)

def heard(model, wave, ahead, patience):
    "Class numbers and loudness, a frame each."
    h = Hearing(model, ahead=ahead, patience=patience)
    ms = [m for b in wave.split(4096, 1) for m in h.push(b, RATE)] + list(h.end())
    return torch.stack([m.probs for m in ms]).argmax(1), torch.tensor([m.loud for m in ms])

def row(cls, loud, pair, wave, fps, offline):
    "The numbers of one clip; the first three seconds of each half do not count for the class."
    n = round(HALF*fps)
    labels = [HEARD.index(c) for c, _ in pair]
    skip = round(3*fps)
    right = torch.cat([cls[skip:n] == labels[0], cls[n+skip:] == labels[1]]).float().mean()
    agree = (cls == offline[:len(cls)]).float().mean()
    now = (cls[n:] == labels[1]).nonzero()
    known = audio.loudness(audio.resample(wave, RATE, 22050), 22050, fps)[:len(loud)]
    sync = torch.corrcoef(torch.stack([loud, known]))[0, 1]
    late = float(now[0])/fps if len(now) else None
    return dict(right=float(right), agree=float(agree), late=late, sync=float(sync))

def mean(values):
    values = [v for v in values if v is not None and v == v]
    return round(sum(values)/len(values), 3) if values else None

def main(folder, out=None, clips=6):
    torch.set_num_threads(1)
    model = SoundVideo.load(device='cpu')
    chosen = pairs(held_out(Path(folder)), int(clips))
    waves = [joined(p) for p in chosen]
    offline = [heard(model, w, 10., None)[0] for w in waves]
    rows = []
    for ahead, patience in itertools.product(AHEAD, PATIENCE):
        each = [row(*heard(model, w, ahead, patience), p, w, model.fps, o) for p, w, o in zip(chosen, waves, offline)]
        noticed = sum(o['late'] is not None for o in each)
        means = {k: mean([o[k] for o in each]) for k in each[0]}
        rows.append(dict(ahead=ahead, patience=patience, noticed=noticed) | means)
        print(rows[-1], flush=True)
    said = dict(clips=[[f.name for _, f in p] for p in chosen], half=HALF, fps=model.fps, rows=rows)
    if out: Path(out).write_text(json.dumps(said, indent=1) + '\n')

if __name__ == '__main__': main(*sys.argv[1:])
