"""`python -m ckpt_explorer`: the command line."""

import sys

from ckpt_explorer.cli import main

sys.exit(main())
