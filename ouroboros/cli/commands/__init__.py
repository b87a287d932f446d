"""The sub-commands, one file for each family. A command NAME is the object `NAME_command`."""
