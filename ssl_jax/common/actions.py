"""Options of the command line that print something and end it."""

import argparse
import importlib

from ssl_jax import version


class Version(argparse.Action):
    """Print the version that is installed, or that of the checkout."""

    def __call__(self, parser, *_):
        print(f"ssl_jax {version()}")
        parser.exit()


class Completion(argparse.Action):
    """Print a script that completes stages and options in a shell."""

    def __call__(self, parser, _, shell, *__):
        try:
            print(importlib.import_module("shtab").complete(parser, shell))
        except ImportError:
            missing = "the package shtab is missing: pip install 'ssl_jax[completion]'"
            parser.exit(2, f"ssl_jax: --print-completion: {missing}\n")
        parser.exit()
