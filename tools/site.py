"""The notebooks as web pages, with the outputs that they have: `make site`.
By nbdev where Quarto is; else by nbconvert, plainer: a page a notebook, links between them, a list of all on top."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[1]
HEAD = '''<style>nav {{ font: 13px/1.7 sans-serif; padding: .6em 1.5em; border-bottom: 1px solid #8884 }}
nav a {{ margin-right: .9em }}</style><nav>{links}</nav>'''
LINK = re.compile(r'(href="(?!\w+:)[^"#]*)\.ipynb(?=["#])')


def pages(nbs):
    "Notebook, seen from `nbs` -> its page's name: the index, rooms, then the others."
    found = sorted(p.relative_to(nbs) for p in nbs.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
    found.sort(key=lambda p: (p.name != 'index.ipynb', len(p.parts)))
    return {p: p.with_suffix('.html') for p in found}


def folded(cell):
    "A solution, or a test, as a line to click on; other cells as they are."
    tags = cell.metadata.get('tags', [])
    if 'solution' in tags: title, code = cell.source.split('\n', 1)
    elif 'test' in tags: title, code = 'Test', cell.source
    else: return cell
    head = f'<details><summary>{title.strip("# ")}</summary>'
    return nbformat.v4.new_markdown_cell(f'{head}\n\n```python\n{code}\n```\n\n</details>')


def shown(path):
    "A notebook as it is read: solutions and tests folded, without nbdev's marks, the front matter and empty cells."
    book = nbformat.read(path, 4)
    book.cells = [c for c in book.cells if c.cell_type != 'raw']
    for c in book.cells: c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M)
    book.cells = [folded(c) for c in book.cells if c.source.strip()]
    return book


def links(to, here):
    "The list of all pages, seen from one of them."
    up = '../'*(len(here.parts)-1)
    return HEAD.format(links=' '.join(f'<a href="{up}{page.as_posix()}">{page.stem}</a>' for page in to.values()))


def convert(nbs, out):
    "Write the pages of all notebooks below `nbs`, and their pictures."
    to, exporter = pages(nbs), HTMLExporter()
    shutil.copytree(nbs/'images', out/'images', dirs_exist_ok=True)
    for source,page in to.items():
        html = exporter.from_notebook_node(shown(nbs/source), resources=dict(metadata=dict(name=page.stem)))[0]
        head, body, rest = re.split(r'(<body[^>]*>)', LINK.sub(r'\1.html', html), maxsplit=1)
        (out/page).parent.mkdir(parents=True, exist_ok=True)
        (out/page).write_text(head + body + links(to, page) + rest, encoding='utf-8')


def main():
    out = ROOT/'_docs'
    if shutil.which('quarto'):
        return subprocess.run([Path(sys.executable).with_name('nbdev_docs')], cwd=ROOT).returncode
    convert(ROOT/'nbs', out)
    print(out/'index.html')


if __name__ == '__main__': sys.exit(main())
