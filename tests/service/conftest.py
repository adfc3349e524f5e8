# SPDX-License-Identifier: GPL-2.0-or-later
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]


@pytest.fixture(scope="session")
def deb():
    """The package that `make deb` made."""
    path = os.path.abspath(os.environ["VOLLEYD_DEB"])
    assert os.path.exists(path), path
    return path
