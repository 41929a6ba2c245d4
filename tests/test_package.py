"The wheel and the sdist: whole, and at work in a folder without the repository."
import os, shutil, subprocess, sys, zipfile
from pathlib import Path

import pytest

from repo import ROOT, tracked

if tracked() is None: pytest.skip('not a git checkout', allow_module_level=True)
ASSETS = sorted(p.name for p in tracked() if p.parent.name == 'assets')

def built(source, to):
    "The wheel of a folder, built with what is installed."
    how = '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--no-index', '-qq', '-w', str(to), str(source)
    done = subprocess.run([sys.executable, *how], capture_output=True, text=True, cwd=to)
    assert done.returncode == 0, done.stderr
    wheel, = Path(to).glob('*.whl')
    return zipfile.ZipFile(wheel)

def copied(to):
    "What is in git, so that nothing else can come along."
    for path in tracked():
        there = to/path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    return to

@pytest.fixture(scope='module')
def source(tmp_path_factory): return copied(tmp_path_factory.mktemp('source'))

@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory): return built(source, tmp_path_factory.mktemp('wheel'))

def test_the_wheel_is_whole(wheel):
    names = set(wheel.namelist())
    wanted = {f'sgsvg/{p.name}' for p in (ROOT/'sgsvg').glob('*.py')} | {f'sgsvg/assets/{n}' for n in ASSETS}
    assert wanted <= names and len(ASSETS) > 8
    assert {f'sgsvg/experiments/{p.name}' for p in (ROOT/'nbs'/'experiments').glob('*.ipynb')} <= names
    assert not [n for n in names if n.startswith(('tests', 'tools', 'nbs'))]

def test_it_works_without_the_repository(wheel, tmp_path):
    wheel.extractall(tmp_path/'site')
    code = '''
import sgsvg, torch
from pathlib import Path
from sgsvg.cli import main
assert 'site' in Path(sgsvg.__file__).parts, sgsvg.__file__
assert main(['info', 'default']) == 0
storm = str(Path(sgsvg.__file__).parent/'assets'/'demo.ogg')
assert main(['generate', storm, '-o', 'storm.mp4', '--seconds', '1', '--size', 'native']) == 0
assert main(['train', 'clip', 'tiny=true', 'device=cpu']) == 0
assert Path('storm.mp4').stat().st_size > 5000 and Path('runs/clip/model.safetensors').exists()
'''
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {'PYTHONPATH': str(tmp_path/'site')})
    assert done.returncode == 0, done.stderr

def test_the_sdist_makes_the_same_wheel(source, wheel, tmp_path):
    done = subprocess.run([sys.executable, 'setup.py', '-q', 'sdist', '-d', str(tmp_path)], cwd=source,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    packed, = tmp_path.glob('*.tar.gz')
    shutil.unpack_archive(packed, tmp_path/'unpacked')
    folder, = (tmp_path/'unpacked').iterdir()
    again = built(folder, tmp_path)
    def contents(o): return {n: o.read(n) for n in o.namelist() if '.dist-info/' not in n}
    assert contents(again) == contents(wheel)
