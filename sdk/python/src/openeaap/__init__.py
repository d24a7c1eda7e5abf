"""OpenEAAP for Python. Tools and agents: openeaap.sdk. The REST API: Client and AsyncClient."""
