"""The commands of `mtlkit`: each a module with `run(arguments)`, which returns an exit code."""
