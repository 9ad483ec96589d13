"""The servers that fork workers of runs, by the folder that their sockets are in."""

import psutil


def server_processes(folder) -> list[psutil.Process]:
    """The living ones."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if "qtha_lab.runs.fork_server.server" in (process.info["cmdline"] or [])
        and any(str(folder) in word for word in process.info["cmdline"])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def end_servers(folder) -> None:
    for process in server_processes(folder):
        process.kill()
