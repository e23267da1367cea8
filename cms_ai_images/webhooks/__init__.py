"""Tells other servers that tasks have ended, as Standard Webhooks says: `outbox` notes it, `sending` sends it."""
