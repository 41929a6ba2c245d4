"""The studio in JupyterLab and Chromium, as a person uses it: `make test-studio`.
Pictures of it are left in out/studio, to be looked at."""
import io, os, wave

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('playwright')
from lab import CHROMIUM, browsers, jupyter, notebook, opened
from repo import ROOT

pytestmark = [
    pytest.mark.skipif(not os.environ.get('SGSVG_BROWSER'), reason='a browser test: make test-studio'),
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium: apt-get install chromium')]
SHOTS = ROOT/'out'/'studio'
DEMO = ROOT/'sgsvg'/'assets'/'demo.ogg'

def frame(page): return int(page.evaluate("document.querySelector('.sgsvg-studio .picture').dataset.frame ?? -1"))

def pixels(page, which=0):
    "What the picture shows, as an array."
    data = page.evaluate("""async k => {
        const url = document.querySelectorAll('.sgsvg-studio .picture')[k].src
        return [...new Uint8Array(await (await fetch(url)).arrayBuffer())] }""", which)
    return np.array(Image.open(io.BytesIO(bytes(data)))).astype(int)

def apart(a, b): return float(np.abs(a-b).mean())

def until(page, condition, timeout=60000): page.wait_for_function(condition, timeout=timeout)

def wait_frame(page, t): until(page, f"document.querySelector('.sgsvg-studio .picture').dataset.frame == {t}")

def seek(page, t):
    page.evaluate("""t => { const s = document.querySelector('.sgsvg-studio .scrub')
        s.value = t
        s.dispatchEvent(new Event('input')) }""", t)
    wait_frame(page, t)

def set_number(page, name, value):
    page.get_by_label(name, exact=True).first.evaluate(
        '(e, v) => { e.value = v; e.dispatchEvent(new Event("input")) }', value)

def status(page): return page.locator('.sgsvg-studio .status').inner_text()

def shot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.locator('.sgsvg-studio').screenshot(path=SHOTS/f'{name}.png')

@pytest.fixture(scope='module')
def place(tmp_path_factory): return tmp_path_factory.mktemp('studio')

@pytest.fixture(scope='module')
def lab(place):
    notebook(place/'s.ipynb')
    with jupyter(place) as address: yield address

@pytest.fixture(scope='module')
def start():
    with browsers() as start: yield start

@pytest.fixture(scope='module')
def chromium(start): return start()

@pytest.fixture(scope='module')
def page(lab, chromium):
    "A page with the demo on the desk."
    page = opened(chromium, lab, 's.ipynb')
    page.errors = []
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    page.set_input_files('input.sound', str(DEMO))
    wait_frame(page, 0)
    return page

def test_a_file_is_dropped_and_played(page):
    until(page, "document.querySelector('.sgsvg-studio').parentElement.studio.moments.rows.length == 150")
    page.evaluate("document.querySelector('.sgsvg-studio audio').play()")
    until(page, "document.querySelector('.sgsvg-studio .picture').dataset.frame > 30")
    page.evaluate("document.querySelector('.sgsvg-studio audio').pause()")
    page.wait_for_timeout(1000)
    at = page.evaluate("document.querySelector('.sgsvg-studio audio').currentTime")
    assert abs(frame(page)/15 - at) < .7   # in step, even where others keep the machine busy
    shot(page, 'light-1280')

def test_scrubbing_goes_back_to_the_same_picture(page):
    seek(page, 60)
    a = pixels(page)
    seek(page, 100)
    b = pixels(page)
    seek(page, 60)
    assert apart(a, pixels(page)) < 1 < apart(a, b)

def changed(page, before):
    "Wait for another picture."
    for _ in range(100):
        page.wait_for_timeout(100)
        if apart(before, now := pixels(page)) > .5: return now
    pytest.fail('the picture did not change: '+status(page))

def test_controls_move_the_picture(page):
    seek(page, 60)
    a = pixels(page)
    page.get_by_label('seed').first.fill('7')
    page.get_by_label('seed').first.press('Enter')
    b = changed(page, a)
    set_number(page, 'truncation', 0.2)
    c = changed(page, b)
    page.get_by_label('dial 1 follows').first.select_option('loudness')
    page.get_by_label('dial 1 high').first.fill('3')
    page.get_by_label('dial 1 high').first.press('Enter')
    changed(page, c)
    page.get_by_label('preset', exact=True).first.select_option('breathing')
    changed(page, c)
    assert page.get_by_label('seed').first.input_value() == '5'

def test_two_sides_and_why(page):
    page.get_by_label('compare').check()
    until(page, "document.querySelectorAll('.sgsvg-studio .picture')[1].dataset.frame == 60")
    assert apart(pixels(page, 0), pixels(page, 1)) > 1
    page.get_by_role('button', name='explain').click()
    until(page, "/%$/.test(document.querySelector('.sgsvg-studio .status').textContent)")
    page.wait_for_timeout(300)
    page.set_viewport_size(dict(width=1920, height=1000))
    page.wait_for_timeout(500)
    shot(page, 'two-1920')
    page.set_viewport_size(dict(width=1280, height=1000))
    page.get_by_label('compare').uncheck()

def test_keyboard_alone(page):
    seek(page, 20)
    page.locator('.sgsvg-studio').focus()
    page.keyboard.press('ArrowRight')
    wait_frame(page, 21)
    page.keyboard.press(' ')
    until(page, "!document.querySelector('.sgsvg-studio audio').paused")
    page.keyboard.press(' ')
    until(page, "document.querySelector('.sgsvg-studio audio').paused")
    bare = page.evaluate("""[...document.querySelectorAll('.sgsvg-studio :is(input, select, button)')]
        .filter(e => !(e.labels?.length || e.ariaLabel || e.textContent || e.getAttribute('aria-label'))).length""")
    assert bare == 0    # everything that can be moved says what it is

def test_what_is_wrong_is_one_line(page, place):
    (place/'no.txt').write_text('no sound')
    page.set_input_files('input.sound', str(place/'no.txt'))
    until(page, "/no.txt/.test(document.querySelector('.sgsvg-studio .status').textContent)")
    page.wait_for_timeout(1000)
    page.set_input_files('input.sound', str(DEMO))
    wait_frame(page, 0)
    page.get_by_role('button', name='live').click()     # no microphone is allowed here
    until(page, "/no microphone/.test(document.querySelector('.sgsvg-studio .status').textContent)")

def test_a_film_leaves(page, place):
    page.get_by_label('pixels').fill('64')
    page.get_by_role('button', name='mp4').click()
    until(page, "/is written/.test(document.querySelector('.sgsvg-studio .status').textContent)", 120000)
    assert (place/'studio.mp4').stat().st_size > 10000
    assert page.errors == []

def test_a_second_tab(page, chromium, lab):
    "The kernel goes on; another view of the widget gets its own pictures."
    page.evaluate("document.querySelector('.sgsvg-studio audio').pause()")
    other = opened(chromium, lab, 's.ipynb')
    other.set_input_files('input.sound', str(DEMO))
    wait_frame(other, 0)
    seek(other, 30)
    other.close()
    seek(page, 31)

def clicks(path):
    "Silence and noise in turn, two seconds each."
    noise = np.random.default_rng(0).standard_normal(48000*2)
    x = np.concatenate([np.concatenate([0*noise, 6000*noise.clip(-3, 3)]) for _ in range(5)])
    with wave.open(str(path), 'wb') as f:
        f.setparams((1, 2, 48000, 0, 'NONE', ''))
        f.writeframes(x.astype('<i2').tobytes())

WATCH = """() => {
    const studio = document.querySelector('.sgsvg-studio').parentElement.studio
    window.heard = []; window.seen = []
    const send = studio.send.bind(studio), frame = studio.frame.bind(studio)
    studio.send = (m, b = []) => {
        if (m.do === 'mic') { const x = new Float32Array(b[0])
            heard.push([performance.now(), Math.sqrt(x.reduce((s, v) => s + v*v, 0)/x.length)]) }
        send(m, b) }
    studio.frame = (m, v) => { frame(m, v); seen.push([performance.now(), m.t, m.late]) }
}"""

def test_a_microphone_and_how_late_it_is(lab, place, start):
    "Chromium plays a file as the microphone; times from a block that is sent to the picture that shows it."
    clicks(place/'mic.wav')
    notebook(place/'live.ipynb', folder=place)
    page = opened(start(place/'mic.wav'), lab, 'live.ipynb')
    page.evaluate(WATCH)
    page.get_by_role('button', name='live').click()
    until(page, 'window.seen && window.seen.length > 25', 120000)
    shot(page, 'live')
    page.get_by_role('button', name='end').click()
    until(page, "/holds what was played/.test(document.querySelector('.sgsvg-studio .status').textContent)")
    heard, seen = page.evaluate('[heard, seen]')
    page.close()
    blocks = np.array([t for t, _ in heard])
    length = np.median(np.diff(blocks))/1000
    late = []
    for at, t, _ in seen[5:]:
        due = (t+.5)/15/length      # the block that made the frame due
        if due < len(blocks): late.append(at-blocks[int(due)])
    told = f'median {np.median(late):.0f} ms, 95 % {np.percentile(late, 95):.0f} ms'
    print(f'from a block of sound to pixels: {told}, {len(seen)} frames')
    assert max(level for _, level in heard) > .05 and np.median(late) < 10000
    log = next(place.glob('studio-live*'))
    assert (log/'sound.f32').stat().st_size > 100000

def test_dark(chromium, tmp_path):
    notebook(tmp_path/'s.ipynb', DEMO)
    with jupyter(tmp_path, 'dark') as address:
        page = opened(chromium, address, 's.ipynb')
        wait_frame(page, 0)
        seek(page, 70)
        page.wait_for_timeout(1000)
        ground = page.evaluate("getComputedStyle(document.querySelector('.sgsvg-studio')).backgroundColor")
        assert max(map(int, ground.strip('rgb()').split(','))) < 80
        shot(page, 'dark-1280')
