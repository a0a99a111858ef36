"""sockscope: an interactive socket inspector for Linux that says whose move it is."""

__version__ = "0.1.0"
