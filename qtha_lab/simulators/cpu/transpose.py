"""Transposition between tables, with one row per sample, and rows of lanes in `workspace`.

Four columns are transposed at a time in registers. A table of exactly four columns is read and
written in whole vectors.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.vectors import (
    FAST,
    Lanes,
    fill,
    fours,
    intrinsic,
    over_lanes,
    shuffled,
)

FOUR = 4


@compiled(counts=False, fastmath=True)
def load_columns(block, at, table, links, factor):
    """Fill rows of a block with scaled columns of `table`.

    Columns of the same row are added; lanes without a sample are filled with 0.
    """
    workspace, lanes, start, pairs = block.workspace, block.lanes, block.start, links.pairs
    full = block.count // block.vector * block.vector
    if not links.is_whole or len(pairs) < FOUR:
        full = 0
    if full < lanes:
        for i in range(len(pairs)):
            fill(workspace, at + pairs[i, 1] * lanes, workspace.dtype.type(0.0), lanes)
    if full:
        for position in range(0, len(pairs), FOUR):
            i = min(position, len(pairs) - FOUR)
            rows, scales = _rows(at, lanes, pairs, i), _scales(workspace, links.scales, factor, i)
            load_four(workspace, rows, scales, table, start, i, full)
    for i in range(len(pairs)):
        column, to = pairs[i, 0], at + pairs[i, 1] * lanes
        scale = workspace.dtype.type(factor * links.scales[i])
        for w in range(full, block.count):
            workspace[to + w] += scale * table[start + w, column]


@compiled(counts=False, fastmath=True)
def store_columns(block, at, table, links, factor, is_first):
    """Add rows of a block to columns of `table`; with `is_first` overwrite the columns.

    The other operands are those of `load_columns`.
    """
    workspace, lanes, start, pairs = block.workspace, block.lanes, block.start, links.pairs
    full = block.count // block.vector * block.vector
    if not links.is_whole or len(pairs) < FOUR:
        full = 0
    for w in range(full if is_first else block.count, block.count):
        for column in range(table.shape[1]):
            table[start + w, column] = workspace.dtype.type(0.0)
    if full:
        for position in range(0, len(pairs), FOUR):
            i = min(position, len(pairs) - FOUR)
            rows, scales = _rows(at, lanes, pairs, i), _scales(workspace, links.scales, factor, i)
            store_four(workspace, rows, scales, table, start, i, full)
    for i in range(len(pairs)):
        column, of = pairs[i, 0], at + pairs[i, 1] * lanes
        scale = workspace.dtype.type(factor * links.scales[i])
        for w in range(full, block.count):
            table[start + w, column] += scale * workspace[of + w]


@compiled(counts=False)
def _rows(at, lanes, links, i):
    return (
        at + links[i, 1] * lanes,
        at + links[i + 1, 1] * lanes,
        at + links[i + 2, 1] * lanes,
        at + links[i + 3, 1] * lanes,
    )


@compiled(counts=False)
def _scales(workspace, scales, factor, i):
    kind = workspace.dtype.type
    return (
        kind(factor * scales[i]),
        kind(factor * scales[i + 1]),
        kind(factor * scales[i + 2]),
        kind(factor * scales[i + 3]),
    )


class _Four:
    """Common parts of both directions: rows of lanes, and samples of four numbers."""

    def __init__(self, context, builder, kinds, args):
        workspace, rows, scales, table, start, column, self.count = args
        self.builder, self.workspace = builder, Lanes(context, builder, kinds[0], workspace)
        self.table = Lanes(context, builder, kinds[3], table)
        self.rows = cgutils.unpack_tuple(builder, rows, FOUR)
        self.scales = [
            self.workspace.spread(n) for n in cgutils.unpack_tuple(builder, scales, FOUR)
        ]
        shape = context.make_array(kinds[3])(context, builder, table).shape
        self.width = cgutils.unpack_tuple(builder, shape, 2)[1]
        self.start = builder.add(builder.mul(start, self.width), column)
        self.vector = self.workspace.vector
        self.few = ir.VectorType(self.vector.element, FOUR)

    def over_samples(self, one_by_one, together):
        """Loop over vectors of samples; `together` handles a table of exactly four columns."""
        builder = self.builder
        is_tight = builder.icmp_signed("==", self.width, self.width.type(FOUR))
        with builder.if_else(is_tight) as (then, otherwise):
            for branch, body in ((then, together), (otherwise, one_by_one)):
                with branch, over_lanes(builder, self.count, self.vector.count) as (w, _):
                    body(w)

    def vector_at(self, w, number):
        """Return the position of a vector of the table, for a table of four columns.

        Four vectors hold the samples from `w` on; `number` selects one of them.
        """
        row = self.builder.mul(w, self.width)
        row = self.builder.add(row, row.type(number * self.vector.count))
        return self.builder.add(self.start, row)

    def sample(self, w, number):
        """Return a pointer to the four numbers of a sample."""
        builder = self.builder
        row = builder.mul(builder.add(w, w.type(number)), self.width)
        place = builder.gep(self.table.data, [builder.add(self.start, row)])
        return builder.bitcast(place, self.few.as_pointer())

    def columns_of(self, vectors):
        """Transpose four vectors of samples (four numbers each) to one vector per number."""
        n = self.vector.count
        pairs = [
            shuffled(self.builder, a, b, [*range(i, 2 * n, FOUR), *range(i + 1, 2 * n, FOUR)])
            for i in (0, 2)
            for a, b in (vectors[:2], vectors[2:])
        ]
        return [
            shuffled(self.builder, a, b, [*range(k, k + n // 2), *range(n + k, n + k + n // 2)])
            for a, b in (pairs[:2], pairs[2:])
            for k in (0, n // 2)
        ]

    def samples_of(self, columns):
        """Transpose one vector per number to four vectors of samples; inverse of `columns_of`."""
        n = self.vector.count
        halves = [
            shuffled(self.builder, a, b, [*range(k, k + n // 2), *range(n + k, n + k + n // 2)])
            for k in (0, n // 2)
            for a, b in (columns[:2], columns[2:])
        ]
        whole = []
        for a, b in (halves[:2], halves[2:]):
            for first in (0, n // FOUR):
                lanes = [
                    source * n + half * (n // 2) + first + k
                    for k in range(n // FOUR)
                    for source in range(2)
                    for half in range(2)
                ]
                whole.append(shuffled(self.builder, a, b, lanes))
        return whole

    def crossed(self, values):
        """Transpose the 4×4 blocks at equal positions of four vectors; inverse of itself."""
        a, b, c, d = values
        n = self.vector.count

        def woven(x, y, *halves):
            return [shuffled(self.builder, x, y, fours(n, half)) for half in halves]

        lows, highs = zip(
            *(woven(x, y, (0, n, 1, n + 1), (2, n + 2, 3, n + 3)) for x, y in ((a, b), (c, d))),
            strict=True,
        )
        return [
            part
            for pair in (lows, highs)
            for part in woven(*pair, (0, 1, n, n + 1), (2, 3, n + 2, n + 3))
        ]


@intrinsic
def load_four(typingctx, workspace, rows, scales, table, start, column, count):
    """Copy four columns of a table to rows, scaled.

    workspace[rows[i] + w] = scales[i] · table[start + w, column + i] for four i and `count` samples
    w; `count` is a multiple of the vector length.
    """
    signature = types.void(workspace, rows, scales, table, start, column, count)

    def codegen(context, builder, signature, args):
        four = _Four(context, builder, signature.args, args)
        n = four.vector.count

        def put(values, w):
            for row, scale, value in zip(four.rows, four.scales, values, strict=True):
                value = builder.fmul(value, scale, flags=FAST)
                four.workspace.store(value, builder.add(row, w))

        def one_by_one(w):
            samples = [builder.load(four.sample(w, k), align=four.workspace.size) for k in range(n)]
            values = []
            for i in range(FOUR):
                parts = samples[i::FOUR]
                while len(parts) > 1:
                    wide = range(2 * parts[0].type.count)
                    parts = [
                        shuffled(builder, *parts[k : k + 2], wide) for k in range(0, len(parts), 2)
                    ]
                values += parts
            put(four.crossed(values), w)

        def together(w):
            vectors = [four.table.load(four.vector_at(w, k)) for k in range(FOUR)]
            put(four.columns_of(vectors), w)

        four.over_samples(one_by_one, together)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def store_four(typingctx, workspace, rows, scales, table, start, column, count):
    """Copy four rows to columns of a table, scaled.

    table[start + w, column + i] = scales[i] · workspace[rows[i] + w]; operands as for `load_four`.
    """
    signature = types.void(workspace, rows, scales, table, start, column, count)

    def codegen(context, builder, signature, args):
        four = _Four(context, builder, signature.args, args)
        n = four.vector.count

        def scaled(w):
            return [
                builder.fmul(four.workspace.load(builder.add(row, w)), scale, flags=FAST)
                for row, scale in zip(four.rows, four.scales, strict=True)
            ]

        def one_by_one(w):
            for i, value in enumerate(four.crossed(scaled(w))):
                for first in range(0, n, FOUR):
                    part = shuffled(builder, value, value, range(first, first + FOUR))
                    builder.store(part, four.sample(w, first + i), align=four.workspace.size)

        def together(w):
            for k, value in enumerate(four.samples_of(scaled(w))):
                four.table.store(value, four.vector_at(w, k))

        four.over_samples(one_by_one, together)
        return context.get_dummy_value()

    return signature, codegen
