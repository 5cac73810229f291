"""What is trained in front of the input: the contract of a method, and one file per method, found by itself.

>>> [method.label for method in METHODS.values()][:2]
['soft prompt', 'K/V prefix']
"""

import importlib
import inspect
import pkgutil

from core.methods.contract import Method


def _found() -> dict[str, Method]:
    """Every method that a file of this folder defines, by name, in the order of the choices."""
    for file in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{file.name}")
    classes = [Method]
    for known in classes:
        classes += known.__subclasses__()
    methods: list[Method] = [known() for known in classes if not inspect.isabstract(known)]  # type: ignore[abstract]
    return {method.name: method for method in sorted(methods, key=lambda method: method.order)}


ALL = _found()
NO_PROMPT = ALL["none"]
METHODS = {name: method for name, method in ALL.items() if method is not NO_PROMPT}  # those that are trained
EARLIER_NAMES = {"soft": "prompt"}  # in files that earlier versions saved


def method_name(saved: str) -> str:
    """The name by which a method (or any kind of contender) is known now.

    >>> method_name("soft"), method_name("handcrafted")
    ('prompt', 'handcrafted')
    """
    return EARLIER_NAMES.get(saved, saved)
