"""The notebooks as web pages, with the outputs that they have: `make site`.
By nbdev where Quarto is; else by nbconvert, plainer: a page a notebook, links between them, a list of all on top.
Equations are drawn without a network."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from draw import FLOORS

ROOT = Path(__file__).resolve().parents[1]
HEAD = '''<style>nav { font: 13px/1.7 sans-serif; padding: .6em 1.5em; border-bottom: 1px solid #8884 }
nav a { margin-right: .9em } nav details { display: inline-block; vertical-align: top; margin-right: 1.2em }
nav details a { display: block } nav summary { cursor: pointer }
math[display=block] { margin: .8em 0; font-size: 1.15em }
</style><nav>%s</nav>'''
CODE = re.compile(r'(```.*?```|`[^`\n]*`)', re.S)
MATH = re.compile(r'\$\$(.+?)\$\$|(?<![\\\w$])\$(?=[^\s$])([^$]+?)(?<=\S)\$(?![\d$])', re.S)
LINK = re.compile(r'(href="(?!\w+:)[^"#]*)\.ipynb(?=["#])')


def pages(nbs):
    "Notebook, seen from `nbs` -> its page's name: the index, rooms, then the others."
    found = sorted(p.relative_to(nbs) for p in nbs.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
    found.sort(key=lambda p: (p.name != 'index.ipynb', len(p.parts)))
    return {p: p.with_suffix('.html') for p in found}


FOLDED = re.compile(r'#\| code-summary: "(.*)"')


def folded(cell, title):
    "A folded cell as a line to click on, with its outputs below; one without a title as it is."
    if not title: return [cell]
    line = nbformat.v4.new_markdown_cell(
        f'<details><summary>{title}</summary>\n\n```python\n{cell.source}\n```\n\n</details>')
    return [line, silent(cell)] if cell.outputs else [line]


def silent(cell):
    "A cell that shows its outputs alone."
    cell.metadata.transient = dict(remove_source=True)
    return cell


def equation(m):
    "TeX as MathML, which browsers draw by themselves; what Markdown would take for its own is spelled out."
    from latex2mathml.converter import convert
    kind = 'block' if m[1] else 'inline'
    drawn = convert(' '.join((m[1] or m[2]).split()), display=kind)
    return drawn.replace('|', '&#x7C;').replace('*', '&#x2A;').replace('_', '&#x5F;')


def typeset(source):
    "Markdown with its equations drawn; code stays."
    parts = CODE.split(source)
    parts[::2] = [MATH.sub(equation, o) for o in parts[::2]]
    return ''.join(parts)


def shown(path):
    "A notebook as it is read: solutions and tests folded, without nbdev's marks, the front matter and empty cells."
    book = nbformat.read(path, 4)
    book.cells = [c for c in book.cells if c.cell_type != 'raw']
    titles = [m and m[1] for m in (FOLDED.match(c.source) for c in book.cells)]
    for c in book.cells:
        if c.cell_type == 'code' and re.search(r'^#\|\s*echo:\s*false', c.source, re.M): silent(c)
        c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M)
    book.cells = [part for c,title in zip(book.cells, titles) if c.source.strip() for part in folded(c, title)]
    return book


def section(page):
    "Under which word of the navigation a page stands; '' for those that stand alone."
    if len(page.parts) > 1: return page.parts[0]
    return FLOORS[int(page.stem[0])*10] if page.stem[:2].isdecimal() else ''


def links(to, here):
    "The list of all pages, seen from one of them: those that stand alone, then a word to click on for each section."
    up, found = '../'*(len(here.parts)-1), {}
    for page in to.values(): found.setdefault(section(page), []).append(page)
    def line(pages): return ' '.join(f'<a href="{up}{p.as_posix()}">{p.stem}</a>' for p in pages)
    alone = found.pop('')
    order = sorted(found, key=lambda name: name != 'walkthroughs')   # these first
    groups = [f'<details><summary>{name}</summary>{line(found[name])}</details>' for name in order]
    return HEAD % (line(alone) + '<br>' + ''.join(groups))


def convert(nbs, out):
    "Write the pages of all notebooks below `nbs`, and their pictures."
    to, exporter = pages(nbs), HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True)
    shutil.copytree(nbs/'images', out/'images', dirs_exist_ok=True)
    for source,page in to.items():
        book = shown(nbs/source)
        for c in book.cells:
            if c.cell_type == 'markdown': c.source = typeset(c.source)
        html = exporter.from_notebook_node(book, resources=dict(metadata=dict(name=page.stem)))[0]
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
