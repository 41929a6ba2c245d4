"`sgsvg score` on what people have: films without sound, too short, broken, and cards of another kind."
import json

import pytest
import test_bad_input

from media import tone, write_sound, write_video
from test_bad_input import files, refused

sgsvg = test_bad_input.sgsvg   # the fixture

@pytest.fixture
def films(tmp_path):
    "Two good films, and three that cannot be measured."
    folder = tmp_path/'films'
    folder.mkdir()
    for name in ('raining 1', 'thunder_2'): write_video(folder/f'{name}.mp4', 2)
    write_video(folder/'mute.mp4', 2, sound=False)
    write_video(folder/'short.mp4', .5)
    (folder/'broken.mp4').write_bytes(b'no film')
    return folder

def test_what_cannot_be_measured_costs_a_line(films, tmp_path, sgsvg):
    out = tmp_path/'card.json'
    status, told, err = sgsvg('score', films, '--seconds', 1.5, '-o', out)
    lines = err.splitlines()
    assert (status, told.splitlines()[-1], len(lines)) == (0, str(out), 3), err
    assert told.startswith('2 films, 1.5 s of each, 15 frames a second, the middle square of 64 x 64 pixels.'), told
    assert '| class_known | – | 2 |' in told and '[ ]: 95 % interval' in told
    assert all(l.startswith('sgsvg: left out: ') for l in lines)
    assert [sum(n in l for l in lines) for n in ('mute.mp4', 'short.mp4', 'broken.mp4')] == [1, 1, 1]
    card = json.loads(out.read_text())
    assert [f['name'] for f in card['films']] == ['raining 1.mp4', 'thunder_2.mp4']
    assert (card['protocol']['clips'], card['results']['class_known']) == (2, 2)
    assert files(tmp_path) == ['card.json', 'films']

def test_a_link_that_leads_nowhere_costs_a_line(films, sgsvg):
    (films/'gone.mp4').symlink_to(films/'nothing.mp4')
    status, _, err = sgsvg('score', films, '--seconds', 1.5)
    assert (status, err.count('gone.mp4: cannot be read (No such file'), len(err.splitlines())) == (0, 1, 4), err

def test_folders_of_classes_may_hold_equal_names(tmp_path, sgsvg):
    "The sound at the same place goes first, and films of one name are not one source."
    films, sounds = tmp_path/'films', tmp_path/'sounds'
    for k,name in enumerate(('raining', 'thunder', 'wind noise')):
        for folder in (films, sounds): (folder/name).mkdir(parents=True)
        write_video(films/name/'001.mp4', 2)
        write_sound(sounds/name/'001.wav', tone(2)*.9**k, 22050)
    status, told, err = sgsvg('score', films, '--sounds', sounds, '--seconds', 1.5, '-o', tmp_path/'card.json')
    assert (status, err) == (0, ''), err
    card = json.loads((tmp_path/'card.json').read_text())
    assert card['protocol']['clips'] == 3 and card['results']['motion_ci'] is not None
    assert card['results']['sync_left_out'] == 3 and '| sync_left_out | – | 3 |' in told

def test_films_of_one_sound_are_one_source(tmp_path, sgsvg):
    "Three pictures of one sound have no interval over sounds, and no other sound to be held against."
    for folder in ('films', 'sounds'): (tmp_path/folder).mkdir()
    for k in range(3):
        write_video(tmp_path/f'films/{k}.mp4', 2)
        write_sound(tmp_path/f'sounds/{k}.wav', tone(2), 22050)
    sgsvg('score', tmp_path/'films', '--sounds', tmp_path/'sounds', '--seconds', 1.5, '-o', tmp_path/'card.json')
    results = json.loads((tmp_path/'card.json').read_text())['results']
    assert results['motion_ci'] is None and results['sync_chance'] is None

def test_a_refusal_names_films(films, tmp_path, sgsvg):
    sgsvg('score', films, '--seconds', 1.5, '-o', tmp_path/'a.json')
    (films/'thunder_2.mp4').unlink()
    sgsvg('score', films, '--seconds', 1.5, '-o', tmp_path/'b.json')
    refused(sgsvg('score', tmp_path/'a.json', tmp_path/'b.json'), 'clips 2 against 1; only ', 'a.json has thunder_2.')

def test_a_stopped_call_goes_on(films, tmp_path, sgsvg, monkeypatch):
    "What was read is kept until the card is written, and counted once."
    import sgsvg.score as room
    read, done = room.read_film, []
    def once(film, *rest):
        if done: raise KeyboardInterrupt
        done.append(film)
        return read(film, *rest)
    monkeypatch.setattr(room, 'read_film', once)
    for bad in ('mute', 'short', 'broken'): (films/f'{bad}.mp4').unlink()
    assert sgsvg('score', films, '--seconds', 1.5, '-o', tmp_path/'card.json')[0] == 130
    assert files(tmp_path) == ['card.json.part', 'films']
    done.clear()
    status, _, err = sgsvg('score', films, '--seconds', 1.5, '-o', tmp_path/'card.json')
    assert (status, [p.name for p in done]) == (0, ['thunder_2.mp4']), err

def test_sounds_by_name(films, tmp_path, sgsvg):
    sounds = tmp_path/'sounds'
    sounds.mkdir()
    for name, seconds in (('raining 1', 2.), ('thunder_2', .5)): write_sound(sounds/f'{name}.wav', tone(seconds), 22050)
    status, _, err = sgsvg('score', films, '--sounds', sounds, '--seconds', 1.5)
    assert (status, err.count('no sound named'), err.count('thunder_2.wav: the sound lasts 0.5 s')) == (0, 3, 1), err

def test_other_sounds_of_equal_names_are_another_protocol(films, tmp_path, sgsvg):
    for k, length in enumerate((2., 1.8)):
        sounds = tmp_path/f'sounds{k}'
        sounds.mkdir()
        for name in ('raining 1', 'thunder_2'): write_sound(sounds/f'{name}.wav', tone(length), 22050)
        sgsvg('score', films, '--sounds', sounds, '--seconds', 1.5, '-o', tmp_path/f'{k}.json')
    refused(sgsvg('score', tmp_path/'0.json', tmp_path/'1.json'), 'one table', 'other sounds of raining 1, thunder_2')
    old = json.loads((tmp_path/'0.json').read_text())
    del old['protocol']['protocol']
    (tmp_path/'old.json').write_text(json.dumps(old))
    refused(sgsvg('score', tmp_path/'0.json', tmp_path/'old.json'), 'one table', 'protocol 3 against None')

def test_what_lies_beside_a_sound_is_none(films, tmp_path, sgsvg):
    "A file of another kind is passed over; of two sounds of one name neither is taken."
    sounds = tmp_path/'sounds'
    sounds.mkdir()
    for name in ('raining 1', 'thunder_2'):
        write_sound(sounds/f'{name}.wav', tone(2.), 22050)
        (sounds/f'{name}.json').write_text('{}')
    (sounds/'thunder_2.mp3').touch()
    out = tmp_path/'card.json'
    status, _, err = sgsvg('score', films, '--sounds', sounds, '--seconds', 1.5, '-o', out)
    assert (status, err.count('thunder_2.mp3 and thunder_2.wav'), len(err.splitlines())) == (0, 1, 4), err
    assert [f['name'] for f in json.loads(out.read_text())['films']] == ['raining 1.mp4']

@pytest.mark.parametrize('error', [PermissionError(13, 'Permission denied'), FileNotFoundError(2, 'No such file')])
def test_a_film_that_cannot_be_opened_costs_a_line(films, sgsvg, monkeypatch, error):
    import sgsvg.score as room
    opened = room.file_hash
    def closed(path):
        if 'raining' in str(path): raise error
        return opened(path)
    monkeypatch.setattr(room, 'file_hash', closed)
    status, _, err = sgsvg('score', films, '--seconds', 1.5)
    assert (status, err.count(f'raining 1.mp4: cannot be read ({error.strerror})')) == (0, 1), err

def test_cards_of_two_kinds_share_no_table(films, tmp_path, sgsvg):
    for name, seconds in (('a', 1.5), ('b', 1.2)):
        sgsvg('score', films, '--seconds', seconds, '-o', tmp_path/f'{name}.json')
    refused(sgsvg('score', tmp_path/'a.json', tmp_path/'b.json'), 'one table', 'seconds 1.5 against 1.2')
    (tmp_path/'c.json').write_text('[]')
    refused(sgsvg('score', tmp_path/'a.json', tmp_path/'c.json'), 'c.json is not a card')
    refused(sgsvg('score', tmp_path/'nothing'), 'no such folder')
    refused(sgsvg('score', films, '-o', tmp_path/'card.txt'), 'a card is a .json')
    refused(sgsvg('score', films, films), 'give one folder')

def test_weights_that_are_not_i3ds(films, tmp_path, sgsvg):
    "One line, before any film is read, and no card."
    import torch
    torch.save(dict(a=torch.zeros(3)), tmp_path/'other.pt')
    for name, why in (('other.pt', 'not the I3D'), ('gone.pt', 'gone.pt'), ('films/broken.mp4', 'broken.mp4')):
        refused(sgsvg('score', films, '--i3d', tmp_path/name, '-o', tmp_path/'card.json'), why)
    assert files(tmp_path) == ['films', 'other.pt']
