# SPDX-License-Identifier: MIT
"""What the tests with real clients share: the planted program, scratch files, finding clients."""
import glob
import os
import shutil

import tap

PLANTED = os.environ["NEAP_PLANTED"]
BUILD, SOURCE = tap.BUILD, tap.SOURCE


def path(name):
    return os.path.join(tap.scratch, name)


def planted(command, name, **options):
    """Runs the program; its lines "key value" as a dictionary."""
    output = tap.succeeds([PLANTED, command, path(name)], f"planted {command} runs", **options)
    return dict(line.split(" ", 1) for line in output.splitlines() if " " in line)


def program(name):
    return shutil.which(name)


def node_module(name):
    """The folder of an npm package: NEAP_NODE_MODULES, then where tools/get-clients puts them."""
    folders = [os.environ.get("NEAP_NODE_MODULES", ""),
               os.path.expanduser("~/.cache/neap/node_modules")]
    for folder in folders:
        if folder and os.path.isdir(os.path.join(folder, name)):
            return os.path.join(folder, name)
    return None
