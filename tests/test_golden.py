"""What the code computes stays what it was: sounds, pictures, statistics, and the embedded model on three sounds."""
import json
import subprocess
import sys
from repo import ROOT

GOLDEN = ROOT/'tests'/'golden.json'
GROUPS = 'sounds', 'pictures', 'statistics', 'model'

def compared(file, *groups):
    "`tools/golden.py compare` on any machine."
    tool = [sys.executable, ROOT/'tools'/'golden.py', 'compare', file, '--near', '--only', *groups]
    return subprocess.run(tool, capture_output=True, text=True)

def test_golden_values():
    got = compared(GOLDEN, *GROUPS)
    assert got.returncode == 0, got.stdout + got.stderr

def test_a_change_is_seen(tmp_path):
    kept = json.loads(GOLDEN.read_text())
    kept['values']['sounds: thunder']['about'][0] += .01
    (tmp_path/'golden.json').write_text(json.dumps(kept))
    got = compared(tmp_path/'golden.json', 'sounds')
    assert got.returncode == 1 and 'sounds: thunder' in got.stdout and ', 1 are not' in got.stdout
