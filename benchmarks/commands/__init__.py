"""The commands of `qtha-lab bench`: one file a command, which holds a function of the file's name.

`qtha_lab.cli.bench` reads this folder; a new file is a new command. What is measured stands in
the modules beside this folder.
"""
