import sys

from openeaap_langchain_bridge.main import main

if __name__ == "__main__":
    sys.exit(main())
