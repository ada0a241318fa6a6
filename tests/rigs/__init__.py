"""Real servers for tests: sound, internet radio, and a way to listen to them."""
