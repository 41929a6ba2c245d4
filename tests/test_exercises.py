"What a student meets: exercises whose solutions are folded, and run with the room; pages that show the idea."
import importlib.util, re

import fold
import pytest

from repo import EXPERIMENTS, NBS, NOTEBOOKS, ROOMS, WALKTHROUGHS, cells

TAUGHT = [nb for nb in ROOMS if any(c['source'].startswith('## Exercises') for c in cells(nb, 'markdown'))]

def solutions(nb): return [c for c in cells(nb) if 'solution' in c['metadata'].get('tags', [])]

def test_there_are_exercises(): assert len(TAUGHT) >= 48

@pytest.mark.parametrize('nb', TAUGHT, ids=lambda p: p.stem)
def test_solutions_are_folded_and_checked(nb):
    found = solutions(nb)
    assert found
    for c in found:
        assert c['metadata'].get('jupyter') == dict(source_hidden=True), c['source']   # JupyterLab
        head = r'#\| code-summary: "Solution of .*"\n#\| code-fold: true\n'    # web pages
        assert re.match(head, c['source']), c['source']
        assert 'assert' in c['source'] or 'test_' in c['source'], c['source']

@pytest.mark.parametrize('nb', TAUGHT, ids=lambda p: p.stem)
def test_every_exercise_has_a_solution(nb):
    text = next(c['source'] for c in cells(nb, 'markdown') if c['source'].startswith('## Exercises'))
    asked = [line[0] for line in text.split('\n') if line[:3] in [f'{n}. ' for n in range(1, 10)]]
    said = [c['source'].split('\n')[0] for c in solutions(nb)]
    said += [line for line in text.split('\n') if '<summary>Solution' in line]
    assert 3 <= len(asked) <= 5 and [n for n in asked if not any(n in s for s in said)] == []

@pytest.fixture(scope='module')
def pages():
    spec = importlib.util.spec_from_file_location('pages', NBS.parent/'tools'/'site.py')   # `site` is Python's own
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found

def test_our_pages_fold_them(pages):
    kinds = [c.cell_type for c in pages.shown(TAUGHT[0]).cells if 'Solution of 1' in c.source]
    assert kinds == ['markdown']

def test_our_pages_hide_the_code_of_tables(pages):
    cells = [c for c in pages.shown(NBS/'index.ipynb').cells if c.cell_type == 'code']
    assert cells and all(c.metadata.transient.remove_source for c in cells)

def test_our_pages_draw_equations(pages):
    pytest.importorskip('latex2mathml')
    drawn = pages.typeset('`$a$` costs $5, $$\nx_1 = |y|\n$$ and $z$.')
    assert drawn.count('<math') == 2 and drawn.startswith('`$a$` costs $5, <math') and '|' not in drawn
    left = [nb.stem for nb in NOTEBOOKS for c in cells(nb, 'markdown') if '$$' in pages.typeset(c['source'])]
    assert left == []

def test_our_pages_are_grouped(pages):
    found = {pages.section(page) for page in pages.pages(NBS).values()}
    assert {'', 'the paper', 'walkthroughs', 'experiments'} <= found

@pytest.mark.parametrize('nb', ROOMS, ids=lambda p: p.stem)
def test_tests_are_folded(nb): assert fold.odd(nb) == [], 'run python tools/fold.py'

@pytest.mark.parametrize('nb', WALKTHROUGHS, ids=lambda p: p.stem)
def test_code_fits_a_projector(nb):
    long = [line for c in cells(nb) for line in c['source'].split('\n') if len(line) > 100]
    assert long == []

@pytest.mark.parametrize('nb', WALKTHROUGHS + EXPERIMENTS, ids=lambda p: p.stem)
def test_helpers_are_folded_and_the_package_is_had(nb):
    helpers = [c for c in cells(nb) if 'helper' in c['metadata'].get('tags', [])]
    assert all(c['metadata'].get('jupyter') == dict(source_hidden=True) for c in helpers)
    assert "find_spec('sgsvg') is None" in cells(nb)[0]['source']
