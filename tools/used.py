"""The line "Used by ..." under each room's title: `python tools/used.py` writes it, from what imports the room."""
import ast
import re
import textwrap
from pathlib import Path

import nbformat
from draw import ROOT, imports, named, numbers

MANY = 7    # rooms that use another: more are counted, not named
USED = re.compile(r'\n*^Used by .*\Z', re.M | re.S)


def papers(root=ROOT):
    "Experiments and walkthroughs: path seen from nbs -> rooms that it imports."
    known, found = numbers(root), {}
    for path in sorted((root/'nbs').glob('*/*.ipynb')):
        cells = nbformat.read(path, 4).cells
        code = '\n'.join(c.source for c in cells if c.cell_type == 'code' and not c.source.startswith('%'))
        tree = ast.parse(re.sub(r'^(\s*)[%!].*', r'\1pass', code, flags=re.M))
        names = {n for node in ast.walk(tree) for n in named(node)}
        found[path.relative_to(root/'nbs').as_posix()] = names & set(known)
    return found


def used_by(room, rooms, sheets, known):
    "The sentence for a room: the rooms that import it, or the notebooks where no room does."
    users = sorted((r for r in rooms if room in rooms[r]), key=known.get)
    if len(users) > MANY: return f'Used by {len(users)} rooms; the [house](images/house.svg) shows where they stand.'
    links = [f'[{r}]({known[r]:02d}_{r}.ipynb)' for r in users]
    links = links or [f'[{Path(p).stem}]({p})' for p in sheets if room in sheets[p]]
    said = f'Used by {", ".join(links)}.' if links else 'Used by whoever calls it: no room needs it.'
    return textwrap.fill(said, 118, break_long_words=False, break_on_hyphens=False)


def sentences(root=ROOT):
    "Notebook -> the title cell that it should have."
    known, rooms, sheets = numbers(root), imports(root), papers(root)
    found = {}
    for room in known:
        path = root/f'nbs/{known[room]:02d}_{room}.ipynb'
        title = next(c.source for c in nbformat.read(path, 4).cells if c.cell_type == 'markdown')
        found[path] = USED.sub('', title).rstrip() + '\n\n' + used_by(room, rooms, sheets, known)
    return found


if __name__ == '__main__':
    for path, title in sentences().items():
        book = nbformat.read(path, 4)
        cell = next(c for c in book.cells if c.cell_type == 'markdown')
        if cell.source == title: continue
        cell.source = title
        nbformat.write(book, path)
