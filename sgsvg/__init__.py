__version__ = "0.1.0"
__all__ = ['SoundVideo']

def __getattr__(name):
    "`from sgsvg import SoundVideo`, without the cost of it for those who do not ask."
    if name != 'SoundVideo': raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from .model import SoundVideo
    return SoundVideo

def __dir__(): return sorted([*globals(), *__all__])
