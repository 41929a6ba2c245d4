"Routes and lessons: the minutes add up, the notebooks and their exercises are there."
import re

import pytest

import times
from repo import NBS, cells

TEXT = '\n'.join(c['source'] for c in cells(NBS/'routes.ipynb', 'markdown'))
SECTIONS = dict(re.findall(r'^## ([^\n]+)\n(.*?)(?=^## |\Z)', TEXT, re.M | re.S))

def minutes(text): return [int(n) for n in re.findall(r'^\| (\d+) \|', text, re.M)]

@pytest.mark.parametrize('title', [t for t in SECTIONS if re.match(r'\d+ minutes', t)])
def test_the_minutes_add_up(title): assert sum(minutes(SECTIONS[title])) == int(title.split()[0])

def test_a_day_is_a_day(): assert 7*60 <= sum(minutes(SECTIONS['One day: how does it work?'])) <= 8*60

def test_every_notebook_is_there():
    links = re.findall(r'\]\(([\w./]+)\)', TEXT)
    assert len(links) > 30 and [n for n in links if not (NBS/n).exists()] == []

def test_every_exercise_that_is_named_is_there():
    rows = [line for line in TEXT.split('\n') if 'exercise' in line.lower() and '.ipynb' in line]
    assert rows
    for row in rows:
        room = re.search(r'\((\d\d_\w+\.ipynb)\)', row)[1]
        asked = '\n'.join(c['source'] for c in cells(NBS/room, 'markdown') if c['source'].startswith('## Exercises'))
        for n in re.findall(r'\d', row.lower().split('exercise')[1].split('(')[0]): assert f'\n{n}. ' in asked, row

def test_their_notebooks_say_how_long_they_compute():
    "Once there is a record, nothing that a route names is missing in it."
    names = set(re.findall(r'\]\(([\w/]+\.ipynb)\)', TEXT)) - {'index.ipynb', 'notation.ipynb'}
    record = times.recorded() or pytest.skip('python tools/times.py NOTEBOOK ... has not been run yet')
    assert sorted(n for n in names if f'nbs/{n}' not in record) == []
