"""What a layer over moto is: one function before, after, around or in place of one method of one of moto's classes.

A module says which layers it has in a constant `LAYERS`, the outermost first. `moto_layers` lists the modules in the order that holds,
and is the only place that changes moto's classes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from moto.rds.responses import RDSResponse

Method = Callable[..., Any]  # of moto's object and the method's arguments
Around = Callable[..., Any]  # of moto's object, the method below it, and the method's arguments


@dataclass(frozen=True)
class Layer:
    """One function over `owner.method`. `name` is where the function stands: module and function."""

    method: str
    call: Around
    name: str
    owner: type = RDSResponse
    replaces: bool = False  # nothing below is called, so moto need not have the method


def before(method: str, check: Callable[[Any], None], owner: type = RDSResponse) -> Layer:
    """`check` looks at the request first. What it raises is the answer, and nothing has happened."""

    def call(moto: Any, below: Method, *arguments: Any, **named: Any) -> Any:
        check(moto)
        return below(moto, *arguments, **named)

    return Layer(method, call, _name(check), owner)


def after(method: str, follow: Callable[[Any], None], owner: type = RDSResponse) -> Layer:
    """`follow` is called once the operation has succeeded; the answer is the operation's."""

    def call(moto: Any, below: Method, *arguments: Any, **named: Any) -> Any:
        answer = below(moto, *arguments, **named)
        follow(moto)
        return answer

    return Layer(method, call, _name(follow), owner)


def around(method: str, call: Around, owner: type = RDSResponse) -> Layer:
    """`call` answers, and gets the method below it as its second argument."""
    return Layer(method, call, _name(call), owner)


def instead(answer: Method, owner: type = RDSResponse, method: str = "") -> Layer:
    """`answer` is the operation: moto's is wrong or missing. It stands under its own name unless `method` says another."""

    def call(moto: Any, _: Method, *arguments: Any, **named: Any) -> Any:
        return answer(moto, *arguments, **named)

    return Layer(method or _function(answer).__name__, call, _name(answer), owner, replaces=True)


def put_on(layers: Iterable[Layer]) -> None:
    """Change moto's classes, in this process: of `layers` the first is the outermost.

    Raises
    ------
    AttributeError
        A layer stands on a method that moto does not have; no class was changed.
    """
    layers = list(layers)
    for number, layer in enumerate(layers):
        added = any(one.replaces and _place(one) == _place(layer) for one in layers[number:])
        if not added and not hasattr(layer.owner, layer.method):
            raise AttributeError(
                f"{layer.name}: moto's {layer.owner.__name__} has no {layer.method} to put a layer on."
            )
    for layer in reversed(layers):
        setattr(layer.owner, layer.method, _method(layer, getattr(layer.owner, layer.method, None)))


def _place(layer: Layer) -> tuple[type, str]:
    return layer.owner, layer.method


def _method(layer: Layer, below: Any) -> Method:
    def method(moto: Any, *arguments: Any, **named: Any) -> Any:
        return layer.call(moto, below, *arguments, **named)

    method.__name__ = layer.method
    return method


def _function(one: Any) -> Any:
    return one.func if isinstance(one, partial) else one


def _name(one: Any) -> str:
    function = _function(one)
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__.lstrip('_')}"
