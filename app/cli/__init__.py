"""The command line: one module a command, standard library only until a command runs."""
