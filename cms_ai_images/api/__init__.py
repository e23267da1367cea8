"""REST and events, under `/ai-images/api/v1/`."""
