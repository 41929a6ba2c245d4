"""Cells that only test, or only prepare what the room's own cells use, are folded, so that a projected page shows the
idea: `python tools/fold.py` marks them in rooms. What prints or draws something stays open; whoever unfolds a cell sees
all of it. The first line says what is folded: JupyterLab shows it, and so do web pages."""
import ast
import re
import sys
from pathlib import Path

import nbformat

ROOMS = sorted((Path(__file__).resolve().parents[1]/'nbs').glob('[0-9]*.ipynb'))
FOLD = '#| code-summary: "{}"\n#| code-fold: true\n'
FOLDED = re.compile(r'\A(#\| code-(summary|fold): .*\n)+')
KINDS = dict(test='Tests', helper='Preparations')    # tag -> what the first line says


def is_test(node):
    "An assertion, or a call of fastcore's `test_...`."
    name = getattr(getattr(getattr(node, 'value', None), 'func', None), 'id', '')
    return isinstance(node, ast.Assert) or name.startswith('test_')


def shows(cell):
    "Whether a cell prints or draws."
    return cell.outputs or re.search(r'^(print|plt\.(?!rcParams)|fig\b|show\()', cell.source, re.M)


def bare(cell):
    "A cell without the lines that fold it."
    return FOLDED.sub('', cell.source)


def kind(cell):
    "Tag of a cell that is there to test or to prepare: it exports nothing, shows nothing, and asserts or imports."
    if cell.cell_type != 'code' or shows(cell) or bare(cell).startswith(('#|', '%')): return None
    if 'solution' in cell.metadata.get('tags', []): return None
    tree = ast.parse(bare(cell))
    if any(map(is_test, ast.walk(tree))): return 'test'
    return 'helper' if any(isinstance(o, (ast.Import, ast.ImportFrom)) for o in tree.body) else None


def marked(cell):
    "Tag of a cell that is folded in the right way."
    tag = next((t for t in cell.metadata.get('tags', []) if t in KINDS), None)
    return tag if tag and cell.source.startswith(FOLD.format(KINDS[tag])) else None


def mark(cell):
    "Fold a cell, or open it again."
    tag, plain = kind(cell), bare(cell)
    if tag:
        cell.source, cell.metadata.tags = FOLD.format(KINDS[tag]) + plain, [tag]
        cell.metadata.jupyter = dict(source_hidden=True)
    elif set(KINDS) & set(cell.metadata.get('tags', [])):
        cell.source = plain
        del cell.metadata['tags'], cell.metadata['jupyter']


def odd(path):
    "Cells that should be folded and are not, or the other way round."
    return [c.source for c in nbformat.read(path, 4).cells if kind(c) != marked(c)]


def main():
    for path in ROOMS:
        book = nbformat.read(path, 4)
        for c in book.cells: mark(c)
        nbformat.write(book, path)


if __name__ == '__main__': sys.exit(main())
