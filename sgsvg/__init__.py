__version__ = "0.1.0"
__all__ = ['SoundVideo', 'compare']

_HOME = dict(SoundVideo='model', compare='sweep')   # name -> its room

def __getattr__(name):
    "`from sgsvg import SoundVideo`, without the cost of it for those who do not ask."
    if name not in _HOME: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    return getattr(import_module(f'.{_HOME[name]}', __name__), name)

def __dir__(): return sorted([*globals(), *__all__])
