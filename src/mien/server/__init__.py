"""The service: galleries over HTTP, with keys, limits and an audit log. Comes with the extra."""
