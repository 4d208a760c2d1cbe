"""Stand-in for the worker that writes reports."""

from app.workers.ingest import work

if __name__ == "__main__":
    work("AI Worker")
