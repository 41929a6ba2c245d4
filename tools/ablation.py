"""The table of an ablation, from the folder of its sweep:

    sgsvg sweep examples/ablation.yaml OUT  # or ablation_sound.yaml, ablation_inversion.yaml
    python tools/ablation.py OUT            # writes results/ablation/NOTEBOOK.csv, .json, .md and a picture

Settings of the table that this sweep has not run stay, if what nothing was changed in came out the same.
A row is a setting with three seeds or more, named by what is changed. The interval of a difference is Student's, over
pairs of the same seed: one that holds 0 shows nothing."""
import csv
import json
import statistics
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from sgsvg.core import write_json, write_rows
from sgsvg.sweep import as_markdown, interval, read_results

ROOT = Path(__file__).resolve().parents[1]
FIGURES = dict(     # notebook -> column -> what it is called
    ablation=dict(class_accuracy='right class', sync='sync',
                  frechet_clips_over_floor='distance of clips over the floor'),
    train_sound={'zero_shot.world': 'class by sound', 'retrieval.world': 'frame of the class by sound',
                 'cos_image': 'cosine to the frame', 'cos_text': 'cosine to the caption'},
    train_inversion=dict(right_class='right class', sync='sync', code_distance='distance of codes'))
ABOUT = dict(       # notebook -> title, what was run, what the columns mean
    ablation=("The trajectory's training, one thing changed at a time", 'examples/ablation.yaml', '''
- `right class`: share of frames in which the judge sees the sound's class, 0 to 1; higher is better.
- `sync`: correlation of the loudness with the intensity that the judge sees, -1 to 1; higher is better.
- `distance of clips over the floor`: Fréchet distance of clips to rendered ones, over that of other rendered ones;
  lower is better, rendered clips have 1.'''),
    train_sound=("The sound encoder's terms, left out in turn", 'examples/ablation_sound.yaml', '''
- `class by sound`: share of new sounds of the world whose nearest caption is of their class, 0 to 1; higher is better.
- `frame of the class by sound`: share whose nearest frame is of their class, 0 to 1; higher is better.
- `cosine to the frame`, `cosine to the caption`: of a sound with its frame and caption, in training, -1 to 1; higher is
  nearer.'''),
    train_inversion=("Sound inversion: its heads and its terms", 'examples/ablation_inversion.yaml', '''
- `right class`: share of pictures, of moments of new sounds of the world, in which the judge sees the sound's class,
  0 to 1; higher is better.
- `sync`: correlation of the loudness with the intensity that the judge sees in eight moments of a sound, -1 to 1;
  higher is better.
- `distance of codes`: mean squared distance from the codes that fit; lower is better.'''))
LEAST = 3   # seeds of a row
SAME = .005 # difference of two means that another machine may make

def settings(rows, varied):
    "What is changed -> seed -> row, of the finished runs."
    names, found = [k for k in varied if k != 'seed'], {}
    def told(x): return f'{x:g}' if isinstance(x, float) else x
    for row in rows:
        changed = ', '.join(f'{k} {told(row[k])}' for k in names if row[k] != rows[0][k])
        if row['state'] == 'finished': found.setdefault(changed or 'nothing', {})[row['seed']] = row
    found = {k: seeds for k,seeds in found.items() if len(seeds) >= LEAST}
    if 'nothing' in found: return found
    raise SystemExit(f'the first setting, of which the others differ, has fewer than {LEAST} finished seeds')

def numbers(seeds, base, figure):
    "Mean of a figure with its interval, and of its differences from `base` at the same seeds."
    own = [row[figure] for row in seeds.values()]
    pairs = [row[figure] - base[s][figure] for s,row in seeds.items() if s in base]
    mean, half = interval(own)
    found = {figure: mean, f'{figure}_half': half}
    if seeds is base: return found
    less, width = interval(pairs)
    return found | {f'{figure}_difference': less, f'{figure}_difference_half': width}

def table(found, figures):
    "A row for each setting."
    base = found['nothing']
    def row(changed, seeds): return {k: v for f in figures for k,v in numbers(seeds, base, f).items()}
    return [dict(changed=changed, seeds=len(seeds)) | row(changed, seeds) for changed,seeds in found.items()]

def written(path):
    "Rows of the table at `path`; none where there is no such file."
    if not path.exists(): return []
    def numbers(row): return {k: v if k == 'changed' else float(v) for k,v in row.items() if v}
    with path.open(newline='', encoding='utf-8') as f:
        return [numbers(o) | dict(seeds=int(o['seeds'])) for o in csv.DictReader(f)]

def earlier(path, lines, figures):
    "Rows of the table at `path` that are not among these."
    there, new = written(path), {o['changed'] for o in lines}
    if not any(o['changed'] not in new for o in there): return []
    apart = [f for f in figures if abs(there[0][f] - lines[0][f]) > SAME]
    if apart: raise SystemExit(f'{path}: {apart[0]} of `nothing` came out otherwise: remove the file, and run all anew')
    return [o for o in there if o['changed'] not in new]

def said(row, figure):
    "A number as a reader has it; in bold what differs."
    mean = f'{row[figure]:.3f}'
    if f'{figure}_difference' not in row: return mean
    less, half = row[f'{figure}_difference'], row[f'{figure}_difference_half']
    told = f'{less:+.3f} ± {half:.3f}'
    return f'{mean} ({f"**{told}**" if abs(less) > max(half, SAME) else told})'

def page(name, lines):
    "The table in Markdown, below what it is and what its columns mean."
    title, grid, meanings = ABOUT[name]
    n = (len(lines) - 1)*len(FIGURES[name])
    def row(o): return dict(changed=o['changed'], seeds=o['seeds']) | {t: said(o, f) for f,t in FIGURES[name].items()}
    about = f"""Each row is one change of the settings in `{grid}`, run with as many `seeds`.
A figure is their mean. In brackets is its difference from `nothing`, over pairs of the same seed, with Student's 95 %
interval; bold where that does not hold 0 and the difference is more than {SAME:g}. Of {n} such intervals about
{round(.05*n)} miss 0 by chance. They say how far other seeds would come out, on the same tested sounds."""
    return '\n\n'.join([f'# {title}', about, meanings.strip(), as_markdown([row(o) for o in lines])]) + '\n'

def facts(out, seeds, varied):
    "What a setting was run with, and the means of everything that was measured."
    told = json.loads((Path(out)/seeds[min(seeds)]['run']/'config.json').read_text())
    given = {'seed', 'step', 'took', 'seconds', *varied}
    measured = [{k: v for k,v in row.items() if isinstance(v, float) and k not in given} for row in seeds.values()]
    means = {k: round(statistics.fmean(o[k] for o in measured), 4) for k in measured[0]}
    return {k: told[k] for k in ('commit', 'versions', 'params')} | dict(seeds=len(seeds), means=means)

def record(path, new):
    "Facts of each setting, those of earlier sweeps kept."
    there = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, there | new)

def picture(rows, figures, path):
    "Differences with their intervals."
    fig, axs = plt.subplots(1, len(figures), figsize=(11, .28*len(rows) + 1), dpi=80, layout='constrained', sharey=True)
    for ax, (figure, title) in zip(axs, figures.items()):
        for i, row in enumerate(rows[1:]):
            less, half = row[f'{figure}_difference'], row[f'{figure}_difference_half']
            ax.errorbar(less, i, xerr=half, fmt='o', ms=4, c='C0' if abs(less) > max(half, SAME) else '.6', capsize=2)
        ax.axvline(0, c='.5', lw=1)
        ax.set_title(f'{title}: difference', fontsize=9)
    axs[0].set_yticks(range(len(rows) - 1), [row['changed'] for row in rows[1:]], fontsize=8)
    axs[0].invert_yaxis()
    fig.savefig(path)

def main(out):
    (rows, varied), folder = read_results(out), ROOT/'results'/'ablation'
    name = json.loads((Path(out)/'sweep.json').read_text())['notebook']
    found, figures = settings(rows, varied), FIGURES[name]
    lines = table(found, figures)
    folder.mkdir(parents=True, exist_ok=True)
    lines[1:1] = earlier(folder/f'{name}.csv', lines, figures)
    write_rows(folder/f'{name}.csv', lines)
    record(folder/f'{name}.json', {changed: facts(out, seeds, varied) for changed,seeds in found.items()})
    (folder/f'{name}.md').write_text(page(name, lines), encoding='utf-8')
    matplotlib.use('agg')
    picture(lines, figures, folder/f'{name}.png')
    print(f'{len(lines)} settings')

if __name__ == '__main__': main(*sys.argv[1:])
