"""For clients of the OpenAI images API: the same services under that API's words, with personal tokens as its keys."""
