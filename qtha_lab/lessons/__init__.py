"""The lesson desk: predictions, builds, exercises, recorded comparisons and progress.

    predict("1.a")         shows a question; reveal("1.a", 0, "because …") compares the answer
    build("1.lora", built) checks a reader's code step by step
    check("1.2", answer)   shows "right", the fault, or "not attempted" for `...`; never fails
    hint("1.2")            one more hint per call; on a page, one more per click
    solution("1.2")        the code, folded on a page
    recorded("smollm2-qa") recorded runs of a comparison
    own_build("3.circuit")     the reader's build, or the declared solution
    own_method("own_qtha")     a plugin file of the reader's builds
    progress()             the course with the reader's accepted work, which is stored in `my/`

A page shows its model (`page_model`) and findings checked in its run (`what_to_see`).

The texts of a lesson are in a file beside its notebook, such as `01_lora_and_rank.toml`; its checks
are in `graders/lesson_01.py`. `docs/howto/teach.md` shows an exercise. Tests run every solution and
every mistake. They compare number, title, difficulty and minutes with the notebook. There, an
exercise consists of the following parts, in this order:

    ### Exercise 1.2 · Stable rank        a markdown cell; its second paragraph is `exercise.effort`
    ★☆☆ · 5 minutes                       (`★★☆ · 10 minutes`), then the task
    stable_rank = ...                     the stub, a separate code cell
    check("1.2", stable_rank)             and then hint("1.2") and solution("1.2"), a cell each
"""

from qtha_lab.lessons.answers import AnswerResult as AnswerResult
from qtha_lab.lessons.answers import check as check
from qtha_lab.lessons.answers import hint as hint
from qtha_lab.lessons.answers import solution as solution
from qtha_lab.lessons.builds import build as build
from qtha_lab.lessons.checked_statements import page_model as page_model
from qtha_lab.lessons.checked_statements import what_to_see as what_to_see
from qtha_lab.lessons.own_code import own_build as own_build
from qtha_lab.lessons.own_code import own_method as own_method
from qtha_lab.lessons.own_code import own_piece as own_piece
from qtha_lab.lessons.progress import progress as progress
from qtha_lab.lessons.questions import predict as predict
from qtha_lab.lessons.questions import reveal as reveal
from qtha_lab.lessons.recordings import recorded as recorded
from qtha_lab.lessons.registry import Exercise as Exercise
from qtha_lab.lessons.registry import exercise as exercise
from qtha_lab.lessons.registry import exercises as exercises
from qtha_lab.lessons.registry import get as get
