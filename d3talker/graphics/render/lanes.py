"""Numba: a value of 16 float32, one vector register, with the arithmetic that the tile kernels are written in.

Written out rather than left to LLVM's loop vectoriser, so that a splat's sums live in registers over any set of blocks.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core.cgutils import get_or_insert_function, unpack_tuple
from numba.extending import lower_builtin, models, register_model, type_callable

intrinsic: Any = extending.intrinsic
COUNT = 16
_FLOATS, _INTS = ir.VectorType(ir.FloatType(), COUNT), ir.VectorType(ir.IntType(32), COUNT)
_FLAGS = ("contract", "nsz", "arcp", "afn")  # as d3talker.jit.FAST; nothing here needs reordering


class Lanes(types.Type):
    """Numba's type of 16 float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes = Lanes()
_BINARY = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _FLOATS)


def _fits(*kinds: types.Type) -> bool:
    return all(isinstance(kind, Lanes) or kind == types.float32 for kind in kinds)


def _spread(builder, value):
    """A scalar in all lanes; lanes as they are."""
    if value.type == _FLOATS:
        return value
    zero = ir.IntType(32)(0)
    first = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, zero)
    return builder.shuffle_vector(first, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, [0] * COUNT))


def _declare(operation, name: str) -> None:
    @type_callable(operation)
    def typed(context):
        return lambda a, b: lanes if _fits(a, b) and lanes in (a, b) else None

    def lower(context, builder, signature, arguments):
        return getattr(builder, name)(*(_spread(builder, value) for value in arguments), flags=_FLAGS)

    for kinds in ((lanes, lanes), (lanes, types.float32), (types.float32, lanes)):
        lower_builtin(operation, *kinds)(lower)


for _operation, _name in _BINARY.items():
    _declare(_operation, _name)


def _called(name: str, arity: int):
    """An intrinsic of LLVM over lanes."""

    def lower(context, builder, signature, arguments):
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * arity)
        function = get_or_insert_function(builder.module, kind, f"{name}.v{COUNT}f32")
        return builder.call(function, [_spread(builder, value) for value in arguments], fastmath=_FLAGS)

    if arity == 1:
        return intrinsic(lambda context, a: (lanes(a), lower) if _fits(a) else None)
    return intrinsic(lambda context, a, b: (lanes(a, b), lower) if _fits(a, b) else None)


root, ceiling, nearest, size = (_called(f"llvm.{name}", 1) for name in ("sqrt", "ceil", "rint", "fabs"))
least, most = _called("llvm.minnum", 2), _called("llvm.maxnum", 2)


@intrinsic
def spread(context, value):
    """A float32 in all lanes."""
    return lanes(types.float32), lambda context, builder, signature, arguments: _spread(builder, arguments[0])


@intrinsic
def above(context, a, b, yes, no):
    """Lane by lane, yes where a > b, else no."""
    if not _fits(a, b, yes, no):
        return None

    def lower(context, builder, signature, arguments):
        a, b, yes, no = (_spread(builder, value) for value in arguments)
        return builder.select(builder.fcmp_ordered(">", a, b), yes, no)

    return lanes(a, b, yes, no), lower


def _address(context, builder, kind, array, index):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _FLOATS.as_pointer())


@intrinsic
def load(context, array, index):
    """16 floats of a contiguous array from index on."""

    def lower(context, builder, signature, arguments):
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=4)

    return lanes(array, types.uint64), lower


@intrinsic
def store(context, array, index, value):
    """Write 16 floats of a contiguous array from index on."""

    def lower(context, builder, signature, arguments):
        array, index, value = arguments
        builder.store(_spread(builder, value), _address(context, builder, signature.args[0], array, index), align=4)
        return context.get_dummy_value()

    return types.void(array, types.uint64, value), lower


@intrinsic
def power_of_two(context, mantissa, exponent):
    """mantissa * 2^exponent for whole exponents and normal results."""

    def lower(context, builder, signature, arguments):
        mantissa, exponent = arguments
        shifted = builder.shl(builder.fptosi(exponent, _INTS), ir.Constant(_INTS, [23] * COUNT))
        return builder.bitcast(builder.add(builder.bitcast(mantissa, _INTS), shifted), _FLOATS)

    return lanes(lanes, lanes), lower


@intrinsic
def totals(context, values):
    """Sums over the lanes of up to 16 values, that of values[k] in lane k and then zeros, always added in the same order."""

    def lower(context, builder, signature, arguments):
        none = ir.Constant(_FLOATS, [0.0] * COUNT)
        level = unpack_tuple(builder, arguments[0])
        for half in (8, 4, 2, 1):  # a value holds 8 / half groups of twice half lanes each, and shall hold twice as many
            lows = [start + k for start in range(0, 2 * COUNT, 2 * half) for k in range(half)]
            low, high = ir.Constant(_INTS, lows), ir.Constant(_INTS, [lane + half for lane in lows])
            pairs = zip(level[::2], [*level[1::2], none])
            level = [
                builder.fadd(builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high), flags=_FLAGS)
                for a, b in pairs
            ]
        return level[0]

    return lanes(values), lower


@intrinsic
def byte_spans(context, bounds):
    """Eight bytes as one uint64: in byte k the bits [first, last), which are lanes k and k + 8, whole and within 0..8."""

    def lower(context, builder, signature, arguments):
        none, half = ir.Constant(_INTS, ir.Undefined), ir.VectorType(ir.IntType(32), 8)
        bits = builder.shl(ir.Constant(_INTS, [1] * COUNT), builder.fptosi(arguments[0], _INTS))
        first, last = (
            builder.shuffle_vector(bits, none, ir.Constant(half, list(range(start, start + 8)))) for start in (0, 8)
        )
        span = builder.select(builder.icmp_signed(">", last, first), builder.sub(last, first), ir.Constant(half, [0] * 8))
        return builder.bitcast(builder.trunc(span, ir.VectorType(ir.IntType(8), 8)), ir.IntType(64))

    return types.uint64(lanes), lower


@intrinsic
def lowest_bit(context, mask):
    """Index of the lowest bit set in a uint64 that is not 0."""

    def lower(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), lower


@intrinsic
def any_positive(context, value):
    """Whether any lane is positive."""

    def lower(context, builder, signature, arguments):
        positive = builder.fcmp_ordered(">", arguments[0], ir.Constant(_FLOATS, [0.0] * COUNT))
        return builder.icmp_unsigned("!=", builder.bitcast(positive, ir.IntType(16)), ir.IntType(16)(0))

    return types.boolean(lanes), lower
