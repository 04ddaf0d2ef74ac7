"""Real servers, real platforms and small synthetic things for tests; imported by tests only."""
