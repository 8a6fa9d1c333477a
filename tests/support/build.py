"""Which build is tested: compiled modules, or the Python they are made of."""

from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from wsmiddleware.protocol import wire

BUILD = "pure" if str(wire.__file__).endswith(".py") else "compiled"


def load_source(name: str) -> ModuleType:
    """Return the module *name* as its .py file says it, also where a compiled module takes its place."""
    found = find_spec(name)
    assert found is not None and found.origin is not None
    path = Path(found.origin)
    loader = SourceFileLoader(name, str(path.with_name(path.name.partition(".")[0] + ".py")))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
