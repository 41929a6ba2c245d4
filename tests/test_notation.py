"The table of notation names what there is, and the words stand in order."
import importlib, inspect, re
from functools import reduce

import pytest

from repo import NBS, cells

TEXT = '\n'.join(c['source'] for c in cells(NBS/'notation.ipynb', 'markdown'))
TABLES = [[c.strip() for c in line.split(' | ')] for line in TEXT.split('\n') if line.startswith('| ')]
ROWS = [row for row in TABLES if len(row) == 5 and '`' in row[3]]

def named(dotted):
    "What `room.name` is."
    room, *names = dotted.split('.')
    return reduce(getattr, names, importlib.import_module(f'sgsvg.{room}'))

@pytest.mark.parametrize('row', ROWS, ids=lambda row: row[3])
def test_the_code_has_it(row):
    *part, dotted = re.findall('`([^`]+)`', row[3])
    thing = named(dotted)
    assert row[4].startswith(f'[{dotted.split(".")[0]}](')
    if part: assert re.search(rf'\b{part[0]}\b', inspect.getsource(thing)), row[3]

def test_the_links_lead_to_rooms():
    links = re.findall(r'\]\((\w+\.ipynb)\)', TEXT)
    assert links and [n for n in links if not (NBS/n).is_file()] == []

def test_words_stand_in_order_and_once():
    words = [row[0].strip('|* ').lower() for row in TABLES if len(row) == 2 and '**' in row[0]]
    assert len(words) > 30 and words == sorted(set(words))
