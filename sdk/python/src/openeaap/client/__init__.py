"""The REST API from Python. The public names are those of openeaap."""
