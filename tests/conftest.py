"""One thread per worker, and nothing is fetched.

Without the repository around them (`pytest` on a copy of this folder alone) these tests try an installed package.
Those that look at the repository are left out there."""
import os, re
from pathlib import Path

os.environ.update(
    OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', JUPYTER_PREFER_ENV_PATH='1',
    PYDEVD_DISABLE_FILE_VALIDATION='1')

here = Path(__file__).parent
REPOSITORY = re.compile(r'^ *(from repo import|import (golden|sizes|times)\b)', re.M)
if not (here.parent/'nbs').is_dir():
    collect_ignore = [p.name for p in here.glob('test_*.py') if REPOSITORY.search(p.read_text(encoding='utf-8'))]
