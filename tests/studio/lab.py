"JupyterLab on this machine alone, and a browser that looks at it."
import json, os, shutil, socket, subprocess, sys, time, urllib.request
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
CALM = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required']
THEMES = dict(light='JupyterLab Light', dark='JupyterLab Dark')
CODE = "from sgsvg.studio import Studio\nstudio = Studio({sound!r}, folder={folder!r})\nstudio"
LONG = 300000   # milliseconds that a busy machine may need; what takes so long is broken

def notebook(path, sound=None, folder='.', *more):
    "A notebook with the studio in its first cell; `more`: further cells."
    codes = CODE.format(sound=sound and str(sound), folder=str(folder)), *more
    cells = [dict(cell_type='code', id=f'c{i}', execution_count=None, metadata={}, outputs=[], source=c)
             for i, c in enumerate(codes)]
    meta = dict(kernelspec=dict(name='python3', display_name='python3', language='python'))
    path.write_text(json.dumps(dict(cells=cells, metadata=meta, nbformat=4, nbformat_minor=5)))

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@contextmanager
def jupyter(folder:Path, theme='light'):
    "Yields the address of a JupyterLab whose root is `folder`; it ends with the block."
    port = free_port()
    options = dict(ip='127.0.0.1', port=port, root_dir=folder, open_browser=False)
    flags = [f'--ServerApp.{k}={v}' for k, v in options.items()] + ['--IdentityProvider.token=', '--allow-root']
    settings = folder/'.settings'
    settings.mkdir(exist_ok=True)
    own = {'notification': dict(fetchNews='false', checkForUpdates=False), 'themes': dict(theme=THEMES[theme])}
    told = {f'@jupyterlab/apputils-extension:{k}': v for k, v in own.items()}
    (settings/'overrides.json').write_text(json.dumps(told))
    news = ['--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate', f'--LabApp.app_settings_dir={settings}']
    env = {**os.environ, 'JUPYTER_PREFER_ENV_PATH': '1', 'JUPYTER_CONFIG_DIR': str(folder/'.config')}
    with open(folder/'lab.log', 'w') as log:
        command = [sys.executable, '-m', 'jupyterlab', *flags, *news]
        p = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    address = f'http://127.0.0.1:{port}'
    try:
        until = time.monotonic()+LONG/1000
        while True:
            try:
                urllib.request.urlopen(f'{address}/api', timeout=2).close()
                break
            except OSError:
                late = time.monotonic() > until
                if p.poll() is not None or late: raise RuntimeError((folder/'lab.log').read_text()) from None
                time.sleep(.3)
        yield address
    finally:
        p.terminate()
        try: p.wait(20)
        except subprocess.TimeoutExpired: p.kill()

@contextmanager
def browsers():
    "Yields what starts a headless Chromium; `microphone`: a wav file that it takes for one, or `denied`."
    from playwright.sync_api import sync_playwright
    started, device = [], '--use-fake-device-for-media-stream'
    with sync_playwright() as p:
        def start(microphone=None):
            fake = [device, '--use-fake-ui-for-media-stream', f'--use-file-for-fake-audio-capture={microphone}']
            if microphone == 'denied': fake = [device, '--deny-permission-prompts']
            args = CALM + (fake if microphone else [])
            started.append(p.chromium.launch(executable_path=CHROMIUM, args=args, timeout=LONG))
            return started[-1]
        try: yield start
        finally:
            for b in started: b.close()

def opened(b, address:str, name:str, width=1280, height=1000):
    "A page with the notebook, its kernel ready."
    page = b.new_page(viewport=dict(width=width, height=height))
    page.set_default_timeout(LONG)
    page.goto(f'{address}/doc/tree/{name}')
    page.wait_for_selector('.jp-Notebook .jp-CodeCell')
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status=idle]', state='attached')
    return page

def run(page, k=0):
    "Run a cell, as a person does; one that a kernel which was just starting has lost is run again."
    cell = page.locator('.jp-CodeCell').nth(k)
    prompt = f"document.querySelectorAll('.jp-CodeCell')[{k}].querySelector('.jp-InputPrompt').innerText"
    before, busy, until, again = page.evaluate(prompt), False, time.monotonic()+LONG/1000, 0.
    while (now := time.monotonic()) < until:
        told = page.evaluate(prompt)
        if any(c.isdigit() for c in told) and (busy or told != before): return
        if '*' in told: busy, again = True, now+5
        elif now > again:
            cell.locator('.cm-content').click()
            page.keyboard.press('Control+Enter')
            again = now+20
        page.wait_for_timeout(100)
    raise RuntimeError('the cell did not run')

def studio(b, address:str, name:str, **kw):
    "A page with the notebook run, and the studio in it."
    page = opened(b, address, name, **kw)
    try:
        run(page)
        page.wait_for_selector('.sgsvg-studio')
    except Exception:
        page.screenshot(path='out/studio/failed.png')
        raise
    return page
