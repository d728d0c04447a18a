"""Galleries in servers: Milvus and PostgreSQL, behind the same protocol as the file."""
