"""A hash over the sources of modules and of all of the user's own that they import: what came of other code is not it.

Imports are read from the source, wherever in it they stand, so that nothing else that a process has loaded plays in.
The suite's own packages are not followed into, nor are the standard library and what pip has installed.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path

OURS = ("bench", "zo_core")
INSTALLED = {"site-packages", "dist-packages"}


def source_digest(modules: Iterable[str]) -> str:
    """SHA-256 over the files of the modules, which are loaded, and of what they import, module by module.

    What Python code does not say is not seen: a name put together at run time, a file that is read.
    """
    roots = set(modules)
    found: dict[str, bytes] = {}
    waiting = sorted(roots)
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None:
            continue
        found[name] = path.read_bytes()
        followed = {other for other in _imports(name, path) if _is_own(other, roots)} - seen
        waiting += sorted(followed)
        seen |= followed
    digest = hashlib.sha256()
    for name, content in sorted(found.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _file(name: str) -> Path | None:
    """The module's file; None for a name that is no module, and for a package without code."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    origin = loaded or getattr(_spec(name), "origin", None)
    return Path(origin) if origin and Path(origin).is_file() else None


def _spec(name: str) -> object:
    try:
        return find_spec(name)
    except (Exception, SystemExit):  # `from module import name` may name no module, and packages on the way are run
        return None


def _imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names that a module imports, and the packages that it is in; some may be no modules."""
    yield from _with_packages(name)
    if path.suffix != ".py":
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            where = "." * node.level + (node.module or "")
            base = resolve_name(where, package) if node.level else where
            yield from _with_packages(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_packages(name: str) -> Iterator[str]:
    """The name and those of the packages that Python runs on the way to it."""
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _is_own(name: str, roots: set[str]) -> bool:
    """Whether a module is the user's: in a package that a root is in, or in no folder that pip installs into."""
    top = name.partition(".")[0]
    if top in OURS or top in sys.stdlib_module_names:
        return False
    if top in {root.partition(".")[0] for root in roots}:
        return True
    path = _file(top)
    return path is None or not INSTALLED & set(path.parts)
