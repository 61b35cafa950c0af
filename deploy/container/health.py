"""Exit status 0 where this container answers 200: health.py PORT [PATH], which is /livez if not given."""

import http.client
import sys

TIMEOUT_SECONDS = 3


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not answers(int(sys.argv[1]), *(sys.argv[2:] or ["/livez"])))
