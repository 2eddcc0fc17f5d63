"""The columns of `results.csv`, a row a case, and of `curves.csv`, a row an evaluation: what they mean, their units."""

from collections.abc import Iterable

import pandas as pd

from reports.data.load import CAPS, CATEGORY, DEPTH, RELEARNED
from reports.data.words.glossary import LAST

COLUMNS = {
    "run": ("", "which of the JSON files, from 1"),
    "setting": ("", "what an erasure has in common with those it is compared with: model, data, batch size, scenario"),
    "kind": ("", "step or unlearning"),
    "outcome": ("", "ok, diverged, untrained or out-of-memory"),
    "diverged_at": ("steps", "at which a loss was not finite"),
    "method": ("", "the arm"),
    "model": ("", "the network, with the dtype of its passes and the engine where they are not float32 and torch"),
    "dataset": ("", "the data set"),
    "image_size": ("pixels", "height and width of the images"),
    "batch_size": ("samples", "in a step"),
    "batch_tuned": ("", "whether that is what tuning found for the arm: other arms of the setting may have others"),
    "device": ("", "cpu, cuda, mps or xpu"),
    "dtype": ("", "of the passes, below float32 by autocast; parameters are float32"),
    "engine": ("", "what ran the network: torch, or onnxruntime with steps in numpy"),
    "threads": ("", "CPU threads"),
    "seed": ("", "of training, of the forget set and of the arm"),
    "scenario": ("", "class:K, random:F, random:N or files:LIST; none for a step"),
    "erased.samples": ("samples", "in the forget set"),
    "erased.of": ("samples", "in the training data"),
    "erased.digest": ("", "SHA-256 over the names and hashes of the forget set's samples, as sha256sum prints them"),
    "erased.target": ("%", "the accuracy on the forget set at or below which the run is complete"),
    **{
        f"origins.{model}.{name}": ("", f"{what} that {whose} came from, if the suite did not train it")
        for model, whose in {"original": "the original", "retrained": "Retrain"}.items()
        for name, what in {"name": "the file of weights", "sha256": "SHA-256 of the file of weights"}.items()
    },
    **{
        f"original.{part}": ("%", f"accuracy of the original on {words}")
        for part, words in {
            "forget": "what is to be forgotten",
            "retain": "what is to be kept",
            "test": "test data, for a class without the class",
        }.items()
    },
    "rate.lr": ("", "learning rate"),
    "rate.eps": ("", "size of the perturbation, for a zeroth-order arm"),
    "rate.tail": ("", "what the arm moved: all of the network, or its last stage, block or layer"),
    "model_bytes": ("bytes", "parameters and buffers"),
    "time.step_s": ("s", "median time of a step"),
    "time.forward_s": ("s", "median time of a forward pass beside it"),
    "time.times_two_forwards": ("", "median of the paired ratios of a step to two forward passes"),
    "time.times_two_forwards_q1": ("", "their first quartile"),
    "time.times_two_forwards_q3": ("", "their third quartile"),
    "time.rounds": ("", "how many ratios"),
    "memory.tensor_peak_bytes": ("bytes", "peak of live tensors in a step"),
    "memory.tensor_basis": ("", "measured, or a forecast from the shapes"),
    "memory.allocator_peak_bytes": ("bytes", "peak of what torch's allocator handed out in a step"),
    "memory.allocator_basis": ("", "peak, or sampled after every operation"),
    "memory.process_peak_bytes": ("bytes", "peak of a process that does nothing else, as the system saw it"),
    "memory.process_start_bytes": ("bytes", "that process before it made the model"),
    "memory.process_life_bytes": ("bytes", "peak of a process from its first instruction on, imports included"),
    "energy.joules_per_step": ("J", "of a step"),
    "energy.co2e_g_per_step": ("g", "CO2 equivalent of a step"),
    "energy.window_s": ("s", "how long was metered"),
    "energy.steps": ("", "how many steps in that time"),
    "energy.basis": ("", "measured by a counter, or estimated"),
    **{
        f"energy.{part}.{name}": meaning
        for part, word in {"cpu": "processor", "ram": "memory", "gpu": "accelerator"}.items()
        for name, meaning in {
            "joules_per_step": ("J", f"the {word}'s share of a step"),
            "basis": ("", f"of the {word}'s share: measured or estimated"),
            "boundary": ("", f"of the {word}'s share: the process or the machine"),
        }.items()
    },
    "energy.backend": ("", "what CodeCarbon metered with"),
    "energy.country": ("", "whose grid the emissions are computed for, ISO 3166 alpha-3"),
    "quality.ua": ("%", "error on the forget set at completion"),
    "quality.ra": ("%", "accuracy on the retain set at completion"),
    "quality.ta": ("%", "accuracy on the test data at completion; for a class without the class"),
    "quality.ta_forgotten": ("%", "accuracy on the forgotten class's test data at completion"),
    "quality.mia": ("%", "share of the forget set that an attacker takes for unseen"),
    "quality.mia_auc": ("", "how well the loss tells forget samples from unseen ones; 0.5 is chance"),
    "quality.tow": ("", "tug of war at completion: 1 is Retrain"),
    "completion.reached": ("", "whether the run completed"),
    "completion.step": ("steps", "T*, the first evaluation at which the forget set is forgotten"),
    "completion.seconds": ("s", "time to T*, without evaluations"),
    "completion.joules": ("J", "energy to T*"),
    "completion.forward_equivalents": ("", "passes of a batch to T*: a forward counts 1, a backward 2"),
    "completion.sample_forwards": ("", "the same in passes of one sample, by which batch sizes compare"),
    "stability.collapse": (
        "T*",
        "time after completion until 5 points of retain accuracy are lost, or a loss is not finite; the horizon if "
        "never, 0 if the accuracy was within 5 points of chance at T*",
    ),
    "stability.collapsed": ("", "whether that happened"),
    "stability.loss_slope": ("1/T*", "slope of the logarithm of the retain loss"),
    "stability.drop_at_time": ("points", "retain accuracy lost after another T*"),
    "stability.drop_at_distance": ("points", "retain accuracy lost at matched displacement"),
    "stability.drop_at_forget_loss": ("points", "retain accuracy lost at matched forget loss"),
    "receipt_sha256": ("", "of the receipt of the steps to T*, on an engine: what can be done again without the data"),
    "notes": ("", "why a figure is missing, and other remarks"),
    "rules.memory_ratio": ("", "much less memory is below this share"),
    "rules.tow_margin": ("", "competitive is a ToW less than this below"),
    "rules.depth_margin": ("points", "and a probe's finds less than this farther from Retrain's"),
    "rules.collapse_margin": ("T*", "later collapse is by more than this"),
    "rules.drop_margin": ("points", "less retain accuracy lost is by more than this"),
    "rules.matched_distance": ("", "matched displacement, as a share of the original's norm"),
    "rules.matched_rise": ("nats", "matched forget loss, over that at T*"),
}
CURVE_COLUMNS = {
    **{name: COLUMNS[name] for name in ("run", "setting", "method", "device", "seed")},
    "step": ("steps", "after which the model was evaluated"),
    "relative_step": ("T*", "the same over the run's T*; empty in a run that did not complete"),
    **{
        f"{part}_{figure}": (unit, f"{word} on the {part} {'data' if part == 'test' else 'set'}")
        for figure, unit, word in (("loss", "nats", "cross-entropy"), ("accuracy", "%", "accuracy"))
        for part in ("forget", "retain", "test")
    },
    "distance": ("", "of the parameters from the original's, in the L2 norm"),
}


def columns_table(results: Iterable[str]) -> pd.DataFrame:
    """File, column, unit and meaning, in the order of the files; `results` are the columns of `results.csv`."""
    rows = [("results.csv", name, *_meaning(name)) for name in results]
    rows += [("curves.csv", name, *meaning) for name, meaning in CURVE_COLUMNS.items()]
    return pd.DataFrame(rows, columns=["file", "column", "unit", "meaning"])


WHOSE = {"model": "the unlearned model", "original": "the original", "retrained": "Retrain"}


def _meaning(name: str) -> tuple[str, str]:
    if name.startswith(CATEGORY):
        return "bytes", f"of the peak of live tensors: {name.removeprefix(CATEGORY)}"
    if name.startswith(DEPTH):
        shots, whose = name.removeprefix(DEPTH).split(".")
        return "%", f"of the forgotten, what a probe from {shots} samples a class finds in {WHOSE[whose]}"
    if name.startswith(RELEARNED):
        shots, whose = name.removeprefix(RELEARNED).split(".")
        return "%", f"of the forgotten, what {LAST} steps of fine-tuning on {shots} shots bring back in {WHOSE[whose]}"
    if name.startswith(CAPS):
        return "", f"whether a process got through the steps with {name.removeprefix(CAPS)} MiB and no more"
    return COLUMNS[name]
