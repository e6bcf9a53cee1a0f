"""What `python -m ssl_jax` can be asked for."""

import argparse
import os
from pathlib import Path

from .config import DIRECTION_RULES, HAIR_CELLS, MAIN_RUNS, RUNS
from .recordings import add_stages


DESCRIPTION = "The stages of the experiment, one after the other or each by itself."


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m ssl_jax", description=DESCRIPTION)
    stages = top.add_subparsers(dest="stage", metavar="STAGE", required=True)

    def stage(name, text):
        return stages.add_parser(name, help=text, description=text)

    everything = {
        "all": "database, train, figures and report: what ./reproduce.sh runs",
        "database": "recipes, rendered mixtures and their cue maps",
        "train": "Model 1, Model 2 and its learning-rate-drop continuation",
        "figures": "every figure of the README, from results/ (and a scene rendered afresh)",
        "report": "comparison of results/ with the reported tables",
        "pack": "put a trained run into the package, for localise, and write docs/model-card.md",
    }
    for name, text in everything.items():
        options = stage(name, text)
        options.add_argument("--data", type=Path, default=os.environ.get("SSL_JAX_DATA") or None, metavar="DIR",
                             help="publishers' corpora (see download) instead of the embedded one; "
                                  "also $SSL_JAX_DATA")
        options.add_argument("--protocol", choices=("published", "clean"),
                             help="published: nearest azimuth at any elevation, no hair cell, split by mixture "
                                  "(default with --data); clean: horizontal plane, Roman's hair cell, no speaker, "
                                  "noise file or head in both training and evaluation")
        options.add_argument("--directions", choices=DIRECTION_RULES,
                             help="which HRIR stands for an azimuth, instead of the protocol's rule")
        options.add_argument("--hair-cell", choices=HAIR_CELLS,
                             help="instead of the protocol's")
        options.add_argument("--hop", type=int, help="samples between cue values (default 441, 10 ms)")
        options.add_argument("--seed", type=int, default=0, help="of the whole run (default 0)")
        options.add_argument("--quick", action="store_true",
                             help="100 clips x 72 directions and 3 epochs of each run")
        options.add_argument("--name", help="of the folders under results/ and work/ "
                                            "(default: corpus and what differs from its defaults)")
        options.add_argument("--results", type=Path, default=Path("results"), help="(default %(default)s)")
        options.add_argument("--work", type=Path, default=Path("work"),
                             help="for the cue store and checkpoints (default %(default)s)")
        options.add_argument("--figures", type=Path, default=Path("paper_figures"),
                             help="where figures go (default %(default)s)")
        if name in ("all", "database", "train"):
            options.add_argument("--devices", type=int, metavar="N",
                                 help="of a process without GPUs, for both stages (default: its cores for the "
                                      "database, one for training, which is faster)")
            options.add_argument("--coordinator", metavar="HOST:PORT",
                                 help="this is one of several processes, on any hosts that share --work and "
                                      "--results, started with the same options: process 0's address, or auto under "
                                      "Slurm, Open MPI or Kubernetes; as many devices each; see docs/scale.md")
            options.add_argument("--processes", type=int, metavar="N", help="how many they are")
            options.add_argument("--process", type=int, metavar="K", help="which of them this is, from 0")
        if name in ("all", "train"):
            options.add_argument("--runs", nargs="+", choices=RUNS, default=MAIN_RUNS, metavar="RUN",
                                 help=f"of {', '.join(RUNS)} (default: {' '.join(MAIN_RUNS)})")
            options.add_argument("--seeds", type=int, default=1, metavar="N",
                                 help="train every run N times, on the same mixtures: seeds and means go to the report")
        if name == "database":
            options.add_argument("--export-wav", type=Path, metavar="DIR",
                                 help="write mixtures as 16-bit WAV there and stop")
            options.add_argument("--limit", type=int, default=72, help="how many of them (default %(default)s)")
        if name == "pack":
            options.add_argument("--run", required=True, help="which run's last weights")
            options.add_argument("--as", dest="packed", required=True, metavar="NAME", help="their name in the package")
            options.add_argument("--card", type=Path, default=Path("docs/model-card.md"), help="(default %(default)s)")
        if name == "report":
            options.add_argument("--readme", type=Path, metavar="FILE",
                                 help="also put the comparisons of the default and the published run into FILE")
    options = stage("audit", "what the reported tables do not say: results/audit.md, one measured row for each question")
    options.add_argument("--data", type=Path, default=os.environ.get("SSL_JAX_DATA") or None, metavar="DIR",
                         help="publishers' corpora instead of the embedded one; also $SSL_JAX_DATA")
    options.add_argument("--rows", nargs="+", metavar="ROW",
                         help="only these: directions, splits, haircells, hops, storage, snr, protocols, "
                              "ablation_published, ablation_clean, switch, weights (default: all)")
    options.add_argument("--clips", type=int, default=100, help="of a trained row (default %(default)s, as Model 1)")
    options.add_argument("--seeds", type=int, default=2, help="trainings of each row (default %(default)s)")
    options.add_argument("--seed", type=int, default=0, help="the first of them, and the database's (default 0)")
    options.add_argument("--weights", type=Path, metavar="DIR", help="published checkpoints to score on our database")
    options.add_argument("--results", type=Path, default=Path("results"), help="(default %(default)s)")
    options.add_argument("--work", type=Path, default=Path("work"), help="for cue stores and checkpoints, "
                         "3 GB with every row (default %(default)s)")
    options.add_argument("--readme", type=Path, metavar="FILE", help="also put a summary into FILE")
    options = stage("check", "score the packed networks on the heads of any SOFA files: results/unseen_heads.md")
    options.add_argument("files", nargs="+", type=Path, metavar="FILE.sofa")
    options.add_argument("--model", nargs="+", metavar="NAME", help="packed networks (default: all)")
    options.add_argument("--clips", type=int, default=10, help="seconds of speech, each from 72 azimuths "
                                                                    "(default %(default)s)")
    options.add_argument("--results", type=Path, default=Path("results"), help="(default %(default)s)")
    options = stage("benchmark", "speed of every stage beside its peers and the machine's floor")
    options.add_argument("--results", type=Path, default=Path("results"),
                         help="the tables go to its folder benchmark (default %(default)s)")
    options = stage("growth", "time and memory over 1/8, 1/4, 1/2 and all of the mixtures and over devices: "
                              "results/benchmark/growth.md; about an hour")
    options.add_argument("--data", type=Path, default=os.environ.get("SSL_JAX_DATA") or None, metavar="DIR",
                         help="publishers' corpora instead of the embedded one; also $SSL_JAX_DATA")
    options.add_argument("--devices", type=int, nargs="+", default=[1, 2], metavar="N", help="(default 1 2)")
    options.add_argument("--work", type=Path, default=Path("work"), help="for a store of 1 GB while it runs "
                         "(default %(default)s)")
    options.add_argument("--results", type=Path, default=Path("results"),
                         help="the table goes to its folder benchmark (default %(default)s)")
    options.add_argument("--scale", type=Path, metavar="FILE", help="also put what a million hours cost into FILE")
    options = stage("download", "fetch LibriSpeech, ESC-50 and 20 CIPIC heads from their publishers")
    options.add_argument("--to", type=Path, required=True, metavar="DIR")
    options.add_argument("--speech", choices=("train-clean-100", "dev-clean"), default="train-clean-100",
                         help="LibriSpeech subset; dev-clean is smaller (default %(default)s)")
    add_stages(stage)
    return top
