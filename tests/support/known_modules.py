"""Imported last before runs are forked: `inspect` looks for the file of every module when it shows a failure.

It looks for each once; here, not in each run.
"""

import inspect

inspect.getmodule(compile("", "", "exec"))
