"""The studio in JupyterLab and Chromium, as a person uses it: `make test-studio`.
Pictures of it are left in out/studio, to be looked at. Nothing is asserted of how long it takes."""
import itertools, os, time, wave

import numpy as np
import pytest

pytest.importorskip('playwright')
from lab import CHROMIUM, LONG, browsers, jupyter, notebook, opened, run, studio
from repo import ROOT
from sgsvg.live import Performance

pytestmark = [
    pytest.mark.skipif(not os.environ.get('SGSVG_BROWSER'), reason='a browser test: make test-studio'),
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium: apt-get install chromium')]
SHOTS = ROOT/'out'/'studio'
DEMO = ROOT/'sgsvg'/'assets'/'demo.ogg'

def frame(page): return int(page.evaluate("document.querySelector('.sgsvg-studio .picture').dataset.frame ?? -1"))

def pixels(page, which=0):
    "What the picture shows, as an array; one that is just being replaced is waited for."
    found = page.evaluate("""async k => {
        for (;;) try {
            const e = document.querySelectorAll('.sgsvg-studio .picture')[k]
            await e.decode()
            const g = new OffscreenCanvas(e.naturalWidth, e.naturalHeight).getContext('2d')
            g.drawImage(e, 0, 0)
            return [e.naturalHeight, e.naturalWidth, [...g.getImageData(0, 0, e.naturalWidth, e.naturalHeight).data]]
        } catch { await new Promise(r => setTimeout(r, 50)) } }""", which)
    return np.array(found[2]).reshape(*found[:2], 4)[...,:3]

def apart(a, b): return float(np.abs(a-b).mean())

def until(page, condition): page.wait_for_function(condition, timeout=LONG)

def painted(page):
    "Wait until the browser has painted what stands."
    page.evaluate('new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))')

def says(page, words):
    "Wait until the status line holds what the regular expression says."
    until(page, f"/{words}/.test(document.querySelector('.sgsvg-studio .status').textContent)")

def wait_frame(page, t): until(page, f"document.querySelector('.sgsvg-studio .picture').dataset.frame == {t}")

def seek(page, t):
    page.evaluate("""t => { const s = document.querySelector('.sgsvg-studio .scrub')
        s.value = t
        s.dispatchEvent(new Event('input')) }""", t)
    wait_frame(page, t)

def set_number(page, name, value):
    page.get_by_label(name, exact=True).first.evaluate(
        '(e, v) => { e.value = v; e.dispatchEvent(new Event("input")) }', value)

def typed(field, text):
    "Written as a person does, over what stands there: a browser tells no change of what a program filled in."
    field.press('Control+a')
    field.press_sequentially(text)
    field.press('Enter')

def status(page): return page.locator('.sgsvg-studio .status').inner_text()

def give(page, file=DEMO):
    "A sound on the desk, and its first picture."
    page.set_input_files('input.sound', str(file))
    says(page, f'{file.name}, ')
    wait_frame(page, 0)

def shot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    page.set_viewport_size(size | dict(height=1600))    # all of it at once
    page.locator('.sgsvg-studio').screenshot(path=SHOTS/f'{name}.png')
    page.set_viewport_size(size)

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
    page = studio(chromium, lab, 's.ipynb')
    page.errors = []
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    give(page)
    yield page
    page.close()

@pytest.fixture
def another(start, lab, place):
    "Opens a notebook of its own in a browser of its own, with this microphone; closed at the end."
    pages = []
    def open_(name, microphone=None, *more):
        notebook(place/name, None, place, *more)
        pages.append(studio(start(microphone), lab, name))
        return pages[-1]
    yield open_
    for p in pages: p.close()

def test_a_file_is_dropped_and_played(page):
    until(page, "document.querySelector('.sgsvg-studio').parentElement.studio.moments.rows.length == 150")
    page.evaluate("document.querySelector('.sgsvg-studio audio').play()")
    until(page, "document.querySelector('.sgsvg-studio .picture').dataset.frame > 30")
    page.evaluate("document.querySelector('.sgsvg-studio audio').pause()")
    until(page, """Math.abs(document.querySelector('.sgsvg-studio .picture').dataset.frame
        - 15 * document.querySelector('.sgsvg-studio audio').currentTime) <= 1.5""")   # where it stops, they agree
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
    end = time.monotonic()+LONG/1000
    while time.monotonic() < end:
        page.wait_for_timeout(100)
        if apart(before, now := pixels(page)) > .5: return now
    pytest.fail('the picture did not change: '+status(page))

def test_controls_move_the_picture(page):
    seek(page, 60)
    a = pixels(page)
    typed(page.get_by_label('seed').first, '7')
    b = changed(page, a)
    set_number(page, 'truncation', 0.2)
    c = changed(page, b)
    page.get_by_label('dial 1 follows').first.select_option('loudness')
    typed(page.get_by_label('dial 1 high').first, '3')
    d = changed(page, c)
    page.get_by_label('preset', exact=True).first.select_option('breathing')
    changed(page, d)
    until(page, "document.querySelector('.sgsvg-studio').parentElement.studio.sides[0].controls.seed == 5")
    assert page.get_by_label('seed').first.input_value() == '5'

def test_two_sides_and_why(page):
    seek(page, 60)
    page.get_by_label('compare').check()
    until(page, "document.querySelectorAll('.sgsvg-studio .picture')[1].dataset.frame == 60")
    assert apart(pixels(page, 0), pixels(page, 1)) > 1
    page.get_by_role('button', name='explain').click()
    says(page, '%: what is bright')
    page.set_viewport_size(dict(width=1920, height=1000))
    painted(page)
    shot(page, 'two-1920')
    page.set_viewport_size(dict(width=1280, height=1000))
    page.get_by_label('compare').uncheck()

def test_two_models(page):
    "Another model on the second side; the first keeps its own."
    page.get_by_label('compare').check()
    seek(page, 60)
    page.locator('summary', has_text='controls B').click()
    model = page.get_by_label('model', exact=True)
    typed(model.nth(1), 'paper')
    until(page, "document.querySelectorAll('.sgsvg-studio .picture')[1].naturalWidth == 64")
    assert pixels(page, 0).shape == (128, 128, 3)
    shot(page, 'two-models')
    typed(model.nth(1), 'none.safetensors')
    says(page, 'none.safetensors')
    page.get_by_label('compare').uncheck()

def test_what_is_refused_goes_back(page):
    "A number that cannot be, a model that is not there; and the next change is taken."
    for name, wrong, words in (('seed', '1.5', 'seed must be a whole number'), ('seed', '', 'seed must be'),
                               ('model', 'nomodel', 'nomodel')):
        field = page.get_by_label(name, exact=True).first
        before = field.input_value()
        if wrong: typed(field, wrong)
        else:
            field.press('Control+a')
            field.press('Delete')
            field.press('Enter')
        says(page, words)
        page.wait_for_timeout(300)
        assert page.get_by_label(name, exact=True).first.input_value() == before
    seek(page, 60)
    before = pixels(page)
    typed(page.get_by_label('seed', exact=True).first, '11')
    changed(page, before)

def test_a_bad_file_leaves_the_good_one(page, place):
    (place/'junk.wav').write_bytes(b'junk'*1000)
    source = page.evaluate("document.querySelector('.sgsvg-studio audio').src")
    seek(page, 40)
    page.set_input_files('input.sound', str(place/'junk.wav'))
    says(page, '^junk.wav: cannot be read')
    assert page.evaluate("document.querySelector('.sgsvg-studio audio').src") == source
    seek(page, 41)

def test_moves_while_it_plays_are_seen_again(page):
    "And forgotten with one button."
    typed(page.get_by_label('seed', exact=True).first, '3')
    seek(page, 20)
    early = pixels(page)
    page.evaluate("document.querySelector('.sgsvg-studio audio').play()")
    until(page, "document.querySelector('.sgsvg-studio .picture').dataset.frame > 35")
    typed(page.get_by_label('seed', exact=True).first, '8')
    button = page.get_by_role('button', name='take these controls for the whole sound')
    button.first.wait_for()
    page.evaluate("document.querySelector('.sgsvg-studio audio').pause()")
    page.wait_for_timeout(500)
    seek(page, 21)
    seek(page, 20)
    assert apart(early, pixels(page)) < 1
    button.first.click()
    changed(page, early)
    assert not button.first.is_visible()

def focus(page):
    "What has the focus, by its name."
    return page.evaluate("""(e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent || e.tagName)(
        document.activeElement)""")

def tab_to(page, name):
    "From the studio itself, `Tab` until this has the focus; the number of steps."
    page.locator('.sgsvg-studio').focus()
    for k in range(150):
        if focus(page).strip() == name: return k
        page.keyboard.press('Tab')
    pytest.fail(f'{name} cannot be reached by Tab')

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

def test_every_control_is_reached_and_turned_by_keys(page):
    page.locator('.sgsvg-studio').focus()
    page.evaluate("""() => { window.reached = new Set()
        document.addEventListener('focusin', e => reached.add(e.target)) }""")
    for _ in range(150): page.keyboard.press('Tab')
    left = page.evaluate("""[...document.querySelectorAll('.sgsvg-studio :is(input, select, button, summary)')]
        .filter(e => !e.disabled && e.checkVisibility() && !reached.has(e)).map(e => e.outerHTML)""")
    assert left == []
    seek(page, 60)
    before = pixels(page)
    tab_to(page, 'truncation')
    for _ in range(30): page.keyboard.press('ArrowLeft')
    before = changed(page, before)
    tab_to(page, 'preset')
    page.keyboard.type('dr')      # the first letters of `drums`
    changed(page, before)
    assert focus(page) == 'preset'     # the form is new, and the hand is where it was
    tab_to(page, 'explain')
    page.keyboard.press('Enter')
    says(page, '%: what is bright')

def test_the_keys_of_jupyterlab_do_nothing_in_here(page):
    "In its command mode `d d` deletes the cell, `b` makes one, and an arrow leaves it."
    tab_to(page, 'memory')
    for k in 'd', 'd', 'b', 'ArrowUp', 'm': page.keyboard.press(k)
    assert focus(page) == 'memory' and page.locator('.jp-CodeCell').count() == 1

def test_what_is_wrong_is_one_line(page, place):
    (place/'no.txt').write_text('no sound')
    page.set_input_files('input.sound', str(place/'no.txt'))
    says(page, 'no.txt(?! is read)')
    give(page)

CONTROLS = "JSON.stringify(document.querySelector('.sgsvg-studio').parentElement.studio.sides[0].controls)"

def test_a_preset_leaves_and_comes_back(page, place):
    stood = page.evaluate(CONTROLS)
    with page.expect_download() as kept: page.get_by_role('button', name='save preset').click()
    kept.value.save_as(place/'p.json')
    page.get_by_label('preset', exact=True).first.select_option('rain and fire')
    page.wait_for_function(f'stood => {CONTROLS} !== stood', arg=stood)
    page.get_by_label('open preset').set_input_files(str(place/'p.json'))
    page.wait_for_function(f'stood => {CONTROLS} === stood', arg=stood)
    (place/'bad.json').write_text('[1]')
    page.get_by_label('open preset').set_input_files(str(place/'bad.json'))
    says(page, 'no controls')

def test_a_film_leaves(page, place):
    page.get_by_label('pixels').fill('64')
    page.get_by_role('button', name='mp4').click()
    says(page, 'is written')
    assert (place/'studio.mp4').stat().st_size > 10000
    assert page.errors == []

def test_a_second_tab(page, chromium, lab):
    "The kernel goes on; another view of the widget gets its own pictures."
    page.evaluate("document.querySelector('.sgsvg-studio audio').pause()")
    other = studio(chromium, lab, 's.ipynb')
    give(other)
    seek(other, 30)
    other.close()
    seek(page, 31)

def test_a_kernel_that_is_restarted(another):
    "The page says that its kernel is gone, nothing can be moved; the cell makes a new one."
    page = another('restart.ipynb')
    give(page)
    page.get_by_role('menuitem', name='Kernel', exact=True).click()
    page.locator('.lm-Menu-item', has_text='Restart Kernel').first.click()
    page.locator('.jp-Dialog button.jp-mod-accept').click()
    says(page, 'gone: run the cell again')
    assert page.locator('.sgsvg-studio :is(input, select, button):enabled').count() == 0
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status=idle]', state='attached')
    run(page)
    until(page, "/drop a sound/.test(document.querySelector('.sgsvg-studio .status')?.textContent)")
    give(page)

@pytest.mark.parametrize('button', ['live', 'record'])
def test_a_microphone_that_is_denied(another, button):
    page = another(f'denied-{button}.ipynb', 'denied')
    page.get_by_role('button', name=button).click()
    says(page, 'no microphone .NotAllowedError.: allow it in the browser, or drop a file')
    assert page.get_by_role('button', name=button).inner_text() == button    # nothing has begun
    give(page)

def test_a_recording(another, place):
    clicks(place/'mic.wav')
    page = another('record.ipynb', place/'mic.wav')
    page.get_by_role('button', name='record').click()
    page.get_by_role('button', name='stop').wait_for()
    page.wait_for_timeout(3000)     # of sound; it may be more
    page.get_by_role('button', name='stop').click()
    says(page, 'recording.webm, ')
    wait_frame(page, 0)
    seek(page, 10)

def clicks(path):
    "Silence and noise in turn, two seconds each."
    noise = np.random.default_rng(0).standard_normal(48000*2)
    x = np.concatenate([np.concatenate([0*noise, 6000*noise.clip(-3, 3)]) for _ in range(5)])
    with wave.open(str(path), 'wb') as f:
        f.setparams((1, 2, 48000, 0, 'NONE', ''))
        f.writeframes(x.astype('<i2').tobytes())

WATCH = """() => {
    const studio = document.querySelector('.sgsvg-studio').parentElement.studio
    window.heard = []; window.seen = []; window.moved = []
    let before, turn = Promise.resolve()
    const look = async (at, bytes) => {     // how far the picture is from the one before, of 255
        const g = new OffscreenCanvas(32, 32).getContext('2d')
        g.drawImage(await createImageBitmap(new Blob([bytes])), 0, 0, 32, 32)
        const x = g.getImageData(0, 0, 32, 32).data
        if (before) moved.push([at, x.reduce((s, v, i) => s + Math.abs(v-before[i]), 0)/x.length])
        before = x }
    const send = studio.send.bind(studio), frame = studio.frame.bind(studio)
    studio.send = (m, b = []) => {
        if (m.do === 'mic') { const x = new Float32Array(b[0])
            heard.push([performance.now(), Math.sqrt(x.reduce((s, v) => s + v*v, 0)/x.length), x.length/m.sr]) }
        send(m, b) }
    studio.frame = (m, v) => {
        frame(m, v)
        const at = performance.now()
        seen.push([at, m.t, m.late])
        turn = turn.then(() => look(at, v)) }
}"""

def live(page):
    "The microphone open, and some pictures of what it hears."
    page.evaluate(WATCH)
    page.get_by_role('button', name='live').first.click()
    until(page, 'window.seen && window.seen.length > 5')

def test_a_microphone_and_how_late_it_is(another, place):
    "Chromium plays a file as the microphone; times from a block that is sent to the picture that shows it are told."
    clicks(place/'mic.wav')
    page = another('live.ipynb', place/'mic.wav')
    live(page)
    until(page, 'seen.at(-1)[0] - seen[0][0] > 10000')      # five bursts
    heard, seen, moved = page.evaluate('[[...heard], [...seen], [...moved]]')   # before screenshots: much work
    print(page.locator('.sgsvg-studio .note').first.inner_text() or 'no word of the pace')
    for width in (1280, 1920):
        page.set_viewport_size(dict(width=width, height=1000))
        shot(page, f'live-{width}')
    page.get_by_role('button', name='end').click()
    says(page, 'holds what was played')
    sent, _, seconds = np.array(heard).T
    due = np.searchsorted(np.cumsum(seconds), [(t+.5)/15 for _, t, _ in seen])      # the block that made a frame due
    late = [at-sent[k] for (at, *_), k in zip(seen[5:], due[5:]) if k < len(sent)]
    print(f'from a block of sound to pixels: {told(late)}, {len(seen)} frames')
    waits = after_bursts(heard, moved)
    print(f'from the start of a burst to a picture that moves: {told(waits)}, {len(waits)} bursts')
    assert max(level for _, level, _ in heard) > .05
    log = Performance(max(place.glob('studio-live*'), key=lambda p: p.stat().st_mtime))
    assert log.wave().shape[1] > 3*44100 and np.abs(log.wave()).max() > .05

def told(late):
    if not late: return 'none in time'
    return f'median {np.median(late):.0f} ms, 95 % {np.percentile(late, 95):.0f} ms'

def after_bursts(heard, moved):
    "Milliseconds from a burst's first block to a picture that moves twice as much as any in the second before it."
    waits = []
    for (_, quiet, _), (at, loud, _) in itertools.pairwise(heard):
        if quiet > .01 or loud < .05: continue
        calm = [m for t, m in moved if at-1000 < t <= at]
        first = [t for t, m in moved if calm and at < t < at+1500 and m > 2*max(calm)]
        if first: waits.append(first[0]-at)
    return waits

def test_two_views_in_one_notebook(another, place):
    "The second shows what there is; it ends nothing, and each has the frames that it asks for."
    clicks(place/'mic.wav')
    page = another('views.ipynb', place/'mic.wav', 'studio')
    give(page)
    seek(page, 50)
    run(page, 1)
    second = page.locator('.sgsvg-studio').nth(1)
    second.wait_for()
    shown = "document.querySelectorAll('.sgsvg-studio')[1].parentElement.studio"
    until(page, f'{shown}.sides[0].picture.dataset.frame == 0 && {shown}.audio.src')
    assert frame(page) == 50
    page.evaluate(f'{shown}.seek(9)')
    until(page, f'{shown}.sides[0].picture.dataset.frame == 9')
    assert frame(page) == 50
    live(page)
    until(page, 'seen.length > 10')
    page.evaluate(f"{shown}.send({{ do: 'hello' }})")
    second.get_by_role('button', name='live').click()
    until(page, f"/another view/.test({shown}.status.textContent) && !{shown}.context")
    n = page.evaluate('seen.length')
    until(page, f'seen.length > {n+10}')
    page.get_by_role('button', name='explain').first.click()
    says(page, 'end the performance before you ask why')
    page.get_by_role('button', name='end').first.click()
    says(page, 'holds what was played')
    wait_frame(page, 50)    # the file is there again, and its moments
    until(page, "document.querySelector('.sgsvg-studio').parentElement.studio.moments.rows.length == 150")

LEFT = """import time, threading
while studio.desk.live is not None: time.sleep(.1)
while any('_perform' in t.name for t in threading.enumerate()): time.sleep(.1)
print('left:', studio.desk.inbox)"""

def test_a_tab_that_is_closed(another, lab, place):
    "The performance in the kernel ends by itself, and its log is whole."
    clicks(place/'mic.wav')
    page = another('closed.ipynb', place/'mic.wav', LEFT)
    live(page)
    n = len(page.evaluate('heard'))
    folder = max(place.glob('studio-live*'), key=lambda p: p.stat().st_mtime)
    context = page.context.browser
    page.close()
    page = opened(context, lab, 'closed.ipynb')
    run(page, 1)
    page.get_by_text('left: None').wait_for()
    page.close()
    log = Performance(folder)
    assert log.wave().shape[1] > (n-5)*2048*.9 and (folder/'log.jsonl').read_text().endswith('\n')

@pytest.mark.parametrize('width', [1280, 1920])
def test_dark(chromium, tmp_path, width):
    notebook(tmp_path/'s.ipynb', DEMO)
    with jupyter(tmp_path, 'dark') as address:
        page = studio(chromium, address, 's.ipynb', width=width)
        wait_frame(page, 0)
        seek(page, 70)
        until(page, "document.querySelector('.sgsvg-studio').parentElement.studio.moments.rows.length > 115")
        ground = page.evaluate("getComputedStyle(document.querySelector('.sgsvg-studio')).backgroundColor")
        assert max(map(int, ground.strip('rgb()').split(','))) < 80
        painted(page)
        shot(page, f'dark-{width}')
        page.close()
