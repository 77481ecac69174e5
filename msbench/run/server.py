"""What the fork server imports before anything else: it ends with the driver, even in an import."""

import sys

from msbench.descendants import end_with_parent

if sys.orig_argv[-1].startswith("from multiprocessing.forkserver import main"):
    end_with_parent()
