"The browser tests as a part of `.ci/run`: left out in one line where no Chromium starts, and never installed by it."
import shutil, subprocess

import pytest

from repo import ROOT

TOOLS = 'sh dirname timeout grep id'.split()

def studio(folder, *how, **programs):
    "What `.ci/studio` does where there are only these programs, each given as a line of shell."
    for name in TOOLS: (folder/name).symlink_to(shutil.which(name))
    for name, line in programs.items():
        (folder/name).write_text(f'#!{shutil.which("sh")}\n{line}\n')
        (folder/name).chmod(0o755)
    command = [folder/'sh', ROOT/'.ci'/'studio', *how]
    return subprocess.run(command, env=dict(PATH=str(folder)), capture_output=True, text=True, timeout=60)

@pytest.mark.parametrize('programs, said', [({}, 'there is no chromium'), (dict(chromium='exit 1'), 'does not start')])
def test_without_a_browser_one_line_says_so(programs, said, tmp_path):
    forbidden = {'apt-get': 'echo installing'}
    done = studio(tmp_path, 'if-there', **forbidden, **programs)
    assert (done.returncode, done.stdout.count('\n'), done.stderr) == (0, 1, '') and said in done.stdout

def test_whoever_asks_for_them_is_refused(tmp_path):
    done = studio(tmp_path, chromium='exit 1')
    assert (done.returncode, done.stderr.count('\n')) == (1, 1) and 'does not start' in done.stderr

def test_they_are_a_part_of_the_run_and_the_other_tests_decide_first():
    lines = (ROOT/'.ci'/'run').read_text().splitlines()
    site = 'if command -v quarto >/dev/null; then make site; fi'
    assert lines[-3:] == ['make test', site, 'exec sh .ci/studio if-there'] and 'set -euo pipefail' in lines
