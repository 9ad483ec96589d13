"""Answers of readers to the exercises of the tour, lessons 10 to 12, and the newest ones.

See `answer_bank`. In a selection, the reason is that of the first letter that is wrong.
"""

LETTERS = {
    "needed_runs": ("Three runs before a claim", ["bca", "a, b, c"]),
    "may_be_printed": ("A ranking for a paper", ["cab", ("a", "b", "c")]),
    "would_show": ("Three verdicts that are not shown", ["c b a"]),
    "can_be_said": ("What can be learnt away?", ["a;b;e"]),
    "faults": ("Faults of a chart and its caption", [list("edcba")]),
}
WRONG_LETTERS = {
    "needed_runs": [("ad", "own control"), ("cg", "equal size"), ("abf", "one seed does not")],
    "may_be_printed": [("abe", "not fitted"), ("bcd", "measurement that can"), ("abcef", "500")],
    "would_show": [("f", "interval of zero"), ("abd", "0.999"), ("acf", "no arm reaches")],
    "can_be_said": [("abcd", "from token to token"), ("e", "W_q multiplies"), ("abd", "new at")],
    "faults": [("abcg", "the linear path"), ("g", "two ticks"), ("abcdefg", "number of test rows")],
}
QPA = 39_616
CODES = "codes = ({})"
CHIP = "deepest = {{'topology': '{}', 'n_qubits': {}, 'cz_error': 0.02, 'n_layers': {}}}"
BAR = (
    "same_size = {{'model': '{}', 'r': {}, 'bond_dim': 3, 'n_layers': 4, 'lora_r': 2, 'waist': {}}}"
)
PLAN = "from dataclasses import replace\nregistered = ({}, {}, {!r})"
ALT = (
    "alt_text = f'{} of twenty seeds: {{lora_gap.low:.2f}} to {{lora_gap.high:.2f}} nat. {}'",
    "alt_text = f'{} {{lora_gap.low:.3f}} to {{lora_gap.high:.3f}}, {}'",
)
ENTRY = "table_entry = ({}, {!r}, {!r})"
ANY_NUMBER = (("2 * {}", "twice"), ("-{}", "sign"), ("{} / 2", "half"))
NUMBERS = {
    "Share of the numbers that is quantum": ("quantum_share", "0.002976"),
    "A cut weight in the toy": ("cut_loss", "4.4098"),
}

RIGHT: dict[str, tuple[str, ...]] = {
    title: tuple(f"{name} = {answer!r}" for answer in answers)
    for name, (title, answers) in LETTERS.items()
} | {
    "Share of the numbers that is quantum": ("quantum_share = 0.003",),
    "A waist of equal size": (BAR.format("tiny", 4, 16),),
    "A cut weight in the toy": ("cut_loss = 4.41", "cut_loss = 4.45"),
    "Best of a few trials": ("best_of_few = 4.2043",),
    "Killed and resumed": ("two_runs = [run.path for run in recorded_pair()]",),
    "Tokens until the bounds meet": ("enough_tokens = 500.0", "enough_tokens = 700"),
    "Who merges, and who is bound by r?": ("codes = [3, 1, 2, 1, 3, 3, 1, 1]",),
    "Trained and generated numbers": (f"numbers_of_qpa = [{QPA}, 2 * 4 * 64]",),
    "Shots for a small error": ("shots_needed = (3600.0, 36)",),
    "Hours of a run on a chip": ("hours = 1.5e4", "hours = 10_000"),
    "Layers that a line leaves": (CHIP.format("line", 4, 3),),
    "An alt text with the finding": (ALT[0].format("LoRA is below QTHA in the mean", ""),),
    "One entry from a run folder alone": (
        "import json\ntable_entry = [json.loads((run_folder / 'summary.json').read_text())"
        "['test_loss'], str(run_folder / 'summary.json'), 'test_loss']",
    ),
}
WRONG: dict[str, tuple[tuple[str, str], ...]] = (
    {
        LETTERS[name][0]: tuple((f"{name} = {letters!r}", why) for letters, why in wrong)
        for name, wrong in WRONG_LETTERS.items()
    }
    | {
        title: tuple((f"{name} = {code.format(value)}", why) for code, why in ANY_NUMBER)
        for title, (name, value) in NUMBERS.items()
    }
    | {
        "A waist of equal size": (
            (BAR.format("tiny", 4, 64), "trains more than"),
            (BAR.format("tiny", 4, 4), "larger waist"),
            (BAR.format("smollm2-135m", 4, 16), "asked for"),
            ("same_size = (4, 3, 16)", "state"),
        ),
        "Killed and resumed": (
            ("two_runs = recorded_pair() * 2", "two finished runs"),
            ("two_runs = (recorded_pair()[0], recorded_pair()[0].path)", "same folder"),
            ("two_runs = [run.path for run in recorded_pair()][::-1]", "interrupted"),
        ),
        "Tokens until the bounds meet": (
            ("enough_tokens = 1200", "twice"),
            ("enough_tokens = -600", "sign"),
            ("enough_tokens = 200", ""),
        ),
        "Who merges, and who is bound by r?": (
            (CODES.format("4, 2, 3, 2, 4, 4, 2, 2"), "larger than the right value by one"),
            (CODES.format("1, 1, 3, 3, 1, 2, 1, 3"), "opposite order"),
            (CODES.format("3, 1, 2, 1, 3, 3, 1, 0"), "7 of the 8 numbers are right"),
        ),
        "Trained and generated numbers": (
            (f"numbers_of_qpa = ({2 * QPA}, 1024)", "twice"),
            (f"numbers_of_qpa = ({QPA}, 256)", "1 of the 2 numbers is right"),
            (f"numbers_of_qpa = ({QPA + 1}, 513)", "by one"),
        ),
        "Hours of a run on a chip": (
            ("hours = 2 * 15000", "twice"),
            ("hours = 15000 * 60", ""),
            ("hours = -15000", "sign"),
        ),
        "Shots for a small error": (
            ("shots_needed = (36, 3600)", "opposite order"),
            ("shots_needed = (7200, 72)", "twice"),
            ("shots_needed = (60, 6)", "square root"),
            ("shots_needed = (3600, 1)", "1 of the 2 numbers is right"),
        ),
        "Layers that a line leaves": (
            (CHIP.format("line", 6, 3), "line of 4 qubits"),
            (CHIP.format("all-to-all", 4, 4), "line of 4 qubits"),
            (CHIP.format("line", 4, 1), "one more layer"),
            (CHIP.format("line", 4, 5), "less than 25"),
        ),
        "A question, planned and answered": (
            (PLAN.format("example", "[]", "inconclusive"), "expected"),
            (PLAN.format("example", "shipped", "better"), "expected"),
            (PLAN.format("example", "shipped[:2]", "inconclusive"), "not those of the plan"),
            (PLAN.format("replace(example, second='dora')", "shipped", "shown"), "not those"),
            (PLAN.format("replace(example, written='20271231')", "shipped", "shown"), "older"),
        ),
        "An alt text with the finding": (
            (ALT[0].format("QTHA is higher in the mean", ""), "names both methods"),
            (ALT[1].format("QTHA minus LoRA is", "twenty seeds"), "direction"),
            (ALT[1].format("QTHA is worse than LoRA,", "all seeds"), "number of seeds"),
            ("alt_text = 'QTHA is above LoRA by 0.05 in 20 seeds'", "interval"),
            ("alt_text = 'word ' * 61", "sixty words"),
        ),
        "One entry from a run folder alone": (
            (ENTRY.format(4.264, "environment.json", "test_loss"), "does not hold"),
            (ENTRY.format(4.264, "summary.json", "train_loss"), "other losses"),
            (ENTRY.format(42.64, "summary.json", "test_loss"), "not the one in that file"),
            ("table_entry = (4.264, 'summary.json')", "a tuple of"),
        ),
    }
)
