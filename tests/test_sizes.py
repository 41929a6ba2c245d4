"The measure of sizes, on a tree small enough to count by hand."
import json, sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]/'tools'))
import sizes

ROOT = Path(__file__).parents[1]
CODE = '''"A module."
__all__ = ['f', 'g']

def f(
    x,   # a number
    y,   # another
):
    "Their sum."
    return x+y

def g(a, b): return a; b
c, d, e = 1, 2, 3
'''

def tree(root, code=CODE, cells=()):
    (root/'sgsvg').mkdir()
    (root/'nbs').mkdir()
    (root/'sgsvg'/'a.py').write_text(code)
    (root/'sgsvg'/'b.py').write_text('def g(): pass\n')
    (root/'sgsvg'/'_modidx.py').write_text('x = 1; y = 2\n')
    cells = [dict(cell_type=kind, source=source) for kind,source in cells or [('code', '#| export\nx')]]
    (root/'nbs'/'00_a.ipynb').write_text(json.dumps(dict(cells=cells)))
    return root

def test_a_module_counted_by_hand(tmp_path):
    found, places = sizes.measure(tree(tmp_path))
    assert [places['function length, max'][i][0] for i in range(3)] == [6, 1, 1]
    assert (found['function length, median'], found['function length, max']) == (1, 6)
    assert found['lines with ;'] == 1 and places['lines with ;'] == [(1, 'sgsvg/a.py:11')]
    assert places['tuple assignments of more than two targets'] == [(3, 'sgsvg/a.py:12')]
    assert places['public functions without docments'] == [(1, 'sgsvg/a.py:11 g')]
    assert places['public names in two modules'] == [(2, 'g: sgsvg/a.py, sgsvg/b.py')]

PATCHED = '''__all__ = ['Film', "{names}",
    'frames']

@patch
def frames(self:Film, sound, seconds): return 1

@patch(cls_method=True)
def load(cls:Film, path): return 1
'''.replace('{names}', 'a'*120)

def test_patched_methods_and_the_list_that_a_machine_writes(tmp_path):
    found, places = sizes.measure(tree(tmp_path, PATCHED))
    assert places['public functions without docments'] == [(1, 'sgsvg/a.py:5 frames')]   # `load` has one parameter
    assert sizes.public(sizes.ast.parse(PATCHED)) == set()
    assert found['lines of code over 120 columns, %'] == 0

def test_kinds_of_one_thing_share_their_name(tmp_path):
    (tree(tmp_path)/'sgsvg'/'audio.py').write_text('def read(): pass\ndef g(): pass\n')
    (tmp_path/'sgsvg'/'video.py').write_text('def read(): pass\n')
    found = lambda: [place.split(':')[0] for _,place in sizes.measure(tmp_path)[1]['public names in two modules']]
    assert found() == ['g']
    (tmp_path/'sgsvg'/'c.py').write_text('def read(): pass\n')
    assert found() == ['g', 'read']

def test_nodes_and_columns(tmp_path):
    found, places = sizes.measure(tree(tmp_path, f'x = a+b\n\ny = "{"a"*120}"\nz = 1\n'))
    nodes = {place: n for n,place in places['syntax nodes a line, p90']}
    assert nodes['sgsvg/a.py:1'] == 5     # =, x, +, a, b
    assert found['lines of code over 120 columns, %'] == 25       # one of four that are not blank

def test_cells(tmp_path):
    code = ['#| export\n' + 'x\n'*21, '#| export\nx', 'y\n'*99]
    cells = [('markdown', 'a'*121 + '\nb'), *(('code', source) for source in code)]
    found, places = sizes.measure(tree(tmp_path, cells=cells))
    assert found['lines of prose over 120 columns, %'] == 50 and found['exported cells over 20 lines, %'] == 50
    assert places['exported cells over 20 lines, %'][0][1] == 'nbs/00_a.ipynb cell 1'
    assert found['prose to code'] == pytest.approx(123/(10+42 + 11 + 198))

def test_limits(tmp_path, capsys):
    root = str(tree(tmp_path))
    assert sizes.main(['--root', root]) == 0
    assert 'at most 0 !' in capsys.readouterr().out
    assert sizes.main(['--root', root, '--limits', '--worst', '1']) == 1
    assert 'sgsvg/a.py:12' in capsys.readouterr().out
    (tmp_path/'sgsvg'/'a.py').write_text('x = 1\n')
    assert sizes.main(['--root', root, '--limits']) == 0

def test_the_tree_stays_within_its_limits(capsys):
    assert sizes.main(['--root', str(ROOT), '--limits']) == 0, capsys.readouterr().out

CLASSES = '''class Film:
    def __init__(self, path, fps): pass
    def frames(self, sound, seconds): pass
    def forward(self, x, y): pass
    def _cut(self, a, b): pass

class Copy(Film):
    def __init__(self, path, fps): pass   # a file, frames a second
    def frames(self, sound, seconds): pass

class Net(nn.Module):
    def forward(self, x, y): pass

class _Own:
    def frames(self, sound, seconds): pass
'''

def test_methods_in_classes_count_where_no_ancestor_says_what_they_take(tmp_path):
    places = sizes.measure(tree(tmp_path, CLASSES))[1]['public functions without docments']
    assert [place.split()[1] for _,place in places] == ['Film.__init__', 'Film.frames', 'Film.forward']
