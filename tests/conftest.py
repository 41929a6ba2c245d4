"One thread per worker, and nothing is fetched."
import os
os.environ.update(
    OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', JUPYTER_PREFER_ENV_PATH='1',
    PYDEVD_DISABLE_FILE_VALIDATION='1')
