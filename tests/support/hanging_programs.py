"""Short OpenQASM programs that would run for hours without limits."""

HEAD_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\n'
HEAD_3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\n'
INPUTS = "".join(f"input float x{i}; " for i in range(60))
SUM = "+".join(f"x{i}" for i in range(60))
LOOPS = "for int i in [0:99999] {"


def doubled(body: str, times: int) -> str:
    """Gate definitions of which each applies the one before twice."""
    more = "".join(f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }} " for n in range(1, times + 1))
    return f"{HEAD_2}gate g0 a {{ {body} }} {more}g{times} q[0];"


HANGING = {
    "two loops around a barrier": HEAD_3 + LOOPS * 2 + " barrier q; } }",
    "two loops around nothing": HEAD_3 + LOOPS * 2 + "} }",
    "an empty gate doubled 28 times": doubled("", 28),
    "a barrier doubled 28 times": doubled("barrier a;", 28),
    "an identity doubled 28 times": doubled("id a;", 28),
    "six powers of an identity": HEAD_3 + "pow(99999) @ id q[0];" * 6,
    "a power of a power of nothing": HEAD_3 + "pow(99999) @ pow(99999) @ id q[0];",
    "a sum of 60 inputs to the 8th power": HEAD_3 + INPUTS + f"rx(({SUM})^8) q[0];",
    "a product of sums": HEAD_3 + INPUTS + "rx(" + "*".join([f"({SUM})"] * 8) + ") q[0];",
    "a power of powers": HEAD_3
    + "input float x0; float a0 = x0^8; "
    + "".join(f"float a{n} = a{n - 1}^8; " for n in range(1, 12))
    + "rx(a11) q[0];",
    "3,000 braces": HEAD_3 + "for int i in [0:1] {" * 3000 + "}" * 3000,
    "3,000 closing braces": HEAD_3 + "}" * 3000,
    "9,000 modifiers": HEAD_3 + "inv @ " * 9000 + "x q[0];",
    "many modifiers": HEAD_3 + "inv @ " * 300 + "x q[0];",
    "a long line of spaces": HEAD_3 + "inv" + " " * 1_000_000 + "x q[0];",
    "a million line feeds": "\n" * 1_000_000,
    "comments that do not end": HEAD_3 + "/*" * 500_000,
    "sets in sets": HEAD_3 + "for i in {" * 100_000,
    "strings": HEAD_3 + '""' * 500_000,
    "parentheses": HEAD_3 + "rx(" + "(" * 5_000 + "1" + ")" * 5_000 + ") q[0];",
    "minus signs": HEAD_3 + "rx(" + "-" * 9_000 + "1) q[0];",
    "a sum of ones": HEAD_3 + "rx(1" + "+1" * 9_000 + ") q[0];",
    "slices measured in loops": HEAD_3.replace("[2]", "[1000]")
    + LOOPS
    + " measure q[-1000:999]; }",
    "an infinite power": HEAD_3 + "pow(1e999) @ x q[0];",
    "too few angles inverted": HEAD_3 + "inv @ u(1) q[0];",
    "too many characters": HEAD_3 + "x q[0];" * 600_000,
}
