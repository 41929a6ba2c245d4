"What a student meets: exercises whose solutions are folded, and run with the room; pages that show the idea."
import fold
import pytest

from repo import NBS, ROOMS, WALKTHROUGHS, cells

TAUGHT = [nb for nb in ROOMS if any(c['source'].startswith('## Exercises') for c in cells(nb, 'markdown'))]

def solutions(nb): return [c for c in cells(nb) if 'solution' in c['metadata'].get('tags', [])]

def test_there_are_exercises(): assert len(TAUGHT) >= 14

@pytest.mark.parametrize('nb', TAUGHT, ids=lambda p: p.stem)
def test_solutions_are_folded_and_checked(nb):
    found = solutions(nb)
    assert found
    for c in found:
        assert c['metadata'].get('jupyter') == dict(source_hidden=True), c['source']   # JupyterLab
        assert c['source'].startswith('#| code-fold: true\n# Solution of '), c['source']   # web pages
        assert 'assert' in c['source'] or 'test_' in c['source'], c['source']

@pytest.mark.parametrize('nb', TAUGHT, ids=lambda p: p.stem)
def test_every_exercise_has_a_solution(nb):
    text = next(c['source'] for c in cells(nb, 'markdown') if c['source'].startswith('## Exercises'))
    asked = [line[0] for line in text.split('\n') if line[:3] in [f'{n}. ' for n in range(1, 10)]]
    said = [c['source'].split('\n')[1] for c in solutions(nb)]
    said += [line for line in text.split('\n') if '<summary>Solution' in line]
    assert 3 <= len(asked) <= 5 and [n for n in asked if not any(n in s for s in said)] == []

def test_our_pages_fold_them(tmp_path):
    import importlib.util
    spec = importlib.util.spec_from_file_location('pages', NBS.parent/'tools'/'site.py')   # `site` is Python's own
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    kinds = [c.cell_type for c in pages.shown(TAUGHT[0]).cells if 'Solution of 1' in c.source]
    assert kinds == ['markdown']

@pytest.mark.parametrize('nb', ROOMS, ids=lambda p: p.stem)
def test_tests_are_folded(nb): assert fold.odd(nb) == [], 'run python tools/fold.py'

@pytest.mark.parametrize('nb', WALKTHROUGHS, ids=lambda p: p.stem)
def test_code_fits_a_projector(nb):
    long = [line for c in cells(nb) for line in c['source'].split('\n') if len(line) > 100]
    assert long == []
