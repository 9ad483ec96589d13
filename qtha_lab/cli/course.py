"""`qtha-lab course`: check a machine, build material, grade notebooks, collect predictions."""

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.output import app, csv_line, print_json, print_table
from qtha_lab.cli.run import Json
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import csv_cell, shortened, show, whole_number

course = typer.Typer(
    help="Teach the lessons: check, build, seed, grade, classroom.", no_args_is_help=True
)
app.add_typer(course, name="course")

Lessons = Annotated[str, typer.Option(help="Lessons, such as 0,3,6. Default: all.")]


class CourseAudience(StrEnum):
    """Readers of a build."""

    students = "students"
    teacher = "teacher"


def _numbers(lessons: str) -> tuple[int, ...]:
    words = split_list(lessons) if lessons else []
    if any(whole_number(word, 99) is None for word in words):
        raise Refusal(f"lessons must be numbers such as 0,3,6, got {shortened(repr(lessons))}.")
    return tuple(map(int, words))


@course.command("build")
def build_material(
    folder: Annotated[Path, typer.Argument(help="Target folder.")],
    audience: Annotated[
        CourseAudience, typer.Option("--for", help="Students get no solutions.")
    ] = CourseAudience.students,
    lessons: Lessons = "",
    repository: Annotated[str, typer.Option(help="Address on GitHub for badges and QR.")] = "",
    json: Json = False,
) -> None:
    """Write nbgrader notebooks, slides, workbook; for a teacher also key, rubrics, syllabus."""
    from qtha_lab.lessons.kit.build_all import EXECUTED, build_course
    from qtha_lab.lessons.kit.lesson_page import lesson_pages

    pages = lesson_pages(_numbers(lessons))
    products = build_course(pages, folder, audience.value, repository)
    if json:
        print_json({p.name: [str(file) for file in p.files] for p in products})
        return
    rows = [(p.name, str(len(p.files)), f"{p.seconds:g}") for p in products]
    print_table([("product", "files", "seconds"), *rows])
    (executed,) = (product for product in products if product.name == EXECUTED)
    if missing := len(pages) - len(executed.files):
        show(f"{missing} of {len(pages)} lessons have no pictures yet: run the command again.")
    show(f"in {folder}")


@course.command("check")
def check_machine(
    lessons: Lessons = "",
    minutes: Annotated[
        float, typer.Option(min=0, max=600, help="Time for lessons that were not measured yet.")
    ] = 1.0,
    json: Json = False,
) -> None:
    """Report models, memory and seconds of each lesson, and the cells that cannot run."""
    from qtha_lab.lessons.kit.lesson_page import lesson_pages
    from qtha_lab.lessons.kit.machine_check import check_lessons, machine_facts

    facts = machine_facts()
    checks = check_lessons(lesson_pages(_numbers(lessons)), 60 * minutes)
    if json:
        print_json({"machine": dict(facts), "lessons": [dataclasses.asdict(c) for c in checks]})
        return
    print_table([("machine", "state"), *facts])
    head = ("lesson", "model", "seconds", "MiB", "will not run")
    rows = [
        (c.name, c.model, _or_open(c.seconds), _or_open(c.memory_mib), "; ".join(c.problems))
        for c in checks
    ]
    print_table([head, *rows])
    if any(c.seconds is None for c in checks):
        show("Lessons without seconds were not reached: --minutes 20 measures all of them.")


def _or_open(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


@course.command("seed")
def draw_constants(
    seed: Annotated[int, typer.Argument(help="Seed of a student.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Folder for the notebooks; none are written without it.")
    ] = None,
    lessons: Lessons = "",
    json: Json = False,
) -> None:
    """Draw other constants for a student's exercises, and print the answer key."""
    from qtha_lab.lessons.kit.assignment import write_assignments
    from qtha_lab.lessons.kit.lesson_page import lesson_pages
    from qtha_lab.lessons.kit.variants import seed_key, seeded_page, use_seed

    rows = seed_key(seed)
    if folder is not None:
        use_seed(seed)
        pages = [seeded_page(page, seed) for page in lesson_pages(_numbers(lessons))]
        write_assignments(pages, folder / f"seed_{seed}", with_source=True)
    if json:
        names = ("exercise", "constants", "answer", "wrong_answers")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    head = ("exercise", "constants", "answer", "wrong answers")
    print_table([head, *((*row[:3], ", ".join(row[3])) for row in rows)])
    if folder is not None:
        show(f"in {folder / f'seed_{seed}'}")


@course.command("grade")
def grade_submissions(
    paths: Annotated[
        list[Path], typer.Argument(help="Submitted notebooks, or folders of them.", exists=True)
    ],
    json: Json = False,
) -> None:
    """Grade submitted notebooks, and print points per exercise and build as CSV.

    The code of the answers' cells runs on this machine, under your account.
    """
    from qtha_lab.lessons.kit.lesson_page import lesson_pages
    from qtha_lab.lessons.kit.points import grade_notebooks

    rows = (dataclasses.asdict(points) for points in grade_notebooks(paths, lesson_pages()))
    if json:
        print_json(list(rows))
        return
    for count, row in enumerate(rows):
        if not count:
            show(csv_line(list(row)))
        show(csv_line(list(map(csv_cell, row.values()))))


@course.command("classroom")
def collect_predictions(
    folder: Annotated[Path, typer.Argument(help="A folder that the class shares.")],
    send: Annotated[
        bool, typer.Option("--send", help="Copy your own predictions and progress there.")
    ] = False,
    name: Annotated[str, typer.Option(help="Name beside your progress. Default: a number.")] = "",
    json: Json = False,
) -> None:
    """Write a page with histograms of the class; with --send, take part in it."""
    from qtha_lab.lessons.kit.classroom import share_progress, write_classroom

    file = str(share_progress(folder, name) if send else write_classroom(folder))
    print_json({"file": file}) if json else show(file)
