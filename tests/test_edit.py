"""`sgsvg edit`: what it refuses, and that it leaves nothing half-written."""
from functools import partial
import numpy as np
import papermill as pm
import pytest
import torch
from PIL import Image
from repo import NBS, ROOT
from sgsvg.evaluation import read_figures
from sgsvg import cli, core, edit, model, trajectory, stylegan2, inversion, video
import test_bad_input
from test_bad_input import files, refused

sound = test_bad_input.sound   # the fixture

@pytest.fixture
def sgsvg(capsys, monkeypatch):
    "`sgsvg` with a short search, where it edits, and a guess that has learned little."
    monkeypatch.setattr(edit, 'Editor', partial(edit.Editor, n=16))
    def call(command, *argv):
        status = cli.main([str(a) for a in (command, *argv, '--steps', 3)])
        return status, *capsys.readouterr()
    return call

@pytest.fixture(scope='module')
def small(tmp_path_factory):
    "A model file of tiny nets without a CLIP, that listens by its inversion."
    torch.manual_seed(0)
    g = stylegan2.Generator(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, channel_base=64, channel_max=8)
    bands = ((0, 2), (2, 4), (4, g.num_ws))
    nets = (g, inversion.Inversion(num_ws=g.num_ws, w_dim=8, bands=bands), trajectory.Trajectory(g.num_ws, 8, bands))
    path = tmp_path_factory.mktemp('model')/'small.safetensors'
    model.SoundVideo(*nets).save(path)
    return path

@pytest.fixture
def photo(tmp_path):
    "A picture that is wider than high."
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype='uint8')
    Image.fromarray(pixels).save(tmp_path/'photo.png')
    return tmp_path/'photo.png'

def grey(p): Image.new('L', (30, 20), 90).save(p)
def clear(p): Image.new('RGBA', (30, 20), (200, 90, 0, 40)).save(p)
def moving(p): Image.new('RGB', (30, 20)).save(p, save_all=True, append_images=[Image.new('RGB', (30, 20), 'red')])
def turned(p):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (30, 20), 'green').save(p, exif=exif)

GOOD = {'grey.png': (grey, ''), 'clear.png': (clear, 'put on white'), 'moving.gif': (moving, 'the first of 2'),
        'turned.jpg': (turned, 'turned upright')}

@pytest.mark.parametrize('name', GOOD)
def test_pictures_of_all_kinds(name, tmp_path, small, sound, sgsvg):
    make, word = GOOD[name]
    make(tmp_path/name)
    got = sgsvg('edit', tmp_path/name, '--sound', sound, '--model', small, '-o', tmp_path/'o.png', '--seconds', '1')
    assert got[0] == 0 and word in got[1] and got[2] == '', got
    assert 'cut to its middle square' in got[1]
    assert Image.open(tmp_path/'o.png').size == (512, 512)

def test_strength_zero_is_the_source(tmp_path, small, photo, sound, sgsvg):
    out = tmp_path/'o.png'
    got = sgsvg('edit', photo, '--sound', sound, '--model', small, '-o', out, '--strength', '0', '--seconds', '1')
    assert got[0] == 0, got
    video.save_still(tmp_path/'wanted.png', video.still(photo, 40)[0])
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(tmp_path/'wanted.png')))

def test_a_still_becomes_a_film(tmp_path, small, photo, sound, sgsvg):
    out = tmp_path/'o.mp4'
    assert sgsvg('edit', photo, '--sound', sound, '--model', small, '-o', out, '--seconds', '1')[0] == 0
    again = sgsvg('edit', out, '--sound', sound, '--model', small, '-o', tmp_path/'p.mp4', '--seconds', '.5')
    assert again[0] == 0, again
    assert len(video.read(tmp_path/'p.mp4')[0]) == round(.5*video.read(tmp_path/'p.mp4')[1] + .01)

def film(path):
    "Eight frames of one picture."
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))*2 - 1
    video.write(path, x.expand(8, -1, -1, -1), 15)
    return path

def test_a_film_is_tuned_as_well(tmp_path, small, sound, sgsvg):
    made = []
    for tuning in (0, 8):
        made.append(tmp_path/f'{tuning}.mp4')
        got = sgsvg('edit', film(tmp_path/'film.mp4'), '--sound', sound, '--model', small, '-o', made[-1],
                    '--tuning', tuning)
        assert got[0] == 0, got
    plain, tuned = (video.read(o)[0] for o in made)
    assert (plain - tuned).abs().mean() > .01

@pytest.mark.parametrize('name', ('nothing.png', 'text.png', 'folder.png'))
def test_no_picture(name, tmp_path, small, sound, sgsvg):
    (tmp_path/'text.png').write_text('no picture')
    (tmp_path/'folder.png').mkdir()
    before = files(tmp_path)
    asked = sgsvg('edit', tmp_path/name, '--sound', sound, '--model', small, '-o', tmp_path/'o.png')
    refused(asked, name)
    assert files(tmp_path) == before

@pytest.mark.parametrize('words, said', (('rain '*200, 'say it shorter'), (' ', 'the words are empty')))
def test_words_that_cannot_be_read(words, said, tmp_path, photo, sgsvg):
    before = files(tmp_path)
    refused(sgsvg('edit', photo, '--text', words, '--model', 'paper', '-o', tmp_path/'o.png'), said)
    assert files(tmp_path) == before

REFUSED = dict(
    neither=((), 'give --sound'),
    words_without_clip=(('--text', 'rain'), 'no CLIP'),
    strength=(('--text', 'rain', '--strength', 'nan'), 'must be a number'),
    bands=(('--text', 'rain', '--bands', '1,2'), 'three numbers'),
    box=(('--sound', 'SOUND', '--mask', '1,2,3,4'), 'left,top,right,bottom'),
    mask=(('--sound', 'SOUND', '--mask', 'nothing.png'), 'nothing.png'),
    mask_of_another_size=(('--sound', 'SOUND', '--mask', 'MASK'), '30 x 20 pixels'),
    no_sound=(('--sound', 'nothing.wav'), 'nothing.wav'),
    ending=(('--sound', 'SOUND', '-o', 'o.bmp3'), 'ends in'),
    words_for_a_film=(('--text', 'rain', '-o', 'o.mp4'), ''),
    sound_of_a_picture=(('--sound', 'SOUND', '--keep-sound', 'mix'), 'has no sound'),
    itself=(('--sound', 'SOUND', '-o', 'PHOTO'), 'itself'))

@pytest.mark.parametrize('case', REFUSED)
def test_refusals(case, tmp_path, small, photo, sound, sgsvg):
    given, words = REFUSED[case]
    names = dict(SOUND=sound, PHOTO=photo, MASK=tmp_path/'mask.png')
    if 'MASK' in given: grey(names['MASK'])
    args = [names.get(a, tmp_path/a if a.startswith('o.') else a) for a in given]
    before = files(tmp_path)
    status = 2 if case in ('strength', 'bands') else 1
    refused(sgsvg('edit', photo, '-o', tmp_path/'o.png', '--model', small, *args), words, status=status)
    assert files(tmp_path) == before

def test_a_film_without_sound(tmp_path, small, photo, sound, sgsvg):
    video.write(tmp_path/'mute.mp4', torch.zeros(8, 3, 16, 16), 15)
    asked = sgsvg('edit', tmp_path/'mute.mp4', '--sound', sound, '--keep-sound', 'source', '--model', small,
                  '-o', tmp_path/'o.mp4')
    refused(asked, 'mute.mp4')
    assert not (tmp_path/'o.mp4').exists()

def test_a_hundred_megapixels_are_refused(tmp_path, small, sound, sgsvg):
    Image.new('1', (10_000, 10_000)).save(tmp_path/'huge.png')
    before = files(tmp_path)
    asked = sgsvg('edit', tmp_path/'huge.png', '--sound', sound, '--model', small, '-o', tmp_path/'o.png')
    refused(asked, '10000 x 10000 pixels')
    assert files(tmp_path) == before

def test_too_large_a_picture(tmp_path):
    with pytest.raises(core.SgsvgError, match='too large'): video.still(_bomb(tmp_path/'bomb.png'), 16)

def _bomb(path):
    "A small file that says it has 400 megapixels."
    Image.new('1', (20_000, 20_000)).save(path)
    return path

def test_masks_are_soft_and_as_large_as_the_picture(tmp_path):
    Image.new('L', (80, 40), 255).save(tmp_path/'m.png')
    assert edit.picture_mask(tmp_path/'m.png', 16, (80, 40)).eq(1).all()
    with pytest.raises(core.SgsvgError, match='80 x 40 pixels, and the picture 40 x 40'):
        edit.picture_mask(tmp_path/'m.png', 16, (40, 40))
    soft = edit.soften(edit.box_mask((0, 0, .5, 1), 64))
    assert soft.diff(dim=1).abs().max() < .3

@pytest.mark.parametrize('name', ('edit_a_picture', 'edit_a_video'))
def test_walkthroughs_run_tiny(name, tmp_path):
    nb = NBS/'walkthroughs'/f'{name}.ipynb'
    pm.execute_notebook(nb, tmp_path/'out.ipynb', dict(tiny=True, model='paper'), kernel_name='python3',
                        cwd=str(tmp_path), progress_bar=False)
    assert files(tmp_path) == ['out.ipynb']

DATA = ROOT.parent/'shared'/'data'
PARTS = ('reached_world', 'reached_recordings', 'reached_words', 'kept_world', 'outside_error', 'tuned_over_long',
         'distance_tuned_to_photo', 'reached_photo')

@pytest.mark.skipif(not DATA.is_dir(), reason='no recordings and photographs here')
def test_the_table_with_recordings_and_photographs(tmp_path):
    given = dict(tiny=True, recordings=str(DATA/'sounds'), photos=str(DATA/'photos'), long_steps=2)
    pm.execute_notebook(NBS/'experiments'/'evaluate_editing.ipynb', tmp_path/'out.ipynb', given, kernel_name='python3',
                        cwd=str(tmp_path), progress_bar=False)
    table = read_figures(tmp_path/'out'/'editing.json')
    assert all(isinstance(table[k], float) for k in PARTS), table
    assert (table['pictures'], table['pairs']) == (1, 1)
    looked = tmp_path/'runs'/'evaluate_editing'/'samples'
    assert files(looked) == ['film0.png', 'photos.png', 'source0.png']
