"""README.md from nbs/index.ipynb: its markdown, its code, and outputs that are themselves markdown.
And results/default/README.md from the figures of the embedded model: how each is made, and what was tried."""
import json
import re
from pathlib import Path
from posixpath import join, normpath

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r'(\]\()([^)\s]+)|(\bsrc=")([^"]+)')

def from_root(m):
    "A link of a notebook in nbs/, as seen from the top folder."
    before, to = m[1] or m[3], m[2] or m[4]
    return m[0] if re.match(r'[a-z]+:|[#/]', to) else before + normpath(join('nbs', to))

def shown(cell):
    "`cell` as the README has it, or None."
    if cell.cell_type == 'raw': return None
    if cell.cell_type == 'markdown': return cell
    hidden = re.search(r'^#\|\s*(hide|include:\s*false)\s*$', cell.source, re.M)
    silent = re.search(r'^#\|\s*echo:\s*false', cell.source, re.M)
    said = [o.data['text/markdown'] for o in cell.outputs if 'text/markdown' in o.get('data', {})]
    if hidden: return None
    if silent: return nbformat.v4.new_markdown_cell('\n\n'.join(said)) if said else None
    cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    cell.outputs = [o for o in cell.outputs if 'text/markdown' in o.get('data', {})]
    return cell if cell.source or cell.outputs else None

def readme(nb):
    "The README's text for the notebook file `nb`."
    book = nbformat.read(nb, 4)
    book.cells = [c for c in map(shown, book.cells) if c is not None]
    text, _ = MarkdownExporter().from_notebook_node(book)
    return re.sub(r'\n{3,}', '\n\n', LINK.sub(from_root, text)).strip() + '\n'

def story(folder):
    "The text for `folder`, which has `evaluation.json`, and in `missed.json` what was tried where a target was missed."
    from sgsvg.evaluation import read_figures, results_table
    figures, tried = read_figures(folder/'evaluation.json'), json.loads((folder/'missed.json').read_text())
    return f"""# How the figures of the embedded model are made

Intervals are 95 %, over clips unless a line says otherwise. A target counts as met if the value reaches it; read it
with its interval. An earlier state of this model was measured on the four collections kept aside, too, so their row
is not quite untouched.

{results_table(figures, tried)}
"""

if __name__ == '__main__':
    (ROOT/'results/default/README.md').write_text(story(ROOT/'results/default'), encoding='utf-8')
    (ROOT/'README.md').write_text(readme(ROOT/'nbs/index.ipynb'), encoding='utf-8')
