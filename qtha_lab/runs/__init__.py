"""Launch, watch, stop, resume, list, export and chat with runs."""
