"""Experiments and comparisons with every kind of value in them."""

from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training

EXPERIMENTS = [
    Experiment(),
    Experiment(method="lora(r=2)", seed=7, name="it's mine"),
    Experiment(
        model="some folder/model",
        task="chat",
        task_options={"turns": 3, "who": "a b", "flag": True, "nothing": None, "many": [1, 2]},
        method=MethodChoice(
            name="qtha",
            learning_rate=1e-05,
            target_modules=["q_proj", "v_proj"],
            options={
                "r": 4,
                "waist": 16,
                "in_dims": [8, 8, 3],
                "ansatz": "qtha",
                "reupload": False,
            },
        ),
        training=Training(
            steps=3,
            schedule="cosine",
            gradient_checkpointing=True,
            eval_rows=None,
            weight_decay=1e-7,
        ),
        seed=2**32 - 1,
    ),
]
COMPARISONS = [
    Comparison(),
    Comparison(methods="lora(r=8),qtha(r=4,in_dims=[4,4])", seeds=[0, 1, 2], training={"steps": 5}),
]
DESCRIBED = EXPERIMENTS + COMPARISONS
