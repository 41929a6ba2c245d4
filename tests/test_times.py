"The heads of notebooks say how long they take, as it was recorded."
import json, re

import nbformat, pytest

import times

def test_the_heads_say_what_was_recorded(): assert times.differing() == {}, 'python tools/times.py --write'

@pytest.mark.parametrize('seconds, said', [(2, '10 seconds'), (44, '40 seconds'), (89, '90 seconds'),
                                           (100, '2 minutes'), (1510, '25 minutes')])
def test_a_time_in_words(seconds, said): assert times.said(seconds) == said

def test_experiments_say_what_their_record_took():
    said = {name: times.cost(*record) for name,record in times.COSTS.items()}
    assert said['bench'].startswith('The record in `results/bench` took about ')
    assert said['ablation'].startswith('A run of the record in `results/ablation` took about ')

def test_what_trainings_took_is_added_up(tmp_path, monkeypatch):
    for stage,seconds in dict(inversion=60, trajectory=240).items():
        (tmp_path/f'{stage}-metrics.jsonl').write_text(f'{{"seconds": 1}}\n{{"seconds": {seconds}}}\n')
    monkeypatch.setattr(times, 'ROOT', tmp_path.parent)
    said = times.trained(tmp_path.name)
    assert said == f'The trainings of the record in `{tmp_path.name}` took about 5 minutes on two cores.'

def test_trainings_say_what_they_took():
    "Where a head names the training of an embedded model, its record is of that length."
    told = re.compile(r'\(`(results/runs/.*)`\) took (.*) on two cores')
    heads = [times.title_cell(nbformat.read(nb, 4)).source for nb in times.ROOT.glob('nbs/experiments/train_*.ipynb')]
    found = [m for m in map(told.search, heads) if m]
    assert len(found) >= 6
    for run,said in (m.groups() for m in found):
        last = json.loads((times.ROOT/run/'metrics.jsonl').read_text().splitlines()[-1])['seconds']
        number, unit = said.split()
        assert abs(last - int(number)*dict(minutes=60, hours=3600)[unit]) < .1*last, (run, said, last)

def test_a_line_is_written_once_and_brought_up_to_date(tmp_path, monkeypatch):
    cells = [nbformat.v4.new_markdown_cell('# a\n> b\n\nUsed by [c](c.ipynb).'), nbformat.v4.new_code_cell('1')]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path/'a.ipynb')
    monkeypatch.setattr(times, 'COSTS', {})
    monkeypatch.setattr(times, 'TRAININGS', {})
    for seconds in (20, 20, 300):
        monkeypatch.setattr(times, 'recorded', lambda seconds=seconds: {'a.ipynb': seconds})
        times.write(tmp_path)
    title = times.title_cell(nbformat.read(tmp_path/'a.ipynb', 4)).source
    assert title == '# a\n> b\n\nRuns in about 5 minutes on two cores.\n\nUsed by [c](c.ipynb).'
    assert times.differing(tmp_path) == {}
