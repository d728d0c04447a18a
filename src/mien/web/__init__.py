"""The page: galleries in a browser, beside the service and with the same keys."""
