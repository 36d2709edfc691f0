"""Layers over a class: before, after, around and in place of a method, the first in the list outermost."""

from typing import ClassVar

import pytest

from aurora_ops.sandbox.requests.layers import after, around, before, instead, put_on


@pytest.fixture
def moto():
    """A class of the kind that moto has, and what was called on it in order."""

    class Moto:
        calls: ClassVar[list[str]] = []

        def create(self, name):
            self.calls.append(f"create {name}")
            return name

    return Moto


def seen(moto, name):
    def note(one):
        one.calls.append(name)

    return note


def test_the_first_layer_is_the_outermost(moto):
    put_on([before("create", seen(moto, "first"), moto), before("create", seen(moto, "second"), moto)])

    assert "orders" == moto().create("orders")
    assert ["first", "second", "create orders"] == moto.calls


def test_what_a_check_refuses_reaches_nothing_below_it(moto):
    def refuse(_):
        raise ValueError("no")

    put_on([before("create", refuse, moto), before("create", seen(moto, "below"), moto)])

    with pytest.raises(ValueError, match="no"):
        moto().create("orders")
    assert [] == moto.calls


def test_what_follows_is_called_only_after_success(moto):
    def fail(_):
        raise ValueError("refused inside")

    put_on([after("create", seen(moto, "followed"), moto)])
    moto().create("orders")
    put_on([after("create", seen(moto, "outer"), moto), before("create", fail, moto)])
    with pytest.raises(ValueError, match="refused inside"):
        moto().create("orders")

    assert ["create orders", "followed"] == moto.calls


def test_a_layer_around_gets_the_method_below_and_its_arguments(moto):
    put_on([around("create", lambda one, create, name: create(one, name.upper()) + "!", moto)])

    assert "ORDERS!" == moto().create("orders")


def test_a_layer_in_place_of_a_method_may_add_one_that_moto_lacks(moto):
    def describe(one, name):
        return f"{name} of {type(one).__name__}"

    put_on([before("describe", seen(moto, "checked"), moto), instead(describe, moto)])

    assert "orders of Moto" == moto().describe("orders")
    assert ["checked"] == moto.calls


def test_a_layer_on_a_method_that_moto_lacks_is_an_error_and_changes_nothing(moto):
    stock = moto.create

    with pytest.raises(AttributeError, match="Moto has no creat to put a layer on"):
        put_on([before("create", seen(moto, "first"), moto), before("creat", seen(moto, "typo"), moto)])
    assert stock is moto.create
