"""Train one RecBole 1.2.1 model on two files and print its timings and metrics as JSON.

It runs in an environment of its own, which holds RecBole and the versions that RecBole needs::

    python recbole_driver.py MODEL FOLDER EPOCHS SEED [JSON of extra RecBole settings]

FOLDER holds ``train.tsv`` and ``valid.tsv``: user and item, tab separated, without a header.
The environment variable THREADS is the number of torch's threads (2 unless given). The last line
printed is the answer. What is not set here or in the extra settings keeps RecBole's default.
"""

import importlib
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import torch
import yaml

THREADS = int(os.environ.get("THREADS", "2"))
SHARED = (
    "learner",
    "learning_rate",
    "weight_decay",
    "train_batch_size",
    "train_neg_sample_args",
    "eval_batch_size",
)


def write_dataset(source: Path, target: Path) -> None:
    """Write both parts as RecBole's atomic files of a dataset named ``bench``."""
    folder = target / "bench"
    folder.mkdir()
    for part in ("train", "valid"):
        rows = (source / f"{part}.tsv").read_text()
        text = f"user_id:token\titem_id:token\n{rows}"
        (folder / f"bench.{part}.inter").write_text(text)


def settings(folder: Path, epochs: int, seed: int, extra: dict[str, Any]) -> dict[str, Any]:
    """Return what differs from RecBole's defaults."""
    return {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "benchmark_filename": ["train", "valid", "valid"],
        "epochs": epochs,
        "seed": seed,
        "gpu_id": "",  # the processor, even where a GPU is found
        "show_progress": False,
        "train_batch_size": 2048,  # RecBole's default too
        "metrics": ["NDCG", "Recall"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "metric_decimal_place": 6,
        "eval_args": {"mode": "full"},
        **extra,
    }


def in_effect(config: Any, model: torch.nn.Module, train: Any, valid: Any) -> dict[str, Any]:
    """Return the hyperparameters that the run really had."""
    name = f"properties/model/{config['model']}.yaml"
    own = yaml.safe_load(resources.files("recbole").joinpath(name).read_text())
    values = {key: config[key] for key in (*own, *SHARED)}
    if type(train).__name__ == "UserDataLoader":  # whole users: no negatives are drawn
        values["train_neg_sample_args"] = None
    return {
        **values,
        "users": model.n_users - 1,  # RecBole counts a padding row
        "items": model.n_items - 1,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "train_loader": type(train).__name__,
        "train_loader_step": train.step,  # users of UserDataLoader, else positive pairs
        "batches": len(train),
        "eval_users_per_batch": valid.step,
        "device": str(config["device"]),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "recbole": metadata.version("recbole"),
    }


def run(model_name: str, folder: Path, config_dict: dict[str, Any]) -> dict[str, Any]:
    """Train and evaluate one model; RecBole's logs stay in `folder`."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    os.chdir(folder)  # RecBole writes log folders where it runs
    config = Config(model=model_name, dataset="bench", config_dict=config_dict)
    init_seed(config["seed"], config["reproducibility"])
    train, valid, _ = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])  # as RecBole's quick_start does
    model = get_model(config["model"])(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)

    seconds, losses = [], []
    for epoch in range(config["epochs"]):
        start = time.perf_counter()
        loss = trainer._train_epoch(train, epoch)  # noqa: SLF001
        seconds.append(round(time.perf_counter() - start, 4))
        losses.append(sum(loss) if isinstance(loss, tuple) else loss)  # summed over batches

    # From memory: a checkpoint read with torch.load would be refused by torch 2.6 and later.
    start = time.perf_counter()
    metrics = trainer.evaluate(valid, load_best_model=False)
    return {
        "model": model_name,
        "epoch_seconds": seconds,
        "evaluate_seconds": round(time.perf_counter() - start, 4),
        "ndcg@10": float(metrics["ndcg@10"]),
        "recall@10": float(metrics["recall@10"]),
        "losses": losses,
        "config": in_effect(config, model, train, valid),
    }


def main() -> None:
    model_name, source, epochs, seed, *rest = sys.argv[1:]
    extra = json.loads(rest[0]) if rest else {}
    sys.argv[1:] = []  # RecBole reads the command line too
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(THREADS)
    importlib.import_module("recbole.quick_start")  # its imports are no part of any timing
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(Path(source), folder)
        config_dict = settings(folder, int(epochs), int(seed), extra)
        answer = run(model_name, folder, config_dict)
        os.chdir("/")  # the folder goes away
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
