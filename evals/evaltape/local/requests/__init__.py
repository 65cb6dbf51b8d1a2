"""What clients send: bodies and uploads, checked, with OpenAI's words for what is wrong."""
