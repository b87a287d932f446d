"""Files that run inside, beside hostile code, in the interpreter of the target."""
