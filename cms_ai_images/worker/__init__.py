"""The process that owns a GPU: an RQ worker that claims tasks, draws them and lands the pictures."""
