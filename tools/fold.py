"""Cells that only test are folded, so that a projected page shows the idea: `python tools/fold.py` marks them in rooms.
Short ones stay as they are, and so does what prints or draws something; whoever unfolds a cell sees all of it."""
import ast
import re
import sys
from pathlib import Path

import nbformat

ROOMS = sorted((Path(__file__).resolve().parents[1]/'nbs').glob('[0-9]*.ipynb'))
SHORT = 3    # lines of a test that may stay open
FOLD = '#| code-fold: true\n'


def is_test(node):
    "An assertion, or a call of fastcore's `test_...`."
    name = getattr(getattr(getattr(node, 'value', None), 'func', None), 'id', '')
    return isinstance(node, ast.Assert) or name.startswith('test_')


def shows(cell):
    "Whether a cell prints or draws."
    return cell.outputs or re.search(r'^(print|plt\.|fig\b|show\()', cell.source, re.M)


def only_tests(cell):
    "Whether a cell is there to test: it exports nothing, shows nothing, and asserts."
    if cell.cell_type != 'code' or shows(cell) or cell.source.replace(FOLD, '').startswith(('#|', '%')): return False
    if 'solution' in cell.metadata.get('tags', []): return False
    return any(map(is_test, ast.walk(ast.parse(cell.source))))


def wanted(cell): return only_tests(cell) and cell.source.replace(FOLD, '').count('\n') >= SHORT


def marked(cell):
    "Whether a cell is folded as a test."
    return 'test' in cell.metadata.get('tags', [])


def mark(cell):
    "Fold a cell, or open it again."
    bare = cell.source.removeprefix(FOLD)
    if wanted(cell):
        cell.source, cell.metadata.tags = FOLD + bare, ['test']
        cell.metadata.jupyter = dict(source_hidden=True)
    elif marked(cell):
        cell.source = bare
        del cell.metadata['tags'], cell.metadata['jupyter']


def odd(path):
    "Cells that should be folded and are not, or the other way round."
    return [c.source for c in nbformat.read(path, 4).cells if wanted(c) != marked(c)]


def main():
    for path in ROOMS:
        book = nbformat.read(path, 4)
        for c in book.cells: mark(c)
        nbformat.write(book, path)


if __name__ == '__main__': sys.exit(main())
