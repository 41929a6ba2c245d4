"Paths are paths, and lists are lists, however people write them."
import csv, io, json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import test_bad_input
from hypothesis import HealthCheck, given, settings, strategies as st

from films import film
from media import tone, write_sound
from sgsvg.core import SgsvgError
from sgsvg.dataset import find_files, read_manifest
from sgsvg.shards import Row, read_shard
from test_bad_input import files, is_film, refused

sgsvg = test_bad_input.sgsvg   # the fixture

NAMES = ['12:30', '-rain', '%03d:x', 'line\nbreak', '"quoted"', 'what?', 'no#1', 'http:x', 'concat:a|b', 'pipe:',
         'data:', '雨の音', 'x' * 240]

def given_as(name): return ['--', name] if name[0] == '-' else [name]

@pytest.mark.parametrize('name', NAMES)
def test_a_sound_and_a_film_of_any_name(tmp_path, monkeypatch, sgsvg, name):
    "Read and written as they are called; no other file appears."
    write_sound(tmp_path/'plain.wav', tone(.4), 22050)
    (tmp_path/'plain.wav').rename(tmp_path/f'{name}.wav')
    monkeypatch.chdir(tmp_path)
    out = f'./{name}.mp4' if name[0] == '-' else f'{name}.mp4'
    how = '--size', 'native', '--fps', '5', '--model', 'paper'
    status, told, err = sgsvg('generate', '-o', out, *how, *given_as(f'{name}.wav'))
    assert (status, told, err) == (0, out+'\n', '')
    assert files(tmp_path) == sorted([f'{name}.wav', f'{name}.mp4'])
    (tmp_path/out).rename(tmp_path/'plain.mp4')
    assert is_film(tmp_path/'plain.mp4', .4)

@pytest.mark.parametrize('name', [n for n in NAMES if len(n) < 99])
def test_a_missing_sound_of_any_name(tmp_path, monkeypatch, sgsvg, name):
    "One line that names it, and nothing was fetched, made or waited for."
    monkeypatch.chdir(tmp_path)
    refused(sgsvg('generate', '-o', 'out.mp4', *given_as(f'{name}.wav')), ' '.join(name.split()), 'no such file')
    assert files(tmp_path) == []

ODD = [n for n in NAMES if '\n' not in n and len(n) < 99]

@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    "The same film under each name, and a folder per class of the same names."
    d = tmp_path_factory.mktemp('names')
    film(d/'film.mp4', 1.2, 10, (48, 32))
    (d/'v').mkdir()
    for n in ODD: (d/'v'/f'{n}.mp4').write_bytes((d/'film.mp4').read_bytes())
    for n in NAMES[:6]:
        (d/'own'/n).mkdir(parents=True)
        (d/'own'/n/f'{n}.mp4').write_bytes((d/'film.mp4').read_bytes())
    return d

def test_a_list_of_such_names(videos, sgsvg):
    "Each is found and looked at; as they are one film, one is kept."
    with open(videos/'12:30.csv', 'w', newline='') as f:
        csv.writer(f).writerows([('ytid', 'class'), *((n, 'rain') for n in ODD)])
    paths = videos/'12:30.csv', videos/'v', videos/'out:1'
    status, told, err = sgsvg('data', 'build', *paths, '--seconds', '1', '--size', '32', '--workers', '1')
    assert (status, err) == (0, ''), err
    card = json.loads((videos/'out:1'/'dataset.json').read_text())
    assert (card['clips'], card['left_out']) == (1, dict(duplicate=len(ODD)-1))
    kept = [json.loads(s['json'])['source'] for p in (videos/'out:1').glob('*.tar') for s in read_shard(p)]
    assert kept == [ODD[0]]

def test_folders_of_such_names(videos, sgsvg):
    status, told, err = sgsvg('data', 'check', videos/'own', '-o', videos/'checked', '--seconds', '1', '--workers', '1')
    assert (status, err) == (0, ''), err
    lines = list(csv.DictReader(io.StringIO((videos/'checked'/'report.csv').read_text())))
    assert {x['class'] for x in lines} == {n.replace('_', ' ') for n in NAMES[:6]}
    assert sorted(x['reason'].split(':')[0] for x in lines) == ['']+['duplicate']*5

@pytest.fixture(scope='module')
def place(tmp_path_factory): return tmp_path_factory.mktemp('lists')

few = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
LETTERS = st.characters(codec='utf-8', exclude_categories=['Cc', 'Cs', 'Zl', 'Zp'])
WORDS = st.text(LETTERS, max_size=12).map(str.strip).filter(lambda s: s and s[0] not in '#"\ufeff')
HEADS = dict(source=['ytid', 'YTID', 'youtube_id', ' Youtube_ID', '# YTID'],
             start=['start_time', 'Start_Seconds', 'time_start ', 'Start time', 'start'],
             cls=['class', 'LABEL', ' label'])
CLOCKS = [str, '{}.000'.format, lambda t: f'{t//60}:{t%60:02d}', lambda t: f'{t//3600:02d}:{t//60%60:02d}:{t%60:02d}.0']

@few
@given(rows=st.lists(st.tuples(WORDS, st.integers(0, 86400), WORDS), min_size=1, max_size=6),
       comma=st.sampled_from(',;\t'), quote=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
       blank=st.sampled_from(['', ' ']), code=st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16']),
       end=st.sampled_from(['\n', '\r\n']), empty=st.booleans(),
       heads=st.tuples(*map(st.sampled_from, HEADS.values())), order=st.permutations(range(3)),
       clock=st.sampled_from(CLOCKS))
def test_any_list_is_read(
    place, rows, comma, quote, blank, code, end, empty, heads, order, clock
):
    "Separators, quotes, blanks after them, marks of encodings, empty lines, the case and the order of the columns."
    if heads[0][0] == '#': order = sorted(order, key=bool)   # the mark of a comment stands first in a line
    text = io.StringIO(newline='')
    out = csv.writer(text, delimiter=comma, quoting=quote, lineterminator=end)
    cells = [(a, clock(t), c) for a, t, c in rows]
    for line in (heads, *cells):
        out.writerow([line[i] for i in order])
        if empty: text.write(end)
    told = text.getvalue()
    if blank and quote == csv.QUOTE_ALL: told = told.replace(f'"{comma}"', f'"{comma} "')
    path = place/'list.csv'
    path.write_bytes(told.encode(code))
    assert [(r.source, r.start, r.cls) for r in read_manifest(path)] == [(a, t, c) for a, t, c in rows]

STYLES = ['{0}', '{0:06d}', '{0}_{1}', '{0:06d}_{1:06d}', '{0}.000_{1}.000',
          '{2}_{3}', '{2:09d}_{3:09d}', '{0}-{1}', '{0}.0']
IDS = st.from_regex(r'[A-Za-z0-9_-]{11}', fullmatch=True)

@few
@given(id=IDS, start=st.integers(0, 86400), length=st.integers(1, 30), style=st.sampled_from(STYLES))
def test_any_clip_name_is_found(id, start, length, style):
    "Seconds or milliseconds, with the end or without, with zeros or decimals."
    name = id+'_'+style.format(start, start+length, 1000*start, 1000*(start+length))
    row = Row(id, start, 'rain', at=start)
    with TemporaryDirectory() as d:
        (Path(d)/f'{name}.mp4').touch()
        find_files([row], d)
    assert (row.file, row.at) == (str(Path(d)/f'{name}.mp4'), 0.)


@pytest.mark.parametrize('text, what', [
    ('ytid,start_ms,class\nab,5000,rain\n', 'start_ms'),
    ('id,class,clip begins\n', 'ytid'),
    ('ytid,class,clip begins\nab,rain,5\n', 'clip_begins'),
    ('ytid,start_time,class\nab,1,"rain\ncd,2,wind\n', 'a quote in line'),
    ('---g-f_I2yQ,1,people marching,test\n', "first line is a clip's, not the names"),     # as VGGSound's
    ('# made by hand\nab, 0:05, rain\n', "first line is a clip's, not the names"),
    ('ytid,start_time,positive_labels\nab,1,rain\n', '--columns class=NAME'),              # as AudioSet's
])
def test_a_list_that_would_be_read_wrongly_is_refused(tmp_path, text, what):
    (tmp_path/'list.csv').write_text(text)
    with pytest.raises(SgsvgError, match=what): read_manifest(tmp_path/'list.csv')

def test_a_unit_beside_a_name(tmp_path):
    (tmp_path/'list.csv').write_text('ytid,Start Time (s),class\nab,7,rain\n')
    assert read_manifest(tmp_path/'list.csv')[0].start == 7
