"""The table of the ablation, from the folder of its sweep:

    sgsvg sweep examples/ablation.yaml OUT
    python tools/ablation.py OUT            # writes results/ablation/ablation.csv, ablation.md and a picture

Settings of the table that this sweep has not run stay, if what nothing was changed in came out the same.
A row is a setting with three seeds or more, named by what is changed. The interval of a difference is Student's, over
pairs of the same seed: one that holds 0 shows nothing."""
import csv
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from sgsvg.core import write_rows
from sgsvg.sweep import as_markdown, interval, read_results

ROOT = Path(__file__).resolve().parents[1]
FIGURES = dict(class_accuracy='right class', sync='sync', frechet_clips_over_floor='distance of clips over the floor')
LEAST = 3   # seeds of a row
SAME = .005 # difference of two means that another machine may make

def settings(rows, varied):
    "What is changed -> seed -> row, of the finished runs."
    names, found = [k for k in varied if k != 'seed'], {}
    for row in rows:
        changed = ', '.join(f'{k} {row[k]}' for k in names if row[k] != rows[0][k])
        if row['state'] == 'finished': found.setdefault(changed or 'nothing', {})[row['seed']] = row
    return {k: seeds for k,seeds in found.items() if len(seeds) >= LEAST}

def numbers(seeds, base, figure):
    "Mean of a figure with its interval, and of its differences from `base` at the same seeds."
    own = [row[figure] for row in seeds.values()]
    pairs = [row[figure] - base[s][figure] for s,row in seeds.items() if s in base]
    mean, half = interval(own)
    found = {figure: mean, f'{figure}_half': half}
    if seeds is base: return found
    less, width = interval(pairs)
    return found | {f'{figure}_difference': less, f'{figure}_difference_half': width}

def table(found):
    "A row for each setting."
    base = next(iter(found.values()))
    def row(changed, seeds): return {k: v for f in FIGURES for k,v in numbers(seeds, base, f).items()}
    return [dict(changed=changed, seeds=len(seeds)) | row(changed, seeds) for changed,seeds in found.items()]

def earlier(path, lines):
    "Rows of the table at `path` that are not among these."
    if not path.exists(): return []
    with path.open(newline='', encoding='utf-8') as f: there = list(csv.DictReader(f))
    new = {o['changed'] for o in lines}
    if not any(o['changed'] not in new for o in there): return []
    apart = [f for f in FIGURES if abs(float(there[0][f]) - lines[0][f]) > SAME]
    if apart: raise SystemExit(f'{path}: {apart[0]} of `nothing` came out otherwise: remove the file, and run all anew')
    def numbers(row): return {k: v if k == 'changed' else float(v) if v else None for k,v in row.items()}
    return [numbers(o) | dict(seeds=int(o['seeds'])) for o in there if o['changed'] not in new]

def said(row, figure):
    "A number as a reader has it; in bold what differs."
    mean = f'{row[figure]:.3f}'
    if f'{figure}_difference' not in row: return mean
    less, half = row[f'{figure}_difference'], row[f'{figure}_difference_half']
    told = f'{less:+.3f} ± {half:.3f}'
    return f'{mean} ({f"**{told}**" if abs(less) > half else told})'

def picture(rows, path):
    "Differences with their intervals."
    fig, axs = plt.subplots(1, len(FIGURES), figsize=(11, .28*len(rows) + 1), dpi=80, layout='constrained', sharey=True)
    for ax, (figure, title) in zip(axs, FIGURES.items()):
        for i, row in enumerate(rows[1:]):
            less, half = row[f'{figure}_difference'], row[f'{figure}_difference_half']
            ax.errorbar(less, i, xerr=half, fmt='o', ms=4, c='C0' if abs(less) > half else '.6', capsize=2)
        ax.axvline(0, c='.5', lw=1)
        ax.set_title(f'{title}: difference', fontsize=9)
    axs[0].set_yticks(range(len(rows) - 1), [row['changed'] for row in rows[1:]], fontsize=8)
    axs[0].invert_yaxis()
    fig.savefig(path)

def main(out):
    rows, varied = read_results(out)
    lines, folder = table(settings(rows, varied)), ROOT/'results'/'ablation'
    folder.mkdir(parents=True, exist_ok=True)
    lines[1:1] = earlier(folder/'ablation.csv', lines)
    write_rows(folder/'ablation.csv', lines)
    shown = [dict(changed=o['changed'], seeds=o['seeds']) | {t: said(o, f) for f,t in FIGURES.items()} for o in lines]
    (folder/'ablation.md').write_text(as_markdown(shown) + '\n', encoding='utf-8')
    matplotlib.use('agg')
    picture(lines, folder/'ablation.png')
    print(f'{len(lines)} settings')

if __name__ == '__main__': main(*sys.argv[1:])
